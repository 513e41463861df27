"""The walk itself: an act, rest, and whether all agrees; again, as often as was asked for."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from napari_noisyseg.gui.launch import show
from napari_noisyseg.gui.wander.acts import CanvasActs, Did, Do, KeyActs
from napari_noisyseg.gui.wander.agree import Canvas
from napari_noisyseg.gui.wander.agreepanel import PanelTruth
from napari_noisyseg.gui.wander.disk import Disk
from napari_noisyseg.gui.wander.hands import Hands
from napari_noisyseg.gui.wander.layeracts import ImageActs, LayerActs
from napari_noisyseg.gui.wander.panelacts import PanelActs
from napari_noisyseg.gui.wander.reviewacts import ReviewActs
from napari_noisyseg.gui.wander.scene import Scene
from napari_noisyseg.gui.wander.watch import Errors, Stalls, Work
from napari_noisyseg.store.records import JournalEntry
from napari_noisyseg.worker.adoption.found import CLICKS

SIZE = (1200, 800)
NO_REST = "the work never came to an end"
LAST = 20
"""acts that are told with a disagreement"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One disagreement, or an exception: the number of the act, what was done, what is wrong."""

    act: int
    did: str
    words: str
    before: tuple[str, ...] = ()


@dataclass
class Walked:
    """What a walk came to; the worst stall in ms, and the act that it was in.

    `worst_turn_cpu_ms` is that of one turn of the event loop, in the window's own processor time.
    """

    seed: int
    acts: int = 0
    disagreements: list[Trouble] = field(default_factory=list)
    exceptions: list[Trouble] = field(default_factory=list)
    worst_stall_ms: float = 0.0
    worst_act: str = ""
    worst_turn_cpu_ms: float = 0.0
    busiest_act: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Wandering:
    """A window, a project, and someone who does anything at random.

    Each act draws from a random source of its own, so that a walk can be told by the numbers of
    its acts alone.
    """

    def __init__(self, scene: Scene, seed: int) -> None:
        self.seed, self.walked = seed, Walked(seed)
        self.work = Work()
        self.viewer, self.panel = show(scene.project)
        self.stalls = Stalls()  # a timer needs the application
        self.viewer.window._qt_window.resize(*SIZE)
        self.session = self.panel.session
        self.errors, self.disk = Errors(self.session), Disk(scene.project)
        self.hands = Hands(self.panel)
        self.canvas = Canvas(self.panel, self.disk)
        self.truth = PanelTruth(self.panel, self.disk)
        self._table = self._acts(scene)
        self._last: deque[str] = deque(maxlen=LAST)
        self._standing: set[str] = set()
        self._typing = False
        self.work.rest()

    def _acts(self, scene: Scene) -> dict[Do, float]:
        hands = self.hands
        found: dict[Do, float] = {}
        for part in (
            CanvasActs(hands), KeyActs(hands), PanelActs(hands), LayerActs(hands),
            ReviewActs(hands),
            ImageActs(hands, scene, self.stalls),
        ):  # fmt: skip
            found |= part.table()
        return found

    def walk(self, acts: Iterable[int]) -> Walked:
        """Do the acts of these numbers, and look after each."""
        for number in acts:
            self._one(number)
        return self.walked

    def close(self) -> None:
        """The window goes, and all that looked on."""
        self.viewer.close()
        for part in (self.errors, self.work, self.stalls, self.disk):
            part.close()

    # --- one act -------------------------------------------------------------------------------

    def _one(self, number: int) -> None:
        front, since = self.session.image, self.disk.version()
        self._typing = self.panel.header.mpp.isModified()
        did, rested = self.do(number, self._table)
        wrong = self._wrong(did, front, since)
        self._tell(number, did, wrong if rested else [*wrong, NO_REST])

    def work_on(self, number: int, table: Mapping[Do, float], look: bool) -> None:
        """An act of a table, wherever it stores; `look`: whether all agrees then."""
        did, rested = self.do(number, table)
        wrong = self.canvas.check() + self.truth.check() if look else []
        self._tell(number, did, wrong if rested else [*wrong, NO_REST])

    def do(self, number: int, table: Mapping[Do, float]) -> tuple[Did, bool]:
        """One act of a table, by chance, and what comes of it; False: that came to no end."""
        random = np.random.default_rng((self.seed, number))
        acts, weights = list(table), np.array(list(table.values()))
        act = acts[int(random.choice(len(acts), p=weights / weights.sum()))]
        with self.stalls.watching():
            did = self._try(act, random)
            rested = self.work.rest()
        self._note(number, did)
        return did, rested

    def _try(self, act: Do, random: np.random.Generator) -> Did:
        try:
            return act(random)
        except Exception as error:  # of the walk itself, or of napari at a call of the walk
            self.errors._raised(type(error), error, None)
            return Did(f"{act.__name__} failed", "any")

    def _note(self, number: int, did: Did) -> None:
        self._last.append(f"{number} {did.words}")
        self.walked.acts += 1
        if self.stalls.worst > self.walked.worst_stall_ms:
            self.walked.worst_stall_ms = self.stalls.worst
            self.walked.worst_act = f"{number} {did.words}"
        if self.stalls.busiest > self.walked.worst_turn_cpu_ms:
            self.walked.worst_turn_cpu_ms = self.stalls.busiest
            self.walked.busiest_act = f"{number} {did.words}"
        for words in self.errors.take():
            self.walked.exceptions.append(self._trouble(number, did, words))

    def _tell(self, number: int, did: Did, wrong: list[str]) -> None:
        """What was wrong after the act before already is told once."""
        new = [words for words in dict.fromkeys(wrong) if words not in self._standing]
        self._standing = set(wrong)
        self.walked.disagreements += [self._trouble(number, did, words) for words in new]

    def _trouble(self, number: int, did: Did, words: str) -> Trouble:
        print(f"{number} {did.words}: {words}", file=sys.stderr, flush=True)
        return Trouble(number, did.words, words, tuple(self._last))

    def _wrong(self, did: Did, front: str | None, since: int) -> list[str]:
        stored = [x for x in self.disk.since(since) if not self._allowed(x, did, front)]
        astray = [f"“{x.words}” was stored in {x.image}" for x in stored]
        return astray + self.canvas.check() + self.truth.check()

    def _allowed(self, entry: JournalEntry, did: Did, front: str | None) -> bool:
        """Whether that may have been stored where it was; None: it is of no image (a class)."""
        if did.may == "any" or entry.image is None:
            return True
        if entry.words == f"results of run {CLICKS}":  # a review brings them up to date by itself
            return True
        allowed = set(did.these)
        if did.may == "front" or self._typing:
            allowed |= {front} if front is not None else set()
        if did.may == "travel":
            gone = entry.image not in self.disk.images()
            allowed |= {self.session.image or "", *({entry.image} if gone else ())}
        return entry.image in allowed
