"""Words that are cut short where there is no room for all of them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy


class Elided(QLabel):  # type: ignore[misc]
    """A label as wide as its layout lets it be; `text` is the whole text, whatever is seen."""

    def __init__(self, role: str = "") -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._whole = self._short = ""
        if role:
            self.setProperty("role", role)

    def text(self) -> str:
        """All of it."""
        return self._whole

    def setText(self, text: str, short: str = "") -> None:
        """Qt: other words; `short` takes their place where they do not fit."""
        self._whole, self._short = text, short or text
        self._fit()

    def seen(self) -> str:
        """What there is room for."""
        return str(super().text())

    def _fit(self) -> None:
        self.ensurePolished()  # a theme's bold letters are wider
        metrics, room = self.fontMetrics(), self.width()
        words = self._whole if metrics.horizontalAdvance(self._whole) <= room else self._short
        super().setText(metrics.elidedText(words, Qt.TextElideMode.ElideRight, room))

    def resizeEvent(self, event: Any) -> None:
        """Qt: more room, or less."""
        super().resizeEvent(event)
        self._fit()
