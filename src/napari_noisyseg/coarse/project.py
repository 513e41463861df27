"""Coarse labels of a project's images: over the whole of a small one, per field of a large one."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import NoisySegError
from ..slides import Box
from ..store import Nucleus, Project
from . import CoarseLabels
from .outline import Look
from .readers import file_of
from .starter import CENTRES, OUTLINE, Network, at_click, read_weights
from .superpixels import SIZE_UM, superpixels

KINDS = ("outline", "voronoi", "cluster", "local")
"""derived from points"""
SUPERPIXEL = "superpixel"
EVERY = (*KINDS, SUPERPIXEL)

WHOLE_PIXELS = 4_000_000
"""images up to this size are worked on as a whole; of larger ones only the fields"""

MARGIN_UM = 16.0
"""what is looked at around a field, so that its border is judged with its surroundings"""


class Outlined(NamedTuple):
    """Nuclei outlined at the points of a region: int32 (h, w) of serials, all that are in it.

    doubt: as that of `CoarseLabels`, of the kind `outline`.
    """

    labels: NDArray[np.int32]
    doubt: str


def regions(project: Project, image: str) -> list[Box]:
    """Boxes within which the labels of an image are derived: one for all, or one a field."""
    return [region for _, region in _regions(project, image)]


def _regions(project: Project, image: str) -> list[tuple[Box, Box]]:
    """What is marked (the image or a field), and the region in which it is looked at."""
    record = project.image(image)
    shape = (record.height, record.width)
    if record.height * record.width <= WHOLE_PIXELS:
        whole = Box(0, 0, *shape)
        return [(whole, whole)]
    margin = round(MARGIN_UM / record.mpp)
    boxes = [field.box for field in project.nuclei.fields(image)]
    return [(box, box.grow(margin).clip(shape)) for box in boxes]


def clicked(project: Project, image: str) -> list[tuple[Box, list[Nucleus]]]:
    """Every region with the nuclei that are outlined there, in order of serial.

    Each nucleus once: one that several fields hold is outlined where it is the farthest from the
    field's edge. Of a large image those outside all fields are left out.
    """
    inside = [
        (project.nuclei.of(image, box), box, around) for box, around in _regions(project, image)
    ]
    deepest: dict[int, tuple[float, int]] = {}
    for number, (nuclei, box, _) in enumerate(inside):
        for n in nuclei:
            depth = min(n.y - box.y0, box.y1 - n.y, n.x - box.x0, box.x1 - n.x)
            known = deepest.get(n.serial, (-math.inf, 0))
            deepest[n.serial] = max(known, (depth, -number))
    return [
        (around, [n for n in nuclei if deepest[n.serial][1] == -number])
        for number, (nuclei, _, around) in enumerate(inside)
    ]


def outlined(
    project: Project, image: str, region: Box, kind: Literal["outline", "local"]
) -> Outlined:
    """Outline the points of a region again, whatever was derived before."""
    labels = labels_of(project, image, region, (kind,))
    if kind == "local":
        return Outlined(np.array(labels.instances), "")
    return Outlined(np.array(labels.outlines), labels.doubt)


def labels_of(project: Project, image: str, box: Box, kinds: Iterable[str] = KINDS) -> CoarseLabels:
    """Coarse labels of one region, coordinates relative to `box`."""
    record = project.image(image)
    with project.pixels(image) as slide:
        rgb = slide.read(box)
    known = project.nuclei.known(image, box)
    fit = project.labels.fit(image)
    return CoarseLabels(
        rgb, points_in(project, image, box), known, record.mpp, fit=fit, kinds=tuple(kinds),
        look=look_of(project),
    )  # fmt: skip


def look_of(project: Project) -> Look | None:
    """How outlines are drawn at clicks in this project; None: as the starter does.

    A file of learned weights that cannot be read is passed over: the starter stays in reach.
    """
    network = _learned(project, OUTLINE)
    return None if network is None else at_click(network)


def centres_of(project: Project) -> Network | None:
    """What finds nuclei where nobody clicked in this project; None: the starter as it comes."""
    return _learned(project, CENTRES)


def copy_learned(project: Project, folder: Path) -> None:
    """Copy what the networks learned in this project, where it can be read, into a folder."""
    for name in (CENTRES, OUTLINE):
        learned = project.learned.of(name)
        if learned is not None and _learned(project, name) is not None:
            shutil.copyfile(learned.path, folder / file_of(name))


def _learned(project: Project, name: str) -> Network | None:
    learned = project.learned.of(name)
    if learned is None:
        return None
    try:
        return _adapted(name, learned.path)
    except (NoisySegError, ValueError):
        return None


@lru_cache(maxsize=4)
def _adapted(name: str, path: Path) -> Network:
    return Network(name, read_weights(path)[0])


def points_in(project: Project, image: str, box: Box) -> dict[int, tuple[float, float]]:
    """Points of a region, serial to (y, x) relative to `box`."""
    return {n.serial: (n.y - box.y0, n.x - box.x0) for n in project.nuclei.of(image, box)}


def derive_image(project: Project, image: str, kinds: Iterable[str] = KINDS) -> str:
    """Derive and keep the coarse labels of one image; needs the project's lock.

    Gives back why `outline` is no better than `local` here; empty where it is, or was not asked.
    """
    kinds = tuple(kinds)
    if SUPERPIXEL in kinds:
        derive_superpixels(project, image)
        kinds = tuple(kind for kind in kinds if kind != SUPERPIXEL)
    if not kinds:
        return ""
    source = {"derived_from": "points", "annotation_version": project.nuclei.version()}
    doubts: list[str] = []
    for box in regions(project, image):
        labels = labels_of(project, image, box, kinds)
        for kind, array in _arrays(labels, kinds):
            project.labels.write_box(image, kind, box, array, source)
        if labels.fit is not None:
            project.labels.set_fit(image, labels.fit)
        if "outline" in kinds:
            doubts.append(labels.doubt)
    return "; ".join(dict.fromkeys(filter(None, doubts)))


def derive_superpixels(project: Project, image: str, size_um: float = SIZE_UM) -> None:
    """Keep the superpixels of one image, ids from 1 that no two fields share; 0 elsewhere."""
    record = project.image(image)
    boxes = regions(project, image)
    if not boxes:
        raise NoisySegError(
            f"{image}: too large to cut into superpixels as a whole; mark a field (Annotate ▸ "
            "field, or noisyseg field)"
        )
    source = {"derived_from": "pixels", "superpixel_um": size_um}
    last = 0
    for box in boxes:
        with project.pixels(image) as slide:
            ids = superpixels(slide.read(box), record.mpp, size_um) + last
        project.labels.write_box(image, SUPERPIXEL, box, ids, source)
        last = int(ids.max())


def _arrays(labels: CoarseLabels, kinds: Iterable[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for kind in kinds:
        yield kind, getattr(labels, kind)
