"""Polygons drawn by people or programs, as the nuclei of one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.csv_points import listed
from napari_noisyseg.exchange.outlines import bounds, fill
from napari_noisyseg.exchange.shapes import Masks, Shape, colors_of, left_out
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Outline

MAX_NUCLEUS = 4_000_000
"""Pixels of the box around one nucleus: half a millimetre at 0.25 µm per pixel."""
MAX_TOTAL = 2**31
"""Pixels of all boxes of a file together, a byte each in memory."""
MAX_PAIRS = 8_000_000
"""Pairs of outlines, one inside the other: nested regions around a whole slide's nuclei."""
PAIRS_AT_ONCE = 2**20


def masks_of(shapes: Sequence[Shape], path: Path, size: tuple[int, int]) -> Masks:
    """The nuclei among the polygons of a file, cut to an image of this size (H, W).

    Detections and cells where there are any, and nuclei that were drawn by hand beside them; else
    all that was drawn by hand, each part for itself, without regions (those that hold others).
    What lies outside is left out; raises `NoisySegError` naming it where it is most of the file.
    """
    polygons = [s for s in shapes if s.kind == "polygon"]
    nuclei = [s for s in polygons if s.role == "nucleus"]
    drawn = _taken_apart(polygons)
    chosen = [*nuclei, *_beside(drawn, nuclei)] if nuclei else _without_regions(drawn)
    used = {s.where for s in chosen}
    every, chosen = len(chosen), _inside(chosen, path, size)
    boxes = [bounds(s.polygons).clip(size) for s in chosen]
    check_sizes([(s.where, box) for s, box in zip(chosen, boxes, strict=True)])
    outlines = [_rasterised(s, box) for s, box in zip(chosen, boxes, strict=True)]
    seen = [(o, s) for o, s in zip(outlines, chosen, strict=True) if o is not None]
    notes = [
        f"{count} {what} were left out"
        for count, what in (
            (sum(s.where not in used for s in polygons), "other outlines (regions, tiles)"),
            (every - len(chosen), "outlines outside the image"),
            (len(chosen) - len(seen), "outlines without a pixel's centre in them"),
        )
        if count
    ]
    notes += left_out(shapes)
    classes = [s.class_name for _, s in seen]
    return Masks([o for o, _ in seen], classes, "; ".join(notes), colors_of([s for _, s in seen]))


def _taken_apart(polygons: Sequence[Shape]) -> list[Shape]:
    """What was drawn by hand, each part for itself: QuPath merges what one selects."""
    return [
        replace(s, polygons=(polygon,))
        for s in polygons
        if s.role == "annotation"
        for polygon in s.polygons
    ]


def _beside(drawn: Sequence[Shape], nuclei: Sequence[Shape]) -> list[Shape]:
    """The nuclei that a person drew in addition to detections, without regions.

    They are no larger than the largest detection, and lie where no detection is.
    """
    if not drawn:
        return []
    theirs, ours = (_areas([s.polygons[0][0] for s in some]) for some in (nuclei, drawn))
    at_most = float(shapely.area(theirs).max(initial=0))
    small = [i for i in range(len(drawn)) if 0 < shapely.area(ours[i]) <= at_most]
    if not small:
        return []
    middles, own = _middles(nuclei), _middles([drawn[i] for i in small])
    # the nearest alone: whoever asks for all that overlap may get millions
    _, nearest = shapely.STRtree(middles).query_nearest(own, all_matches=False)
    taken = shapely.contains(ours[small], middles[nearest])
    taken |= shapely.contains(theirs[nearest], own)
    return [drawn[i] for i, there in zip(small, taken, strict=True) if not there]


def _without_regions(parts: list[Shape]) -> list[Shape]:
    """Without the regions, which hold others."""
    if len(parts) < 3:
        return parts
    others = _smaller_inside(parts)
    return [s for s, count in zip(parts, others, strict=True) if count < 2]


def _smaller_inside(parts: Sequence[Shape]) -> NDArray[np.int64]:
    """How many parts of less than half its area have their middle in each part."""
    rings = [s.polygons[0][0] for s in parts]
    outer = _areas(rings)
    middles = _middles(parts)
    tree = shapely.STRtree(middles)
    shapely.prepare(outer)
    areas = shapely.area(outer)
    counts = np.zeros(len(parts), np.int64)
    at, some, pairs = 0, 16, 0
    while at < len(parts):
        # first by boxes: this is quick, and says how many pairs there are
        holder, held = tree.query(outer[at : at + some])
        pairs += len(held)
        # something without area is not a nucleus, so it cannot show that this is a region
        smaller = (areas[held] < areas[at + holder] / 2) & (areas[held] > 0)
        holder, held = holder[smaller], held[smaller]
        inside = holder[shapely.contains(outer[at + holder], middles[held])]
        counts[at : at + some] += np.bincount(inside, minlength=len(outer[at : at + some]))
        if pairs > MAX_PAIRS:
            raise NoisySegError(
                f"{parts[0].where} and the {len(parts) - 1:,} outlines after it overlap by the "
                "thousand: export them again, each only once"
            )
        # as many at once as give a moderate number of pairs
        at, some = at + some, max(1, min(4096, PAIRS_AT_ONCE * at // max(pairs, 1)))
    return counts


def _middles(shapes: Sequence[Shape]) -> NDArray[np.object_]:
    """The mean of the corners of each, as points."""
    middles = [s.polygons[0][0].mean(axis=0) for s in shapes]
    return np.asarray(shapely.points(np.reshape(middles, (-1, 2))))


def _areas(rings: Sequence[NDArray[np.float64]]) -> NDArray[np.object_]:
    """Polygons of rings; empty for a ring that only goes back and forth between two points."""
    areas = np.full(len(rings), shapely.Polygon())
    kept = [i for i, r in enumerate(rings) if len(r) > 3 or (r[0] != r[-1]).any()]
    if kept:
        owners = np.repeat(np.arange(len(kept)), [len(rings[i]) for i in kept])
        corners = np.vstack([rings[i] for i in kept])
        areas[kept] = shapely.polygons(shapely.linearrings(corners, indices=owners))
    return areas


def _inside(shapes: Sequence[Shape], path: Path, size: tuple[int, int]) -> list[Shape]:
    """Without those outside the image (H, W); NoisySegError where the file is of another one."""
    empty = [bounds(s.polygons).clip(size).empty for s in shapes]
    outside = [s.where.removeprefix(f"{path}, ") for s, e in zip(shapes, empty, strict=True) if e]
    if not outside:
        return list(shapes)
    corners = np.vstack([ring for s in shapes for p in s.polygons for ring in p])
    advice = swapped(corners.max(axis=0)[::-1], size)
    # at twice the size that it should have, three quarters of a file lie outside
    if not advice and 2 * len(outside) <= len(shapes):
        return [s for s, e in zip(shapes, empty, strict=True) if not e]
    advice = advice or "is this the right file for this image, at its full size?"
    raise NoisySegError(
        f"{path}: {listed(outside)}: outside the image of {size[1]} x {size[0]} pixels; {advice}"
    )


def once(masks: Masks) -> Masks:
    """Each outline once; the class is the first that the file gives to any of the same pixels."""
    classes, kept = list(masks.classes), list[int]()
    boxes = Counter(outline.box for outline in masks.outlines)
    firsts: dict[tuple[Box, bytes], int] = {}
    for k, outline in enumerate(masks.outlines):
        # most boxes are of one outline, whose pixels need no look
        alone = boxes[outline.box] == 1
        pixels = b"" if alone else np.packbits(outline.mask).tobytes()
        first = firsts.setdefault((outline.box, pixels), k)
        if first == k:
            kept.append(k)
        elif classes[first] is None:
            classes[first] = classes[k]
    if len(kept) == len(classes):
        return masks
    again = f"{len(classes) - len(kept)} outlines that repeat another one were left out"
    note = "; ".join(filter(None, [masks.note, again]))
    return replace(
        masks,
        outlines=[masks.outlines[k] for k in kept],
        classes=[classes[k] for k in kept],
        note=note,
    )


def swapped(farthest: NDArray[np.float64], size: tuple[int, int]) -> str:
    """What to say if everything would fit into an image (H, W) with x and y exchanged; else "".

    farthest: the largest y and x of all places in a file.
    """
    y, x = farthest.tolist()
    if (y > size[0] or x > size[1]) and x <= size[0] and y <= size[1]:
        return "all of it would fit with x and y exchanged: write x before y"
    return ""


def check_sizes(boxes: Sequence[tuple[str, Box]]) -> None:
    """Refuse shapes too large for a nucleus, and files that would fill the memory."""
    total = 0
    for where, box in boxes:
        total += box.height * box.width
        if box.height * box.width > MAX_NUCLEUS:
            raise NoisySegError(
                f"{where} covers {box.width} x {box.height} pixels, so it is a region, not a "
                "nucleus: leave it out of the file"
            )
        if total > MAX_TOTAL:
            raise NoisySegError(f"{where}: the nuclei up to here fill the memory: split the file")


def _rasterised(shape: Shape, box: Box) -> Outline | None:
    if shape.draw is not None:
        try:
            return Outline.of(shape.draw(box), box)
        except NoisySegError as error:
            raise NoisySegError(f"{shape.where}: {error}") from error
    # a line that goes up and down endlessly has more crossings than fit into memory
    heights = [np.clip(ring[:, 1], box.y0, box.y1) for p in shape.polygons for ring in p]
    if sum(float(np.abs(np.diff(h)).sum()) for h in heights) > MAX_TOTAL // 64:
        raise NoisySegError(f"{shape.where} is a tangle of lines, not a nucleus: leave it out")
    return Outline.of(fill(shape.polygons, box), box)
