"""Where training tiles lie: cut from whole images, in two disjoint halves, some held out.

A tile is a position, not a copy: all pixels of all images stand once in one flat tensor
(`Pixels`), from which a batch is gathered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.method import NUCLEUS, UNKNOWN, Needs, TrainingImage

MIN_TILES_TO_HOLD_OUT = 20
MIN_IMAGES_TO_HOLD_OUT = 4
"""With fewer tiles or images each one is worth more in training than as a judge of it."""
HELD_OUT = 0.1
"""Share of the tiles that are held out for validation."""
MOST_HELD_OUT = 200
"""Tiles that judge well enough, however many there are."""
MAX_SHARE_OF_ONE = 0.6
"""Above this share of all tiles an image is cut in two, so that the halves stay even."""
MIN_BLOCK = 32
"""Images whose longer side is under twice this are not cut."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Tiles as rows: image index, top-left (y, x) and height, width in working pixels; half 0 or 1.

    rows: int64 (n, 5) of image, y, x, h, w. half: int64 (n,). Sides are `side` or, where the image
    or its block is smaller, less.
    """

    rows: NDArray[np.int64]
    half: NDArray[np.int64]
    side: int

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Tiles:
        """Some of the tiles."""
        return Tiles(self.rows[which], self.half[which], self.side)

    def apart_from(self, others: Tiles) -> Tiles:
        """Those that share no pixel with any of the others."""
        return self.take(~_touch(self.rows, others.rows))


@dataclass(frozen=True, slots=True)
class Split:
    """Tiles to train on and tiles held out (none when there are few)."""

    training: Tiles
    validation: Tiles


Block = tuple[int, int, int, int, int]
"""image, y, x, h, w: the part of an image that tiles of one half may touch"""


def cut(images: Sequence[TrainingImage], needs: Needs, side: int, overlap: int, seed: int) -> Tiles:
    """All tiles that hold something to learn from, of both halves where `needs.halves`.

    Halves share no pixel: they are made of different images or of different parts of one.
    """
    whole = [(i, 0, 0, *image.known.shape) for i, image in enumerate(images)]
    if needs.halves:
        blocks, half = _halves(whole, side, overlap, seed)
    else:
        blocks, half = whole, [0] * len(whole)
    rows, of_half = [], []
    for block, h in zip(blocks, half, strict=True):
        found = [row for row in _tile(block, side, overlap) if _useful(images[row[0]], row, needs)]
        rows += found
        of_half += [h] * len(found)
    return Tiles(np.array(rows, np.int64).reshape(-1, 5), np.array(of_half, np.int64), side)


def _tile(block: Block, side: int, overlap: int) -> list[Block]:
    image, top, left, height, width = block
    ys = _starts(height, side, overlap)
    xs = _starts(width, side, overlap)
    h, w = min(side, height), min(side, width)
    return [(image, top + y, left + x, h, w) for y in ys for x in xs]


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """Evenly spread starts of tiles that cover `length` and overlap at least by `overlap`."""
    if length <= side:
        return [0]
    stride = max(1, side - overlap)
    count = -(-(length - side) // stride) + 1
    return [round(start) for start in np.linspace(0, length - side, count)]


def _useful(image: TrainingImage, row: Block, needs: Needs) -> bool:
    """Whether any label or declared field lies in the tile; where no label is needed, tissue."""
    _, y, x, h, w = row
    window = np.s_[y : y + h, x : x + w]
    tissue = bool(image.tissue[window].any())
    if needs.unlabeled and not needs.labels:
        # fluorescence has no stained tissue: what is not blank can be learned from
        return bool(np.ptp(image.image[:, *window]) > 0)
    if not image.labels or (needs.unlabeled and tissue):
        return tissue
    supervised = any(bool((plane[window] != UNKNOWN).any()) for plane in image.labels.values())
    return supervised or bool(image.known[window].any())


def _halves(
    whole: list[Block], side: int, overlap: int, seed: int
) -> tuple[list[Block], list[int]]:
    """Blocks and the half of each: whole images, or every image cut through its longer side."""
    counts = np.array([len(_tile(block, side, overlap)) for block in whole])
    if len(whole) > 1 and counts.max() <= MAX_SHARE_OF_ONE * counts.sum():
        return whole, _balanced(counts, seed)
    blocks: list[Block] = []
    half: list[int] = []
    first = int(np.random.default_rng(seed).integers(2))
    for block in whole:
        parts = _cut_in_two(block)
        blocks += parts
        half += [first, 1 - first][: len(parts)]
        first = first if len(parts) == 2 else 1 - first
    return blocks, half


def _cut_in_two(block: Block) -> list[Block]:
    image, y, x, h, w = block
    if max(h, w) < 2 * MIN_BLOCK:
        return [block]
    if h >= w:
        return [(image, y, x, h // 2, w), (image, y + h // 2, x, h - h // 2, w)]
    return [(image, y, x, h, w // 2), (image, y, x + w // 2, h, w - w // 2)]


def _balanced(counts: NDArray[np.int64], seed: int) -> list[int]:
    """Each image's half: in random order, always to the half with fewer tiles so far."""
    order = np.random.default_rng(seed).permutation(len(counts))
    half, load = [0] * len(counts), [0, 0]
    for i in order:
        half[i] = int(load[1] < load[0])
        load[half[i]] += int(counts[i])
    return half


def around_clean(images: Sequence[TrainingImage], side: int) -> Tiles:
    """Tiles centred on clean nuclei, one for each, moved inside where an image ends.

    Images whose clean part holds no nucleus give one tile around the middle of that part.
    """
    rows = [row for i, image in enumerate(images) for row in _around_clean(i, image, side)]
    return Tiles(np.array(rows, np.int64).reshape(-1, 5), np.zeros(len(rows), np.int64), side)


def _around_clean(index: int, image: TrainingImage, side: int) -> list[Block]:
    clean = image.labels["clean"]
    height, width = clean.shape
    nuclei = ndimage.find_objects(ndimage.label(clean == NUCLEUS)[0])
    seen = nuclei or ndimage.find_objects((clean != UNKNOWN).astype(np.uint8))
    h, w = min(side, height), min(side, width)
    return [
        (index, _start(rows, h, height), _start(columns, w, width), h, w) for rows, columns in seen
    ]


def _start(part: slice, size: int, length: int) -> int:
    """Where a window of `size` around the middle of `part` begins inside 0..length."""
    return int(np.clip((part.start + part.stop - size) // 2, 0, length - size))


def share_between_halves(tiles: Tiles, overlap: float, seed: int) -> Tiles:
    """Tiles of which each half shares `overlap` with the other (Table IV of the SC-Net paper).

    A shared tile stands twice, once for each half. A half without any tile is given all of the
    other's: there is nothing to split.
    """
    count = round(len(tiles) * overlap / (2 - overlap))
    chosen = np.random.default_rng([seed, 4]).permutation(len(tiles))[:count]
    for empty in (0, 1):
        if not (tiles.half == empty).any():
            chosen = np.arange(len(tiles))
    twin = tiles.take(np.sort(chosen))
    return Tiles(
        np.concatenate([tiles.rows, twin.rows]),
        np.concatenate([tiles.half, 1 - twin.half]),
        tiles.side,
    )


def whole(tiles: Tiles) -> Split:
    """Every tile to train on."""
    return Split(tiles, tiles.take(np.zeros(len(tiles), bool)))


def hold_out(tiles: Tiles, seed: int) -> Split:
    """Some tiles for validation when there are enough; tiles that touch them are left out."""
    images = len(np.unique(tiles.rows[:, 0]))
    if len(tiles) < MIN_TILES_TO_HOLD_OUT or images < MIN_IMAGES_TO_HOLD_OUT:
        return whole(tiles)
    held = np.zeros(len(tiles), bool)
    held[_chosen(tiles, seed)] = True
    left = ~held & ~_touch(tiles.rows, tiles.rows[held])
    if any(not (tiles.half[left] == h).any() for h in np.unique(tiles.half)):
        return whole(tiles)
    return Split(tiles.take(left), tiles.take(held))


def _chosen(tiles: Tiles, seed: int) -> NDArray[np.int64]:
    """Neighbouring tiles as far as possible, so that few training tiles touch them."""
    wanted = min(MOST_HELD_OUT, max(1, round(HELD_OUT * len(tiles))))
    rng = np.random.default_rng([seed, 2])
    images, of_tile = np.unique(tiles.rows[:, 0], return_inverse=True)
    of_image = rng.permutation(len(images))[of_tile]
    order = np.lexsort((tiles.rows[:, 2], tiles.rows[:, 1], of_image))
    return order[:wanted]


def _touch(rows: NDArray[np.int64], held: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows share a pixel with any of the held ones."""
    a, b = rows[:, None], held[None]
    same = a[..., 0] == b[..., 0]
    vertical = (a[..., 1] < b[..., 1] + b[..., 3]) & (b[..., 1] < a[..., 1] + a[..., 3])
    sideways = (a[..., 2] < b[..., 2] + b[..., 4]) & (b[..., 2] < a[..., 2] + a[..., 4])
    touching: NDArray[np.bool_] = (same & vertical & sideways).any(axis=1)
    return touching
