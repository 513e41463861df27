"""Which nuclei of a project are exported, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.labels import TILE
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Candidate, ImageRecord, Outline, Project, State
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


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """An image and what is exported of it, in order of serial; `note`: what is to be said of it."""

    project: Project
    record: ImageRecord
    nuclei: list[ExportedNucleus]
    note: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in level-0 pixels."""
        return self.record.height, self.record.width

    @property
    def largest(self) -> int:
        """The largest serial, 0 without nuclei."""
        return max((n.serial for n in self.nuclei), default=0)

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


def _from_below(nuclei: list[ExportedNucleus]) -> list[ExportedNucleus]:
    """Where nuclei overlap the accepted one is on top, and of equals the older."""
    return sorted(nuclei, key=lambda n: (n.state == "accepted", -n.serial))


def refined(project: Project, record: ImageRecord) -> ExportedImage | None:
    """The nuclei of the newest adopted run but for rejected ones, settled outlines in their stead.

    None when neither a run nor a person gave this image any.
    """
    run = project.nuclei.adopted_run(record.name)
    if run is None:
        return _settled(project, record, NOT_REJECTED)
    nuclei = [
        ExportedNucleus(c.id, c.serial, c.y, c.x, c.outline, c.state, c.class_name, *_told(c))
        for c in project.nuclei.candidates(record.name)
        if c.state != "rejected"
    ]
    return ExportedImage(project, record, nuclei)


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
    found = {c.id: c for c in project.nuclei.candidates(record.name)}
    nuclei = [
        ExportedNucleus(
            n.id,
            n.serial,
            n.y,
            n.x,
            outline,
            n.state,
            n.class_name,
            *_told(found.get(n.id)),
        )
        for n, outline in project.nuclei.outlines(record.name, states)
    ]
    return ExportedImage(project, record, nuclei) if nuclei else None


def _told(candidate: Candidate | None) -> tuple[float | None, str | None]:
    """What a run said of a nucleus: its score and the run; None where none found it."""
    if candidate is None or not candidate.run:
        return None, None
    return candidate.score, candidate.run
