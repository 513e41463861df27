"""What careless hands make of one nucleus: bool (h, w) in, bool (h, w) out, cut at the frame.

They serve windows of an image and patches of a single nucleus alike; an empty mask stays empty.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.slides import Box

Mask = NDArray[np.bool_]
MAX_TURN = 30.0
"""degrees: the published code of Li et al. (MICCAI 2021) turns by up to this"""


def boxed(mask: Mask, grow: int) -> Mask:
    """The circumscribed upright rectangle, grown by `grow` px on each side (MMC §III-B)."""
    result = np.zeros_like(mask)
    if mask.any():
        result[Box.of_mask(mask).grow(grow).clip(mask.shape).slices] = True
    return result


def dilated(mask: Mask, radius: int) -> Mask:
    """Grown by `radius` px with a disk (MMC §III-B)."""
    if not mask.any() or radius <= 0:
        return mask.copy()
    return np.asarray(ndimage.distance_transform_edt(~mask) <= radius, np.bool_)


def eroded(mask: Mask, radius: int) -> Mask:
    """Shrunk by `radius` px with a disk, never to nothing: its deepest pixels stay.

    A nucleus cut by the frame goes on beyond it, so that it does not shrink from there.
    """
    if not mask.any() or mask.all() or radius <= 0:
        return mask.copy()
    depth = ndimage.distance_transform_edt(mask)
    core = depth > radius
    return np.asarray(core if core.any() else depth == depth.max(), np.bool_)


def moved(mask: Mask, turn: float, direction: float, beta: float) -> Mask:
    """Turned by `turn` degrees, then shifted until the pixels that change are `beta` of its own.

    direction: of the shift, degrees from +x towards +y. The noise level relative to the object's
    size of Li et al. (MICCAI 2021, §3.1), measured as in their published code; where the turn
    alone changes more, there is no shift. Changes of twice the size (no overlap) are the most.
    """
    if not mask.any():
        return mask.copy()
    box = Box.of_mask(mask)
    crop = _centred(mask[box.slices])
    turned = _turned(crop, turn)
    dy, dx = _shift(crop, turned, math.radians(direction), beta)
    margin_y = (crop.shape[0] - box.height) // 2
    margin_x = (crop.shape[1] - box.width) // 2
    return _placed(turned, (box.y0 - margin_y + dy, box.x0 - margin_x + dx), mask.shape)


def reach_of(height: int, width: int) -> int:
    """How far `moved` may carry a pixel of a nucleus with this bounding box, px."""
    return 2 * math.ceil(math.hypot(height, width)) + 2


def _centred(crop: Mask) -> Mask:
    """With margins, in which it can turn."""
    spare = math.ceil(math.hypot(*crop.shape)) + 2
    return np.pad(crop, [((spare - side) // 2 + 1,) * 2 for side in crop.shape])


def _turned(crop: Mask, turn: float) -> Mask:
    if turn == 0:
        return crop
    turned = np.asarray(ndimage.rotate(crop, turn, order=0, reshape=False), np.bool_)
    return turned if turned.any() else crop


def _shift(before: Mask, after: Mask, direction: float, beta: float) -> tuple[int, int]:
    """The whole-pixel shift (dy, dx) along `direction` whose change comes closest to `beta`."""
    size, other = int(before.sum()), int(after.sum())
    low, high = 0, math.ceil(math.hypot(*before.shape))
    best, best_miss = (0, 0), math.inf
    while low <= high:
        length = (low + high) // 2
        step = round(length * math.sin(direction)), round(length * math.cos(direction))
        change = (size + other - 2 * _overlap(before, after, step)) / size
        if abs(change - beta) < best_miss:
            best, best_miss = step, abs(change - beta)
        low, high = (length + 1, high) if change < beta else (low, length - 1)
    return best


def _overlap(before: Mask, after: Mask, step: tuple[int, int]) -> int:
    """Pixels of both after `after` is shifted by `step`; the frames are of one shape."""
    height, width = before.shape
    dy, dx = step
    if abs(dy) >= height or abs(dx) >= width:
        return 0
    here = before[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
    there = after[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
    return int(np.count_nonzero(here & there))


def _placed(crop: Mask, origin: tuple[int, int], shape: tuple[int, ...]) -> Mask:
    """The crop in a frame of `shape`, its corner at `origin`; what lies outside is cut off."""
    result = np.zeros(shape, bool)
    inner = [max(0, -o) for o in origin]
    outer = [min(n, s - o) for n, s, o in zip(crop.shape, shape, origin, strict=True)]
    if inner[0] < outer[0] and inner[1] < outer[1]:
        y, x = origin
        part = crop[inner[0] : outer[0], inner[1] : outer[1]]
        result[y + inner[0] : y + outer[0], x + inner[1] : x + outer[1]] = part
    return result
