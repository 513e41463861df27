"""Nuclei as small pictures of the same width in µm, made out of the way and kept for a while."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtGui import QImage, QPixmap

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas.outlines import Paths, outline_paths
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.review.queue import ReviewItem
from napari_noisyseg.slides import Box, Slide
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord

WIDE_UM = 20.0
SIDE = 112
"""screen pixels of a picture's side"""
KEPT = 2000
"""pictures in memory, 75 MB"""
AT_ONCE = 16
"""pictures that are made in one go"""
Thumbnail = tuple[QPixmap, Paths]
Made = tuple[str, NDArray[np.uint8], Paths]


class Thumbnails:
    """Pictures by nucleus, with its outline as paths (n, 2) of (y, x) in the picture's pixels.

    `arrived(ids)` is called when those that were asked for are there.
    """

    def __init__(self, jobs: Jobs, arrived: Callable[[list[str]], object]) -> None:
        self._jobs, self._arrived = jobs, arrived
        self._known: OrderedDict[str, tuple[object, Thumbnail]] = OrderedDict()
        self._wanted: OrderedDict[str, ReviewItem] = OrderedDict()
        self._busy = False

    def of(self, project: Project, item: ReviewItem) -> Thumbnail | None:
        """The picture of a nucleus, or None and it is being made."""
        outline = item.candidate.outline
        known = self._known.get(item.id)
        if known is not None:
            self._known.move_to_end(item.id)
            if known[0] == outline:
                return known[1]
        self._wanted[item.id] = item
        self._wanted.move_to_end(item.id)
        self._make(project)
        return known[1] if known is not None else None

    def forget(self) -> None:
        """What was asked for and is not there is not wanted any more."""
        self._wanted.clear()

    def _make(self, project: Project) -> None:
        """The newest wishes first: they are in sight."""
        if self._busy or not self._wanted:
            return
        some = [self._wanted.popitem()[1] for _ in range(min(AT_ONCE, len(self._wanted)))]
        self._busy = True
        self._jobs.do(
            partial(pictures, project, some), partial(self._made, project, some), self._failed
        )

    def _made(self, project: Project, items: Sequence[ReviewItem], found: list[Made]) -> None:
        self._busy = False
        outlines = {item.id: item.candidate.outline for item in items}
        for nucleus, pixels, paths in found:
            height, width = pixels.shape[:2]
            picture = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
            self._known[nucleus] = outlines[nucleus], (QPixmap.fromImage(picture), paths)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        self._make(project)
        self._arrived([nucleus for nucleus, _, _ in found])

    def _failed(self, error: BaseException) -> None:
        # a slide that cannot be read any more has no pictures; the canvas says why
        self._busy = False


def pictures(project: Project, items: Sequence[ReviewItem]) -> list[Made]:
    """The pictures of nuclei, RGB uint8 (SIDE, SIDE, 3), and their outlines in them."""
    by_image: defaultdict[str, list[ReviewItem]] = defaultdict(list)
    for item in items:
        by_image[item.image].append(item)
    found = []
    for image, some in by_image.items():
        record = project.image(image)
        try:
            with project.pixels(image) as slide:
                found += [_picture(slide, record, item) for item in some]
        except NoisySegError:
            continue
    return found


def _picture(slide: Slide, record: ImageRecord, item: ReviewItem) -> Made:
    """One nucleus in the middle of a square; what lies beyond the image is grey."""
    half = max(2, round(WIDE_UM / record.mpp / 2))
    y, x = item.candidate.outline.middle()
    square = Box(int(y) - half, int(x) - half, int(y) + half, int(x) + half)
    seen = square.clip((record.height, record.width))
    pixels = np.full((*square.shape, 3), 128, np.uint8)
    pixels[seen.within(square)] = slide.read(seen)
    small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    scale = SIDE / (2 * half)
    paths = [(path - square.origin + 0.5) * scale for path in outline_paths(item.candidate.outline)]
    return item.id, np.ascontiguousarray(small), paths
