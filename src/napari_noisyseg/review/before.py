"""What a nucleus's outline was before the run: the rough mask, or the outline at its click."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from napari_noisyseg.coarse.project import labels_of
from napari_noisyseg.review.queue import ReviewItem
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline

MARGIN_UM = 5.0
"""how far round the new outline the old one is looked for"""


LARGEST = 4_000_000
"""pixels of an image up to which the clicks' outlines are made"""


def clicked_outlines(project: Project, image: str) -> NDArray[np.int32] | None:
    """What each click alone gives, int32 (H, W) of serials: outlines in the whole image.

    None where there are no points or the image is too large to do so; takes a second.
    """
    record = project.image(image)
    if not project.nuclei.of(image) or record.height * record.width > LARGEST:
        return None
    return labels_of(project, image, Box(0, 0, record.height, record.width), ("outline",)).outlines


def old_outline(
    project: Project, item: ReviewItem, clicked: NDArray[np.int32] | None = None
) -> Outline | None:
    """The painted mask that the nucleus overlaps most, else what its click alone gave.

    `clicked` is `clicked_outlines` of the nucleus's image; without it (a large image) the stored
    label is asked: `outline`, or `local` where the project has no other.
    """
    record = project.image(item.image)
    new = item.candidate.outline
    grown = new.box.grow(round(MARGIN_UM / record.mpp)).clip((record.height, record.width))
    inside = new.cut(grown)
    found = most_overlapped(project.nuclei.painted(item.image, box=grown), inside)
    if found is None and clicked is not None:
        found = clicked[grown.slices] == item.candidate.serial
    elif found is None:
        stored = (project.labels.read(item.image, kind, grown) for kind in ("outline", "local"))
        coarse = next((array for array in stored if array is not None), None)
        if coarse is not None:
            found = most_overlapped(label(coarse == 1, connectivity=1), inside)
    return Outline.of(found, grown) if found is not None else None


def most_overlapped(
    pieces: NDArray[np.int32], inside: NDArray[np.bool_]
) -> NDArray[np.bool_] | None:
    """The mask of the value above 0 that most of `inside` lies on; None when there is none."""
    values, counts = np.unique(pieces[inside & (pieces > 0)], return_counts=True)
    if not len(values):
        return None
    mask: NDArray[np.bool_] = pieces == values[counts.argmax()]
    return mask
