"""Messages to the person, whole: refusals stay until they are settled, news goes by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtGui import QTextOption
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_noisyseg.gui.widgets.theme import Palette

NEWS_MS = 8000
"""how long news stays"""
SHARE = 3
"""the notes take no more than this part of the panel's height"""
LEAST = 20
"""pixels of text that there are at least, however low the panel"""
PAD = 8


class Kind(NamedTuple):
    """A kind of message: its sign, and what is read out before its words."""

    role: str
    sign: str
    spoken: str


REFUSAL = Kind("refusal", "!", "Warning")
NEWS = Kind("news", "i", "News")


class Notes(QWidget):  # type: ignore[misc]
    """A small area of the panel that shows messages in full, wrapped, to be selected and closed.

    `warn` stays until it is closed or `settle` tells that the person's next act succeeded; the
    newest of several is in front. `say` goes after some seconds, but never under the mouse. Hidden
    while there is nothing to show, and while it has no parent; never higher than a third of that.
    """

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self._refusals: list[str] = []
        self._news: list[str] = []
        self._replaced = ""
        self._panel: QObject | None = None
        self.refusal = Note(REFUSAL, self._close_refusal)
        self.news = Note(NEWS, self._close_news)
        self.timer = QTimer(self, singleShot=True, interval=NEWS_MS)
        self.timer.timeout.connect(self._fade)
        box = QVBoxLayout(self)
        box.setContentsMargins(PAD, PAD, PAD, PAD)
        box.setSpacing(PAD)
        for note in (self.refusal, self.news):
            note.text.reflowed.connect(self._fit)
            box.addWidget(note)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Messages")
        self.restyle(palette)
        self._refresh()

    # --- what is told --------------------------------------------------------------------------

    def warn(self, text: str) -> None:
        """Something was refused or went wrong: what, and how to mend it."""
        if text in self._refusals:
            self._refusals.remove(text)
        self._refusals.insert(0, text)
        self._refresh()

    def say(self, text: str) -> None:
        """Something happened; several at once stand below each other."""
        if text in self._news:
            self._news.remove(text)
        self._news.append(text)
        self.timer.start()
        self._refresh()

    def say_instead(self, text: str) -> None:
        """Something happened that makes old what was last said in this way; it may need no word."""
        if self._replaced in self._news:
            self._news.remove(self._replaced)
            self._refresh()
        self._replaced = text
        if text:
            self.say(text)

    def settle(self) -> None:
        """The person's act succeeded: what was refused before is settled."""
        if self._refusals:
            self._refusals.clear()
            self._refresh()

    def texts(self) -> list[str]:
        """Every message that is there, refusals first, each kind with the one in front first."""
        return [*self._refusals, *self._news]

    def _close_refusal(self) -> None:
        self._refusals.pop(0)
        self._refresh()

    def _close_news(self) -> None:
        self.timer.stop()
        self._news.clear()
        self._refresh()

    def _fade(self) -> None:
        if self.news.underMouse() or self.news.text.textCursor().hasSelection():
            self.timer.start()  # somebody reads it, or is about to copy it
        else:
            self._close_news()

    # --- what is shown -------------------------------------------------------------------------

    def restyle(self, palette: Palette) -> None:
        """Take on the theme's colours."""
        self.setStyleSheet(stylesheet(palette))

    def _refresh(self) -> None:
        self.refusal.tell(self._refusals[0] if self._refusals else "", len(self._refusals))
        self.news.tell("\n".join(self._news))
        self.setVisible(bool(self.texts()) and self.parentWidget() is not None)
        self._fit()

    def _fit(self) -> None:
        """Give the texts the height they need, as far as there is room: refusals go first."""
        panel = self.parentWidget()
        shown = [note for note in (self.refusal, self.news) if not note.isHidden()]
        if panel is None or not shown:
            return
        room = panel.height() // SHARE - PAD * (len(shown) + 1) - sum(n.frame() for n in shown)
        needs = [note.text.needed() for note in shown]
        # both are long: the refusal gets two thirds
        last = min(needs[-1], max(room - needs[0], room // 3)) if len(shown) > 1 else 0
        first = min(needs[0], room - last)
        for note, height in zip(shown, (first, last), strict=False):
            note.text.give(max(height, LEAST))

    def event(self, event: Any) -> bool:
        """Qt: the panel's height decides how high it may be."""
        if event.type() == QEvent.Type.ParentChange:
            if self._panel is not None:
                self._panel.removeEventFilter(self)
            self._panel = self.parentWidget()
            if self._panel is not None:
                self._panel.installEventFilter(self)
            self._refresh()
        return bool(super().event(event))

    def eventFilter(self, watched: QObject, event: Any) -> bool:
        """Qt: the panel is higher or lower than before."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False


class Note(QFrame):  # type: ignore[misc]
    """One message: its sign, its words, which of how many it is, and a cross that closes it."""

    def __init__(self, kind: Kind, close: Callable[[], object]) -> None:
        super().__init__()
        self.kind = kind
        self.setProperty("role", kind.role)
        self.sign = QLabel(kind.sign)
        self.sign.setProperty("role", "sign")
        self.sign.setFixedWidth(16)
        self.sign.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self.text = Text()
        self.count = QLabel()
        self.count.setProperty("role", "count")
        self.close_button = QToolButton(text="✕", toolTip="Close this message")
        self.close_button.setAccessibleName("Close this message")
        self.close_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.close_button.clicked.connect(lambda: close())
        self._lay_out()

    def _lay_out(self) -> None:
        box = QHBoxLayout(self)
        box.setContentsMargins(PAD, PAD - 2, 4, PAD - 2)
        box.setSpacing(4)
        top = Qt.AlignmentFlag.AlignTop
        box.addWidget(self.sign, 0, top)
        box.addWidget(self.text, 1, top)
        side = QVBoxLayout()
        side.setSpacing(0)
        side.addWidget(self.close_button, 0, top | Qt.AlignmentFlag.AlignRight)
        side.addStretch()
        side.addWidget(self.count)
        box.addLayout(side)

    def tell(self, words: str, count: int = 1) -> None:
        """Show other words, the first of so many; none hide it."""
        if words != self.text.toPlainText():
            self.text.setPlainText(words)
        self.count.setText(f"1 of {count}")
        self.count.setVisible(count > 1)
        self.setAccessibleName(f"{self.kind.spoken}: {words}")
        self.setHidden(not words)

    def frame(self) -> int:
        """Pixels of its height that are not text."""
        return 2 * (PAD - 2) + 2


class Text(QTextEdit):  # type: ignore[misc]
    """Words to read and to copy; a path without a space is broken where the line ends."""

    reflowed = Signal()
    """its width or its font is another, and so the height it needs"""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setAcceptRichText(False)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(60)

    def needed(self) -> int:
        """The height in which all of it is seen."""
        self.ensurePolished()
        bar, inside = self.verticalScrollBar(), self.viewport()
        whole = self.document().clone()
        whole.setTextWidth(inside.width() + (bar.width() if bar.isVisible() else 0))
        # within a resize the viewport has its old height still: only its margins can be counted on
        margins = self.viewportMargins()
        around: int = 2 * self.frameWidth() + margins.top() + margins.bottom()
        height: int = math.ceil(whole.size().height())
        return height + around

    def give(self, height: int) -> None:
        """Take this height; what does not fit into it is scrolled to."""
        policy = Qt.ScrollBarPolicy
        fits = height >= self.needed()
        self.setVerticalScrollBarPolicy(
            policy.ScrollBarAlwaysOff if fits else policy.ScrollBarAlwaysOn
        )
        self.setFixedHeight(height)
        # within a resize Qt does not lay out again for a scroll bar that comes or goes
        self.document().setTextWidth(self.viewport().width())

    def resizeEvent(self, event: Any) -> None:
        """Qt: in another width it needs another height."""
        super().resizeEvent(event)
        if self.width() != self._width:
            self._width = self.width()
            self.reflowed.emit()

    _width = 0

    def changeEvent(self, event: Any) -> None:
        """Qt: the theme's font came."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.reflowed.emit()


def stylesheet(p: Palette) -> str:
    """A colour bar at the left, and the same colour on the sign: nothing by colour alone."""
    return f"""
    QFrame[role="refusal"], QFrame[role="news"] {{ background: {p.raised};
        border: 1px solid {p.line}; }}
    QFrame[role="refusal"] {{ border-left: 4px solid {p.warn}; }}
    QFrame[role="news"] {{ border-left: 4px solid {p.accent}; }}
    QFrame[role="refusal"] QLabel[role="sign"] {{ color: {p.warn}; }}
    QFrame[role="news"] QLabel[role="sign"] {{ color: {p.accent}; }}
    QLabel {{ background: transparent; border: none; padding: 0; }}
    QLabel[role="sign"] {{ font-weight: 800; }}
    QLabel[role="count"] {{ color: {p.quiet}; }}
    QTextEdit {{ background: transparent; border: none; color: {p.text}; padding: 0; margin: 0; }}
    QTextEdit > QWidget {{ background: transparent; }}
    QToolButton {{ background: transparent; border: none; color: {p.quiet};
        padding: 0 3px; margin: 0; }}
    QToolButton:hover, QToolButton:focus {{ color: {p.text}; background: {p.line};
        border-radius: 3px; }}
    """
