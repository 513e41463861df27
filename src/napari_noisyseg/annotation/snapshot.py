"""A run's snapshot: a frozen copy of the annotation and of the annotated pixels.

Training reads nothing else, so it can never touch what people drew, and what they draw meanwhile
changes nothing in the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.annotation.masks import Judge
from napari_noisyseg.annotation.surroundings import partly_known
from napari_noisyseg.annotation.unlabeled import LARGEST, Unlabeled
from napari_noisyseg.coarse.project import copy_learned
from napari_noisyseg.data.regions import SNAPSHOT, Region, save_regions
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import Needs
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Field, ImageRecord, Nucleus, Outline

WHOLE = LARGEST
"""Pixels up to which an image is one region; of larger ones the fields' surroundings are."""
SURROUNDINGS = 32.0
"""µm of tissue around a field that a region holds."""
MARGIN = 0.75
"""µm around an accepted nucleus that is known to be background."""
ROUGH_MARGIN = 6.0
"""µm around a rough mask, a nucleus wide, that is taken for (noisy) background outside fields."""
DROPPED = 1.5
"""µm around a suggestion that a person dropped in which there is no nucleus."""
PROPOSED = ("unreviewed", "unsure")
"""states of nuclei whose outlines are a run's word alone"""


def write_snapshot(
    project: Project, folder: Path, images: Sequence[str] | None, needs: Needs | None = None
) -> list[str]:
    """Write FOLDER/snapshot; returns the names of its regions.

    images: which of the project's; None for every annotated one, and for every other one too where
    `needs.unlabeled`. What the starter learned in the project is copied with it. Raises
    NoisySegError when there is nothing to learn from, or masks cannot be what `needs` asks for.
    """
    records = _chosen(project, images)
    judge, bare = Judge(needs), Unlabeled(needs is not None and needs.unlabeled)
    regions = (
        judge.looked_at(partly_known(region) if needs and needs.points else region)
        for record in records
        for region in regions_of(project, record, bare)
    )
    names = save_regions(folder / SNAPSHOT, regions, version=project.nuclei.version())
    if not names and bare.refused:
        raise NoisySegError(f"{project.path}: nothing to train on: {'; '.join(bare.refused[:3])}")
    if not names:
        raise NoisySegError(
            f"{project.path}: no annotated image to train on; add points in a field (noisyseg "
            "import, noisyseg field, or Annotate ▸ field) or masks (noisyseg import --as rough)"
        )
    judge.verdict()
    copy_learned(project, folder / SNAPSHOT)
    return names


def _chosen(project: Project, names: Sequence[str] | None) -> list[ImageRecord]:
    if names is None:
        return project.images()
    return [project.image(name) for name in names]


def regions_of(project: Project, record: ImageRecord, bare: Unlabeled) -> Iterator[Region]:
    """The annotated parts of one image; where nobody has said anything of it, what `bare` takes."""
    fields = project.nuclei.fields(record.name)
    said = _boxes(project, record, fields)
    boxes = said or bare.boxes(record)
    if not boxes:
        return
    slide = project.pixels(record.name)
    try:
        for i, box in enumerate(boxes):
            name = record.name if len(boxes) == 1 else f"{record.name} {i + 1}"
            rgb = slide.read(box)
            if said or bare.shows_something(record.name, rgb):
                yield region(project, record, name, box, rgb)
    finally:
        slide.close()


def _boxes(project: Project, record: ImageRecord, fields: Sequence[Field]) -> list[Box]:
    shape = (record.height, record.width)
    if record.height * record.width <= WHOLE:
        spoken = fields or project.nuclei.of(record.name) or project.nuclei.planes(record.name)
        return [Box(0, 0, *shape)] if spoken else []
    around = round(SURROUNDINGS / record.mpp)
    return merged([field.box.grow(around).clip(shape) for field in fields])


def merged(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that share no pixel: those that meet become the one that holds both."""
    apart: list[Box] = []
    for new in boxes:
        box = new
        while meeting := [other for other in apart if not box.intersect(other).empty]:
            for other in meeting:
                apart.remove(other)
                box = Box.around((box, other))
        apart.append(box)
    return sorted(apart)


def region(
    project: Project, record: ImageRecord, name: str, box: Box, rgb: NDArray[np.uint8]
) -> Region:
    """A box of an image with everything that people said of it."""
    nuclei = project.nuclei.of(record.name, box)
    points = [n for n in nuclei if n.state != "rejected"]
    known = project.nuclei.known(record.name, box)
    rough = rough_masks(project, record.name, box)
    clean, rejected = _settled(project, record, box, points)
    fields = project.nuclei.fields(record.name)
    undecided = np.zeros_like(rejected)
    if "rough" in project.nuclei.planes(record.name):
        decided = np.unique(rough[(clean > 0) | rejected])
        undecided = (rough > 0) & ~np.isin(rough, decided)
    settled = _settled_fields(fields, nuclei, undecided, box) | rejected
    return Region(
        name=name,
        image=record.name,
        box=box,
        mpp=record.mpp,
        rgb=rgb,
        known=known,
        points=np.array([(n.y - box.y0, n.x - box.x0) for n in points]).reshape(-1, 2),
        serials=np.array([n.serial for n in points], np.int64),
        rough=rough,
        rough_known=known | _grown(rough > 0, ROUGH_MARGIN / record.mpp),
        clean=clean,
        clean_known=settled | _grown(clean > 0, MARGIN / record.mpp),
        rejected=rejected,
        fit=_fit(project.labels.fit(record.name)),
    )


def rough_masks(project: Project, image: str, box: Box) -> NDArray[np.int32]:
    """The rough masks in a box, (h, w) of ids: painted or imported ones, 0 = background.

    In an image without any, what a run has proposed and nobody has decided on is the noisy label.
    """
    if "rough" in project.nuclei.planes(image):
        return np.asarray(project.nuclei.painted(image, box=box), np.int32)
    candidates = project.nuclei.candidates(image, box=box)
    proposed = [(c.serial, c.outline) for c in candidates if c.state in PROPOSED]
    return _drawn(proposed, box)


def _drawn(outlines: Iterable[tuple[int, Outline]], box: Box) -> NDArray[np.int32]:
    """Outlines as a label image of their serials, (h, w) of the box."""
    labels = np.zeros(box.shape, np.int32)
    for serial, outline in outlines:
        outline.paste(labels, box, serial)
    return labels


def _fit(fit: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(fit) if fit else None


def _settled(
    project: Project, record: ImageRecord, box: Box, standing: Sequence[Nucleus]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Accepted outlines as a label image of serials, and where there is no nucleus for certain.

    That is inside what was rejected, but for outlines that hold the point of a nucleus that stands:
    those were wrong outlines, or the same nucleus twice. And around dropped suggestions.
    """
    clean, rejected = (
        _drawn(((n.serial, o) for n, o in project.nuclei.outlines(record.name, (s,), box)), box)
        for s in ("accepted", "rejected")
    )
    pixels = [(math.floor(n.y + 0.5) - box.y0, math.floor(n.x + 0.5) - box.x0) for n in standing]
    if pixels:
        held = rejected[tuple(np.array(pixels).T)]
        rejected[np.isin(rejected, held[held > 0])] = 0
    dropped = _around(project.nuclei.dropped(record.name) - box.origin, box, DROPPED / record.mpp)
    return clean, ((rejected > 0) | dropped) & (clean == 0)


def _around(places: NDArray[np.float64], box: Box, pixels: float) -> NDArray[np.bool_]:
    """What of a box lies at most that far from places (n, 2) in it."""
    at = np.zeros(box.shape, bool)
    whole = np.floor(places + 0.5).astype(np.intp)
    inside = ((whole >= 0) & (whole < box.shape)).all(axis=1)
    at[tuple(whole[inside].T)] = True
    return _grown(at, pixels)


def _settled_fields(
    fields: Sequence[Field], nuclei: Sequence[Nucleus], undecided: NDArray[np.bool_], box: Box
) -> NDArray[np.bool_]:
    """Complete fields in which every nucleus was accepted or rejected: trusted as a whole.

    undecided: rough masks, bool (h, w) of the box, that meet no nucleus with a decision: they are
    nuclei too that the field's promise speaks of.
    """
    settled = np.zeros(box.shape, bool)
    for field in fields:
        inside = [n for n in nuclei if field.box.contains(n.y, n.x)]
        done = bool(inside) and all(n.state in ("accepted", "rejected") for n in inside)
        seen = field.box.intersect(box)
        part = seen.within(box)
        if field.complete and done and not seen.empty and not undecided[part].any():
            settled[part] = True
    return settled


def _grown(mask: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    """The mask and everything at most that far from it."""
    if not mask.any():
        return mask
    distance = ndimage.distance_transform_edt(~mask)
    grown: NDArray[np.bool_] = np.asarray(distance) <= pixels
    return grown
