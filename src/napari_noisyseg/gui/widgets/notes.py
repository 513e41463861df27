"""Words to the person, whole, in the panel."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel


class Notes(QLabel):  # type: ignore[misc]
    """The last word."""

    def __init__(self) -> None:
        super().__init__(wordWrap=True)

    def warn(self, text: str) -> None:
        """Say what was refused."""
        self.setText(text)

    def say(self, text: str) -> None:
        """Say what happened."""
        self.setText(text)
