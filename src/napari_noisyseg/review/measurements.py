"""Size, shape and stain of every nucleus of an image, tile by tile, so that slides fit too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from napari_noisyseg import instances, stains
from napari_noisyseg.instances import Measured
from napari_noisyseg.review.queue import ReviewItem
from napari_noisyseg.slides import Box, Slide
from napari_noisyseg.store.project import Project

TILE = 2048
"""side of the tiles in level-0 pixels; a nucleus is measured whole, in the tile of its corner"""


def measure_image(project: Project, items: Sequence[ReviewItem]) -> dict[str, Measured]:
    """Measurements by nucleus id, of nuclei of one image, by their outlines as they stand."""
    if not items:
        return {}
    record = project.image(items[0].image)
    slide = project.pixels(record.name)
    tiles: defaultdict[tuple[int, int], list[ReviewItem]] = defaultdict(list)
    for item in items:
        box = item.candidate.outline.box
        tiles[box.y0 // TILE, box.x0 // TILE].append(item)
    found: dict[str, Measured] = {}
    try:
        for members in tiles.values():
            found |= _measure_tile(slide, members, record.mpp)
    finally:
        slide.close()
    return found


def _measure_tile(slide: Slide, items: Sequence[ReviewItem], mpp: float) -> dict[str, Measured]:
    outlines = [item.candidate.outline for item in items]
    around = Box.around(outline.box for outline in outlines).clip(slide.shape)
    labels = np.zeros(around.shape, np.int32)
    for value, outline in enumerate(outlines, 1):
        outline.paste(labels, around, value, under=True)
    density = stains.densities(slide.read(around))[0]
    return {items[row.label - 1].id: row for row in instances.measure(labels, density, mpp)}
