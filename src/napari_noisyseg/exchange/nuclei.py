"""Which nuclei of a project are exported, and what is known of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.labels import TILE
from napari_noisyseg.slides import Box
from napari_noisyseg.store import ImageRecord, Outline, Packed, Project, Selection, State
from napari_noisyseg.store.packed import PIECE
from napari_noisyseg.store.records import STATES

NOT_REJECTED: tuple[State, ...] = tuple(s for s in STATES if s != "rejected")


@dataclass(frozen=True, slots=True)
class ExportedNucleus:
    """A nucleus with its outline; (y, x) in level-0 pixels. Of one that no run found (any more)
    `score` (confidence in 0..1) and `run` are None.
    """

    id: str
    serial: int
    y: float
    x: float
    outline: Outline
    state: State
    class_name: str | None
    score: float | None
    run: str | None


class Stored(Sequence[ExportedNucleus]):
    """Nuclei that are read from the project only when they are asked for."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def __len__(self) -> int:
        return len(self.selection)

    def __iter__(self) -> Iterator[ExportedNucleus]:
        for nuclei in self.selection.in_order():
            yield from _unpacked(nuclei)

    @overload
    def __getitem__(self, index: int) -> ExportedNucleus: ...
    @overload
    def __getitem__(self, index: slice) -> list[ExportedNucleus]: ...
    def __getitem__(self, index: int | slice) -> ExportedNucleus | list[ExportedNucleus]:
        return list(self)[index]


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """An image and what is exported of it, in order of serial; `note`: what is to be said of it."""

    project: Project
    record: ImageRecord
    nuclei: Sequence[ExportedNucleus]
    note: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in level-0 pixels."""
        return self.record.height, self.record.width

    @property
    def largest(self) -> int:
        """The largest serial, 0 without nuclei."""
        if isinstance(self.nuclei, Stored):
            return int(self.nuclei.selection.serials.max(initial=0))
        return max((n.serial for n in self.nuclei), default=0)

    def in_order(self) -> Iterator[Packed]:
        """The nuclei as columns, by serial, a part of them at a time."""
        if isinstance(self.nuclei, Stored):
            yield from self.nuclei.selection.in_order()
        else:
            for begin in range(0, len(self.nuclei), PIECE):
                yield _packed(self.nuclei[begin : begin + PIECE])

    def by_square(self, side: int) -> Iterator[Packed]:
        """The same, those together whose outlines begin in the same square of `side` pixels."""
        if isinstance(self.nuclei, Stored):
            yield from self.nuclei.selection.by_tile(side)
            return
        squares: dict[tuple[int, int], list[ExportedNucleus]] = defaultdict(list)
        for nucleus in self.nuclei:
            squares[nucleus.outline.box.y0 // side, nucleus.outline.box.x0 // side].append(nucleus)
        yield from map(_packed, squares.values())

    def labels(self) -> NDArray[np.int32]:
        """The serial of each pixel's nucleus, int32 (H, W)."""
        labels = np.zeros(self.shape, np.int32)
        for nucleus in _from_below(self.nuclei):
            nucleus.outline.paste(labels, Box(0, 0, *self.shape), nucleus.serial)
        return labels

    def by_tile(self) -> list[list[ExportedNucleus]]:
        """The nuclei that reach into each of `labels.tile_boxes`, the topmost last."""
        height, width = self.shape
        across = -(-width // TILE)
        found: list[list[ExportedNucleus]] = [[] for _ in range(across * -(-height // TILE))]
        for nucleus in _from_below(self.nuclei):
            box = nucleus.outline.box
            for row in range(box.y0 // TILE, (box.y1 - 1) // TILE + 1):
                for column in range(box.x0 // TILE, (box.x1 - 1) // TILE + 1):
                    found[row * across + column].append(nucleus)
        return found


def _packed(nuclei: Sequence[ExportedNucleus]) -> Packed:
    return Packed.of_rows(
        [
            (n.id, n.serial, n.y, n.x, *n.outline.box, n.outline.packed_mask, n.score, n.run,
             n.state, n.class_name)
            for n in nuclei
        ]
    )  # fmt: skip


def _unpacked(nuclei: Packed) -> Iterator[ExportedNucleus]:
    for k, (y, x) in enumerate(zip(nuclei.y, nuclei.x, strict=True)):
        yield ExportedNucleus(
            nuclei.ids[k], nuclei.serials[k], y, x, nuclei.outline(k), nuclei.states[k],
            nuclei.classes[k], nuclei.scores[k], nuclei.runs[k],
        )  # fmt: skip


def _from_below(nuclei: Iterable[ExportedNucleus]) -> list[ExportedNucleus]:
    """In drawing order: where nuclei overlap the accepted one is on top, else the older one."""
    return sorted(nuclei, key=lambda n: (n.state == "accepted", -n.serial))


def refined(project: Project, record: ImageRecord) -> ExportedImage | None:
    """The nuclei of the newest adopted run but for rejected ones, settled outlines in their stead.

    None when neither a run nor a person gave this image any.
    """
    run = project.nuclei.adopted_run(record.name)
    if run is None:
        return _settled(project, record, NOT_REJECTED)
    chosen = project.nuclei.selection(record.name, NOT_REJECTED)
    return ExportedImage(project, record, Stored(chosen))


def accepted(project: Project, record: ImageRecord) -> ExportedImage | None:
    """The nuclei that a person accepted; None when there is none in this image."""
    return _settled(project, record, ("accepted",))


def drawn(project: Project, record: ImageRecord) -> list[ExportedNucleus]:
    """Nuclei whose outline a person accepted, drew or brought, but for rejected ones; no score."""
    return [
        ExportedNucleus(n.id, n.serial, n.y, n.x, outline, n.state, n.class_name, None, None)
        for n, outline in project.nuclei.outlines(record.name, NOT_REJECTED)
        if n.frozen
    ]


def _settled(
    project: Project, record: ImageRecord, states: tuple[State, ...]
) -> ExportedImage | None:
    chosen = project.nuclei.selection(record.name, states, of_run=False)
    return ExportedImage(project, record, Stored(chosen)) if len(chosen) else None
