"""The Qt side of the keys: ours wherever the focus is in the window, except where text is typed."""

from __future__ import annotations

from typing import Any

from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from napari_noisyseg.gui.keys import Binding, Keys

MODIFIERS = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta)
TYPED_IN = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox)
RETURN = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
KEYS = (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress, QEvent.Type.KeyRelease)


class KeyFilter(QObject):  # type: ignore[misc]
    """Hands keys to `Keys` before any widget or layer of the window has them.

    Text fields, menus and dialogs keep theirs, and so does every other window.
    """

    def __init__(self, keys: Keys, panel: QWidget, viewer: Any) -> None:
        super().__init__(panel)
        self.keys = keys
        self._panel, self._viewer = panel, viewer
        self._held: dict[str, Binding] = {}
        self._line: Any = None
        QApplication.instance().installEventFilter(self)

    def stop(self) -> None:
        """Hand on no more keys."""
        self._let_go()
        QApplication.instance().removeEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Qt: True when the event was ours."""
        kind = event.type()
        if kind == QEvent.Type.WindowDeactivate:
            self._let_go()
        if kind in KEYS and event.key() in RETURN:
            self._typed(watched, kind)
        # keys come to the window first and then to the widget; only the widget's is the real one
        if kind not in KEYS or not isinstance(watched, QWidget) or not self._ours(watched):
            return False
        if kind == QEvent.Type.ShortcutOverride:
            if self.keys.find(key_name(event)) is not None:
                event.accept()
                return True
            return False
        return self._press(event) if kind == QEvent.Type.KeyPress else self._release(event)

    def _typed(self, box: Any, kind: QEvent.Type) -> None:
        """What was typed in one line of the panel is done: the keys are the window's again.

        A box that did not get the press (it ended a word of an input method) keeps them.
        """
        if not isinstance(box, QLineEdit | QAbstractSpinBox) or not self._panel.isAncestorOf(box):
            return
        if kind == QEvent.Type.KeyPress:
            self._line = box
        elif kind == QEvent.Type.KeyRelease and self._line is box:
            self._line = None
            box.clearFocus()

    def _ours(self, widget: QWidget) -> bool:
        """Whether a key there is for us: in our window, and nobody types there."""
        if isinstance(widget, TYPED_IN) and not widget.isReadOnly():
            return False
        if isinstance(widget, QComboBox) and widget.isEditable():
            return False
        if QApplication.activePopupWidget() is not None or isinstance(widget, QMenu):
            return False
        top = widget.window()
        if isinstance(top, QDialog) or not self._panel.isVisible():
            return False
        return top is self._panel.window() or top is window_of(self._viewer)

    def _press(self, event: Any) -> bool:
        name = key_name(event)
        binding = self.keys.find(name)
        if binding is None:
            return False
        if binding.release is not None:
            if event.isAutoRepeat():
                return True
            self._held[name] = binding
        binding.press()
        return True

    def _release(self, event: Any) -> bool:
        if event.isAutoRepeat():
            return key_name(event) in self._held
        binding = self._held.pop(key_name(event), None)
        if binding is None or binding.release is None:
            return False
        binding.release()
        return True

    def _let_go(self) -> None:
        """A key that is held while the window goes away never comes up here."""
        while self._held:
            _, binding = self._held.popitem()
            if binding.release is not None:
                binding.release()


def key_name(event: Any) -> str:
    """A key event in the words of `Keys`: "A", "Ctrl+Z", "Space", "F1", "?"."""
    if event.key() in MODIFIERS or event.key() in (0, Qt.Key.Key_unknown):
        return ""
    text = event.text()
    if len(text) == 1 and text.isprintable() and not text.isalnum() and not text.isspace():
        return str(text)
    return str(
        QKeySequence(event.keyCombination()).toString(QKeySequence.SequenceFormat.PortableText)
    )


def window_of(viewer: Any) -> QWidget | None:
    """A viewer's main window; None without one."""
    return getattr(getattr(viewer, "window", None), "_qt_window", None)


def canvases(viewer: Any) -> list[QWidget]:
    """The widgets of a viewer's window that show the picture; none without a window."""
    main = window_of(viewer)
    if main is None:
        return []
    return [found.canvas.native for found in main.findChildren(QtViewer)]
