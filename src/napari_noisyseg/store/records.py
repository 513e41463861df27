"""What the project hands out: frozen records of images, nuclei, fields, outlines and history."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store.packing import count_mask, pack_mask, unpack_mask

State = Literal["unreviewed", "accepted", "rejected", "unsure"]
Way = Literal["queue", "audit", "bulk", "blind"]
"""How a nucleus came to be judged: in its turn, drawn at random, with many at once, or by a second
person who does not see what the first one said."""
NOTHING = "nothing stands out"
"""The reason to look at a nucleus that nothing speaks against."""
STATES: tuple[State, ...] = ("unreviewed", "accepted", "rejected", "unsure")


class Aspect(IntFlag):
    """What an action touched, so that a listener refreshes no more than that."""

    NOTHING = 0
    POINTS = 1
    FIELDS = 2
    ROUGH = 4
    OUTLINES = 8
    DECISIONS = 16
    CLASSES = 32
    IMAGES = 64
    CANDIDATES = 128
    LEARNED = 256
    COMMENTS = 512


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image of the project; `link` is the slide's file, None where pixels were copied in.

    `mpp` is µm per level-0 pixel; `mpp_assumed` says that nobody has stated it. `icc` is the name
    of the colour profile by which its colours were brought to sRGB, "" for none.
    """

    name: str
    height: int
    width: int
    mpp: float
    mpp_assumed: bool
    link: Path | None
    sha: str
    icc: str = ""


@dataclass(frozen=True, slots=True)
class Nucleus:
    """A nucleus that a person marked or decided on; (y, x) its point in level-0 pixels.

    `id` is a UUID for life, `serial` its value in label images (order of birth, unique in the
    project). `origin` is how it came: click, import, suggested, ... or `candidate` for one that a
    run found. `frozen` says that its outline was accepted or edited and no run may change it.
    """

    id: str
    serial: int
    image: str
    y: float
    x: float
    class_name: str | None
    origin: str
    state: State
    frozen: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A rectangle in which, where `complete`, a person promises that every nucleus is marked."""

    id: str
    image: str
    box: Box
    complete: bool


class Outline:
    """A nucleus as pixels: `mask` is bool (box.height, box.width). Not to be changed.

    One that was read from a project unpacks its mask each time it is asked for: half a million
    of them fit into memory.
    """

    __slots__ = ("_mask", "_packed", "box")

    def __init__(self, box: Box, mask: NDArray[np.bool_]) -> None:
        self.box = box
        self._mask: NDArray[np.bool_] | None = mask
        self._packed = b""

    @classmethod
    def packed(cls, box: Box, packed: bytes) -> Outline:
        """An outline whose mask is packed as in the database (`packing.pack_mask`)."""
        made = cls.__new__(cls)
        made.box, made._mask, made._packed = box, None, packed
        return made

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Its pixels; `NoisySegError` where the project's are damaged."""
        return unpack_mask(self._packed, self.box) if self._mask is None else self._mask

    @property
    def fits(self) -> bool:
        """Whether its mask has the shape of its box; one that is packed is known when unpacked."""
        return self._mask is None or self._mask.shape == self.box.shape

    @property
    def packed_mask(self) -> bytes:
        """The mask as `packing.pack_mask` packs it."""
        return pack_mask(self._mask) if self._mask is not None else self._packed

    def __repr__(self) -> str:
        return f"Outline({tuple(self.box)}, {self.area} pixels)"

    @classmethod
    def of(cls, mask: NDArray[np.bool_], box: Box) -> Outline | None:
        """What is set in a mask (h, w) of `box`, in its smallest box; None when nothing is."""
        tight = Box.of_mask(mask, box.origin)
        return None if tight.empty else cls(tight, np.array(mask[tight.within(box)], bool))

    @property
    def area(self) -> int:
        """How many pixels it has."""
        if self._mask is None:
            return count_mask(self._packed, self.box)
        return int(np.count_nonzero(self._mask))

    def middle(self) -> tuple[float, float]:
        """A place (y, x) that surely lies in it: its pixel nearest the centroid."""
        inside = np.argwhere(self.mask)
        y, x = inside[((inside - inside.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        return float(y + self.box.y0), float(x + self.box.x0)

    def holds(self, y: float, x: float) -> bool:
        """Whether the pixel of a place (y, x) is one of its own."""
        if not self.box.contains(y, x):
            return False
        at = math.floor(y + 0.5) - self.box.y0, math.floor(x + 0.5) - self.box.x0
        return bool(self.mask[at])

    def cut(self, box: Box) -> NDArray[np.bool_]:
        """Which pixels of any box are the nucleus's, bool (h, w)."""
        inside, both = np.zeros(box.shape, bool), self.box.intersect(box)
        inside[both.within(box)] = self.mask[both.within(self.box)]
        return inside

    def paste(self, labels: NDArray[Any], box: Box, value: int, under: bool = False) -> None:
        """Write `value` where the nucleus is in `labels` (h, w), the pixels of `box`.

        What reaches out of the box is left away. under: only where nothing (0) is yet.
        """
        both = self.box.intersect(box)
        part, mask = labels[both.within(box)], self.mask[both.within(self.box)]
        part[mask & (part == 0) if under else mask] = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outline) or self.box != other.box:
            return False
        # often the same bytes: two of one row
        alike = self._mask is None and self._packed == other._packed
        return alike or bool(np.array_equal(self.mask, other.mask))

    __hash__ = None  # type: ignore[assignment]


# not frozen, as that takes four times as long to make: there may be half a million
@dataclass(slots=True)
class Candidate:
    """A refined nucleus of a run; `score` is confidence in 0..1, `reason` why it needs a look.

    Give `id` = "" and `serial` = 0 to `Nuclei.adopt` for one that came from no point. What is
    read back has the person's `state`, and a frozen outline in place of the run's; `run` is "" for
    one that the run did not find.
    """

    id: str
    serial: int
    y: float
    x: float
    outline: Outline
    score: float
    reason: str
    run: str
    area_um2: float
    state: State = "unreviewed"
    frozen: bool = False
    class_name: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """How a decision came about; `ms`: how long the nucleus was looked at, None where unknown."""

    way: Way = "queue"
    ms: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one person said of one nucleus.

    `time` (Unix seconds) is that of the first look, `run` whose nucleus it was then. `agreed` is
    the IoU of its outline with the one that the person accepted or drew, 0 for a rejected one, None
    where unsure or where no run had outlined it.
    """

    id: str
    image: str
    reviewer: str
    state: State
    way: Way
    run: str
    time: float
    ms: int | None
    agreed: float | None


@dataclass(frozen=True, slots=True)
class Learned:
    """Weights that a network learned from the decisions in this project.

    `path` is a safetensors file; `about` says of how many nuclei, and what it was worth.
    """

    network: str
    path: Path
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NucleusClass:
    """A named class of nuclei; `color` is #rrggbb."""

    name: str
    color: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One action of a person; `state` is done, undone (redo brings it back) or dropped."""

    id: int
    time: float
    words: str
    image: str | None
    aspects: Aspect
    state: Literal["done", "undone", "dropped"]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One step of the project's version: an action done or redone (+1), undone (-1), or a run's
    results adopted (0).
    """

    version: int
    direction: int
    image: str | None
    aspects: Aspect
    words: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How far the work is. `candidates` are the nuclei to be judged: see `Nuclei.judged`.

    accepted, rejected and unsure are those of them that a person decided on; `reviewed` their sum.
    `points` are nuclei that a person marked, `nuclei` those and the finds that were accepted,
    `outlines` those with a frozen outline, `complete` the fields in which every nucleus is
    promised to be marked.
    """

    points: int
    fields: int
    candidates: int
    accepted: int
    rejected: int
    unsure: int
    outlines: int = 0
    complete: int = 0
    nuclei: int = 0

    @property
    def reviewed(self) -> int:
        """Nuclei with a decision."""
        return self.accepted + self.rejected + self.unsure
