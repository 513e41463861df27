"""Training on another machine as the window sees it: its address, and whether it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from psygnal import Signal

from napari_noisyseg.errors import NoisySegError, in_window
from napari_noisyseg.gui.controllers.duties import Submit
from napari_noisyseg.worker.cluster.address import Scheduler
from napari_noisyseg.worker.cluster.offers import Offer, look

NO_ADDRESS = (
    "Give the address of the other machine (ask the person who runs it), or clear the tick."
)
ASKING = "Asking …"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a test, in words; mark: as in a summary, "" while nothing is known."""

    words: str = ""
    mark: Literal["", "good", "warn"] = ""


class Elsewhere:
    """Whether runs go to another machine. submit: does work out of the way of the window."""

    changed = Signal()
    """the answer is another"""

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self.wanted = False
        self.address = ""
        self.answer = Answer()

    @property
    def scheduler(self) -> str | None:
        """Where the next run is to go; None for here. Raises NoisySegError for no address."""
        if not self.wanted:
            return None
        if not self.address:
            raise NoisySegError(NO_ADDRESS)
        return Scheduler.of(self.address).address

    def name(self, address: str) -> None:
        """Another address: what was known of the old one no longer counts."""
        if address.strip() != self.address:
            self.address = address.strip()
            self._know(Answer())

    def test(self, device: str) -> None:
        """Ask the machine, in the background, who can train there; the answer tells."""
        try:
            if not self.address:
                raise NoisySegError(NO_ADDRESS)
            scheduler = Scheduler.of(self.address)
        except NoisySegError as error:
            self._know(Answer(in_window(error), "warn"))
            return
        self._know(Answer(ASKING))
        done = partial(self._answered, self.address)
        self._submit(partial(look, scheduler, device), done, partial(self._refused, self.address))

    def _answered(self, address: str, found: list[Offer]) -> None:
        if address == self.address:
            more = f" It is one of {len(found)} that can." if len(found) > 1 else ""
            self._know(Answer(f"It works: {_words(found[0])}{more}", "good"))

    def _refused(self, address: str, error: BaseException) -> None:
        if address == self.address:
            self._know(Answer(in_window(error), "warn"))

    def _know(self, answer: Answer) -> None:
        self.answer = answer
        self.changed.emit()


def _words(offer: Offer) -> str:
    """The machine that would train, in words."""
    what = f"a graphics card ({offer.gpu})" if offer.gpu else "no graphics card"
    busy = " It is busy now; a run waits until it is free." if offer.busy else ""
    return f"{offer.host} has {what}.{busy}"
