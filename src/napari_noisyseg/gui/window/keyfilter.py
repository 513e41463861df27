"""The Qt side of the keys: catches them on the canvas and the panel before napari's layers do."""

from __future__ import annotations

from typing import Any

from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QWidget

from napari_noisyseg.gui.keys import Binding, Keys

MODIFIERS = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta)


class KeyFilter(QObject):  # type: ignore[misc]
    """An event filter that hands keys to `Keys` while one of the watched widgets has the focus."""

    def __init__(self, keys: Keys, panel: QWidget, viewer: Any) -> None:
        super().__init__(panel)
        self.keys = keys
        self._held: dict[str, Binding] = {}
        panel.installEventFilter(self)
        for canvas in canvases(viewer):
            canvas.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Qt: True when the event was ours."""
        kind = event.type()
        if kind == QEvent.Type.ShortcutOverride:
            if self.keys.find(key_name(event)) is not None:
                event.accept()
                return True
        elif kind == QEvent.Type.KeyPress:
            return self._press(event)
        elif kind == QEvent.Type.KeyRelease:
            return self._release(event)
        elif kind == QEvent.Type.FocusOut:
            self._let_go()
        return False

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
        """A key that is held while the focus goes away never comes up here."""
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


def canvases(viewer: Any) -> list[QWidget]:
    """The widgets of a viewer's window that show the picture; none without a window."""
    window = getattr(viewer, "window", None)
    main = getattr(window, "_qt_window", None)
    if main is None:
        return []
    return [found.canvas.native for found in main.findChildren(QtViewer)]
