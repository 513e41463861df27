"""The four steps of the panel; each is a dock that also works alone."""

from __future__ import annotations

from typing import ClassVar

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.gui.widgets.theme import Palette


class StepDock(QWidget):  # type: ignore[misc]
    """Controls of one step. Holds no state of its own: reads the session and calls it.

    A subclass names its `step`, builds its controls in `__init__`, gives `summary`, and emits
    `changed` when its summary may have changed. `enter` and `leave` come when the step is opened
    and closed: that is where its tools on the canvas are taken up and put down.
    """

    step: ClassVar[str]
    title: ClassVar[str]
    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def summary(self) -> Summary:
        """The line that the step's row shows."""
        raise NotImplementedError

    def restyle(self, palette: Palette) -> None:
        """The theme is another: take on its colours where no style sheet gives them."""

    def enter(self) -> None:
        """The step was opened."""

    def leave(self) -> None:
        """The step was closed."""

    def closing(self) -> None:
        """The window is going away: stop timers, drop connections to the session."""
