"""Outlines into a label image: no overlap, and one whole nucleus for every point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.slides import Box

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Ints = NDArray[np.intp]


def paint(radii: Floats, centres: Floats, shape: tuple[int, int]) -> Labels:
    """Label k + 1 inside outline k, (n, rays) px around centres (n, 2); int32 of `shape`.

    Where outlines overlap, a pixel goes to the one in which it lies deeper, in shares of the
    radius there.
    """
    labels = np.zeros(shape, np.int32)
    depth = np.ones(shape, np.float32)
    for k, (centre, around) in enumerate(zip(centres, radii, strict=True)):
        box = _box(centre, float(around.max()), shape)
        share = _share(around, centre, box)
        deeper = share < depth[box]
        depth[box][deeper] = share[deeper]
        labels[box][deeper] = k + 1
    return labels


def seeds(points: Floats, shape: tuple[int, int]) -> tuple[Ints, Mask]:
    """A pixel of its own for each point, (n, 2), and which points lie in the image, (n,).

    Of points in one pixel the first has it; the others take the nearest free one.
    """
    pixels = np.floor(points + 0.5).astype(np.intp)
    inside = ((pixels >= 0) & (pixels < shape)).all(axis=1)
    _, first = np.unique(pixels, axis=0, return_index=True)
    again = np.setdiff1d(np.flatnonzero(inside), first)
    if again.size:
        taken = np.zeros(shape, bool)
        taken[tuple(pixels[np.intersect1d(np.flatnonzero(inside), first)].T)] = True
        for k in again:
            inside[k] = _settle(pixels, k, taken)
    return pixels, inside


def make_whole(labels: Labels, pixels: Ints) -> None:
    """Leave of every label k + 1 one piece without holes that holds pixels[k]; in place."""
    labels[tuple(pixels.T)] = np.arange(1, len(pixels) + 1)
    for k, found in enumerate(ndi.find_objects(labels, len(pixels))):
        box = Box.of_slices(*found).grow(1).clip(labels.shape)
        seed = (int(pixels[k, 0]) - box.y0, int(pixels[k, 1]) - box.x0)
        part = labels[box.slices]
        whole = _whole(part, k + 1, seed)
        part[(part == k + 1) & ~whole] = 0
        part[whole] = k + 1


def _whole(part: Labels, label: int, seed: tuple[int, int]) -> Mask:
    mask = _piece(part == label, seed)
    while True:
        filled: Mask = ndi.binary_fill_holes(mask)
        enclosed = np.argwhere(filled & (part != label) & (part != 0))
        if not len(enclosed):
            return filled
        mask = _piece(mask & ~_beyond(enclosed[0], seed, mask.shape), seed)


def _piece(mask: Mask, seed: tuple[int, int]) -> Mask:
    pieces, _ = ndi.label(mask)
    piece: Mask = pieces == pieces[seed]
    return piece


def _beyond(pixel: Ints, seed: tuple[int, int], shape: tuple[int, ...]) -> Mask:
    """What lies behind a pixel as seen from the seed: another nucleus in the way ends this one."""
    dy, dx = pixel[0] - seed[0], pixel[1] - seed[1]
    y, x = np.ogrid[: shape[0], : shape[1]]
    beyond: Mask = (y - pixel[0]) * dy + (x - pixel[1]) * dx > 0
    return beyond


def _settle(pixels: Ints, k: int, taken: Mask) -> bool:
    free = np.argwhere(~taken)
    if not len(free):
        return False
    pixels[k] = free[((free - pixels[k]) ** 2).sum(axis=1).argmin()]
    taken[tuple(pixels[k])] = True
    return True


def _box(centre: Floats, reach: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    low = np.floor(centre - reach).astype(int)
    high = np.ceil(centre + reach).astype(int) + 1
    rows = slice(max(low[0], 0), max(min(high[0], shape[0]), 0))
    return rows, slice(max(low[1], 0), max(min(high[1], shape[1]), 0))


def _share(around: Floats, centre: Floats, box: tuple[slice, slice]) -> NDArray[np.float32]:
    """Distance from the centre over the outline's radius in that direction, for a box of pixels."""
    dy = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] - np.float32(centre[0])
    dx = np.arange(box[1].start, box[1].stop, dtype=np.float32)[None] - np.float32(centre[1])
    rays = len(around)
    turn = np.arctan2(dy, dx) * np.float32(rays / (2 * np.pi))
    before = np.floor(turn)
    first = before.astype(np.intp) % rays
    radius = around[first] * (1 - (turn - before)) + around[(first + 1) % rays] * (turn - before)
    return np.asarray(np.hypot(dy, dx) / np.maximum(radius, 0.5), dtype=np.float32)
