"""A click on a nucleus in the review chooses it; a drag pans as ever."""

from __future__ import annotations

from collections.abc import Callable

from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.hand import Place, Press
from napari_noisyseg.gui.tools.kit import kit_of


class Picking:
    """Lent to the hand while the review is open and nothing is edited.

    `chosen(place)` gets where in the image in front somebody clicked, (y, x) in level-0 pixels.
    """

    def __init__(self, session: Session, chosen: Callable[[Place], object]) -> None:
        self._session, self._chosen = session, chosen

    def take(self) -> None:
        """Into the hand, where it is free."""
        kit = kit_of(self._session)
        if kit.guest is None:
            kit.guest = self
            kit.hand.update()

    def lay(self) -> None:
        """Out of the hand."""
        kit = kit_of(self._session)
        if kit.guest is self:
            kit.guest = None
            kit.hand.update()

    def press(self, press: Press) -> Pick | None:
        """A left click may choose; all else is napari's."""
        return None if press.right or press.covered else Pick(self._chosen)

    def cursor(self) -> tuple[str, float]:
        """Napari's own."""
        return "standard", 1.0


class Pick:
    """A press that chooses if it ends where it began."""

    holds = False

    def __init__(self, chosen: Callable[[Place], object]) -> None:
        self._chosen = chosen

    def move(self, place: Place) -> None:
        """The picture is panned, by napari."""

    def end(self, place: Place, moved: bool) -> None:
        """Up again."""
        if not moved:
            self._chosen(place)
