"""Polygons that people or programs drew, as the nuclei of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.csv_points import listed
from napari_noisyseg.exchange.outlines import bounds, fill
from napari_noisyseg.exchange.shapes import Masks, Shape
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Outline

MAX_NUCLEUS = 4_000_000
"""Pixels of the box around one nucleus: half a millimetre at 0.25 µm per pixel."""
MAX_TOTAL = 2**31
"""Pixels of all boxes of a file together, a byte each in memory."""


def masks_of(shapes: Sequence[Shape], path: Path, size: tuple[int, int]) -> Masks:
    """The nuclei among the polygons of a file, cut to an image of this size (H, W).

    Detections and cells where there are any; else what was drawn by hand, each part for itself,
    without regions (those that hold others). Raises `NoisySegError` naming what lies outside.
    """
    polygons = [s for s in shapes if s.kind == "polygon"]
    chosen = [s for s in polygons if s.role == "nucleus"] or _by_hand(polygons)
    boxes = [bounds(s.polygons).clip(size) for s in chosen]
    _refuse_beside(chosen, boxes, path, size)
    check_sizes([(s.where, box) for s, box in zip(chosen, boxes, strict=True)])
    outlines = [_rasterised(s, box) for s, box in zip(chosen, boxes, strict=True)]
    seen = [(o, s) for o, s in zip(outlines, chosen, strict=True) if o is not None]
    used = {s.where for s in chosen}
    notes = [
        f"{count} {what} left out"
        for count, what in (
            (sum(s.where not in used for s in polygons), "other outlines (regions, tiles) were"),
            (len(chosen) - len(seen), "outlines without a pixel's centre in them were"),
        )
        if count
    ]
    return Masks([o for o, _ in seen], [s.class_name for _, s in seen], "; ".join(notes))


def _by_hand(polygons: Sequence[Shape]) -> list[Shape]:
    """Annotations taken apart (QuPath merges what one selects), without regions around others."""
    parts = [
        replace(s, polygons=(polygon,))
        for s in polygons
        if s.role == "annotation"
        for polygon in s.polygons
    ]
    if len(parts) < 3:
        return parts
    outer = [_area(s.polygons[0][0]) for s in parts]
    middles = shapely.points([s.polygons[0][0].mean(axis=0) for s in parts])
    holder, held = shapely.STRtree(middles).query(outer, predicate="contains")
    areas = shapely.area(outer)
    smaller = areas[held] < areas[holder] / 2
    others = np.bincount(holder[smaller], minlength=len(parts))
    return [s for s, count in zip(parts, others, strict=True) if count < 2]


def _area(ring: NDArray[np.float64]) -> shapely.Polygon:
    """Empty for a ring that runs to and fro between two points."""
    return shapely.Polygon(ring if len(np.unique(ring, axis=0)) > 2 else None)


def _refuse_beside(
    shapes: Sequence[Shape], boxes: Sequence[Box], path: Path, size: tuple[int, int]
) -> None:
    outside = [
        s.where.removeprefix(f"{path}, ") for s, b in zip(shapes, boxes, strict=True) if b.empty
    ]
    if outside:
        raise NoisySegError(
            f"{path}: {listed(outside)}: outside the image of {size[1]} x {size[0]} pixels; is "
            "this the right file for this image?"
        )


def check_sizes(boxes: Sequence[tuple[str, Box]]) -> None:
    """Refuse what is too large for a nucleus, and files that would fill the memory."""
    total = 0
    for where, box in boxes:
        total += box.height * box.width
        if box.height * box.width > MAX_NUCLEUS:
            raise NoisySegError(
                f"{where} covers {box.width} x {box.height} pixels, so it is a region and no "
                "nucleus: leave it out of the file"
            )
        if total > MAX_TOTAL:
            raise NoisySegError(f"{where}: the nuclei up to here fill the memory: give it in parts")


def _rasterised(shape: Shape, box: Box) -> Outline | None:
    # a line that runs up and down for ever has more crossings than there is memory for
    heights = [np.clip(ring[:, 1], box.y0, box.y1) for p in shape.polygons for ring in p]
    if sum(float(np.abs(np.diff(h)).sum()) for h in heights) > MAX_TOTAL // 64:
        raise NoisySegError(f"{shape.where} is a tangle of lines and no nucleus: leave it out")
    return Outline.of(fill(shape.polygons, box), box)
