"""What a nucleus's outline was before the run: the rough mask, or what the click alone gave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from napari_noisyseg.review.queue import ReviewItem
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline

MARGIN_UM = 5.0
"""how far round the new outline the old one is looked for"""


def old_outline(project: Project, item: ReviewItem) -> Outline | None:
    """The painted mask that the nucleus overlaps most, else the piece of its `local` label."""
    record = project.image(item.image)
    new = item.candidate.outline
    grown = new.box.grow(round(MARGIN_UM / record.mpp)).clip((record.height, record.width))
    inside = np.zeros((grown.height, grown.width), bool)
    at = (new.box.y0 - grown.y0, new.box.x0 - grown.x0)
    inside[at[0] : at[0] + new.box.height, at[1] : at[1] + new.box.width] = new.mask
    for pieces in _pieces(project, item.image, grown):
        found = most_overlapped(pieces, inside)
        if found is not None:
            return cut(found, grown)
    return None


def _pieces(project: Project, image: str, box: Box) -> list[NDArray[np.int32]]:
    found = [project.nuclei.painted(image, box=box)]
    local = project.labels.read(image, "local", box)
    if local is not None:
        found.append(label(local == 1, connectivity=1).astype(np.int32))
    return found


def most_overlapped(
    pieces: NDArray[np.int32], inside: NDArray[np.bool_]
) -> NDArray[np.bool_] | None:
    """The mask of the value above 0 that most of `inside` lies on; None when there is none."""
    values, counts = np.unique(pieces[inside & (pieces > 0)], return_counts=True)
    if not len(values):
        return None
    mask: NDArray[np.bool_] = pieces == values[counts.argmax()]
    return mask


def cut(mask: NDArray[np.bool_], box: Box) -> Outline | None:
    """An outline from a mask (h, w) of `box`, cut to what is set; None when nothing is."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    tight = Box(*(int(v) for v in (box.y0 + top, box.x0 + left, box.y0 + bottom, box.x0 + right)))
    return Outline(tight, mask[top:bottom, left:right].copy())
