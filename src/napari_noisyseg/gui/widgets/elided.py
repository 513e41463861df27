"""Words that give up their middle where there is no room for all of them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy


class Elided(QLabel):  # type: ignore[misc]
    """A label as wide as its layout lets it be; `text` is the whole text, whatever is seen."""

    def __init__(self, role: str = "") -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._whole = ""
        if role:
            self.setProperty("role", role)

    def text(self) -> str:
        """All of it."""
        return self._whole

    def setText(self, text: str) -> None:
        """Qt: other words."""
        self._whole = text
        self._fit()

    def seen(self) -> str:
        """What there is room for."""
        return str(super().text())

    def _fit(self) -> None:
        self.ensurePolished()  # a theme's bold letters are wider
        middle = Qt.TextElideMode.ElideMiddle
        super().setText(self.fontMetrics().elidedText(self._whole, middle, self.width()))

    def resizeEvent(self, event: Any) -> None:
        """Qt: more room, or less."""
        super().resizeEvent(event)
        self._fit()
