"""The small map of a whole image: where things are on it, and what it looks like.

Map pixels are (x, y) from the top left corner, places of the image (y, x) in level-0 pixels. Knows
no Qt and no napari.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.tools import crowd
from napari_noisyseg.slides import Box, Level
from napari_noisyseg.store.project import Project
from napari_noisyseg.whole import Plan
from napari_noisyseg.whole.stitch import PLAN, marked
from napari_noisyseg.worker.adoption.found import CLICKS
from napari_noisyseg.worker.adoption.tiles import ADOPTED, tasks_of

Rgb = NDArray[np.uint8]
Shade = Callable[[NDArray[np.floating], float], NDArray[np.uint8]]
"""Colours, uint8 (h, w, 4), of values of which the second is the highest."""

LARGER = 3.0
"""times that an image must be larger than the canvas for a map to be of use"""
READABLE = 40_000_000
"""pixels of a level that are read for a small picture; a larger one gets none"""
SMALLEST = 7.0
"""map pixels that the frame of a view is wide at least"""
CELL = 3
"""map pixels of a density's cell"""
TINT, STRENGTH = (53, 208, 255), 0.22
"""what was searched for nuclei is tinted so"""
GROUND = (200, 200, 204)
"""of an image whose pixels cannot be read in a moment"""
HIGH = 98.0


class Rect(NamedTuple):
    """A rectangle on the map."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Frame:
    """An image of `shape` on a map of `size`, both (height, width)."""

    shape: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, int], room: tuple[int, int]) -> Frame:
        """The largest map that has room, of the image's own proportions."""
        share = min(room[0] / shape[0], room[1] / shape[1])
        height, width = (max(1, round(n * share)) for n in shape)
        return cls(shape, (height, width))

    @property
    def scale(self) -> tuple[float, float]:
        """Map pixels of a level-0 pixel, along y and x."""
        return self.size[0] / self.shape[0], self.size[1] / self.shape[1]

    def rect(self, box: Sequence[float]) -> Rect:
        """Where the box (y0, x0, y1, x1) lies; what is beside the image is beside the map."""
        (sy, sx), (y0, x0, y1, x1) = self.scale, box
        return Rect(x0 * sx, y0 * sy, (x1 - x0) * sx, (y1 - y0) * sy)

    def view(self, box: Sequence[float]) -> Rect:
        """Where a view lies: cut at the map's edges, and never too small to be seen."""
        x, y, width, height = self.rect(box)
        (left, right), (top, bottom) = (
            _held(low, low + long, float(most))
            for low, long, most in ((x, width, self.size[1]), (y, height, self.size[0]))
        )
        return Rect(left, top, right - left, bottom - top)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """The place (y, x) of the image at a pixel of the map; beside it the nearest."""
        (sy, sx), (height, width) = self.scale, self.shape
        return (
            min(max(y / sy - 0.5, 0.0), height - 1.0),
            min(max(x / sx - 0.5, 0.0), width - 1.0),
        )


def _held(low: float, high: float, most: float) -> tuple[float, float]:
    """An interval cut to 0..most, widened about its middle where it is too short to be seen."""
    middle = min(max((low + high) / 2, 0.0), most)
    low, high = max(low, 0.0), min(high, most)
    if high - low >= SMALLEST:
        return low, high
    low = min(max(middle - SMALLEST / 2, 0.0), max(most - SMALLEST, 0.0))
    return low, min(low + SMALLEST, most)


def of_use(shape: tuple[int, int], canvas: tuple[int, int]) -> bool:
    """Whether an image is so much larger than the canvas that one loses one's way in it."""
    return max(shape[0] / max(canvas[0], 1), shape[1] / max(canvas[1], 1)) >= LARGER


class Searched(NamedTuple):
    """Where nuclei were sought, and which share of the tissue that is."""

    boxes: tuple[Box, ...] = ()
    share: float = 0.0


def searched(project: Project, image: str) -> Searched:
    """Where the nuclei that an image shows were sought: its newest run's tiles, or all of it.

    Nothing where the run's files are damaged. Reads files; to be called out of the way.
    """
    with contextlib.suppress(NoisySegError, OSError):
        return _searched(project, image)
    return Searched()


def _searched(project: Project, image: str) -> Searched:
    run = project.nuclei.adopted_run(image)
    if run is None or run == CLICKS:
        return Searched()
    record = project.image(image)
    known = {found.id: found for found in project.runs.list()}
    tasks = [task for task in tasks_of(known[run]) if task.image == image] if run in known else []
    if not tasks:
        return Searched((Box(0, 0, record.height, record.width),), 1.0)
    plan = Plan.read(tasks[0].folder / PLAN)
    done = marked(tasks[0].folder / ADOPTED)
    tissue = {tile.index for tile in plan.tiles()}
    boxes = tuple(plan.tile(index).core for index in sorted(done & tissue))
    return Searched(boxes, len(boxes) / max(1, len(tissue)))


def small_picture(levels: Sequence[Level], size: tuple[int, int]) -> Rgb | None:
    """The whole image in few pixels, uint8 (*size, 3); None where that would take long.

    Reads the coarsest of its levels, the finest first, that is fine enough.
    """
    level = next((x for x in reversed(levels) if x.shape[0] >= size[0]), levels[0])
    if level.shape[0] * level.shape[1] > READABLE:
        return None
    pixels = Image.fromarray(np.ascontiguousarray(level[:]))
    return np.asarray(pixels.resize(size[::-1], Image.Resampling.BOX))


def composed(
    picture: Rgb | None, frame: Frame, found: Searched, nuclei: NDArray[np.floating], shade: Shade
) -> Rgb:
    """The map without fields and view: tissue, what was searched, and how densely nuclei lie.

    picture: uint8 (*frame.size, 3). nuclei (n, 2): places. Gives uint8 (*frame.size, 3).
    """
    map_ = np.empty((*frame.size, 3), np.float32)
    map_[:] = GROUND if picture is None else picture
    there = np.zeros(frame.size, bool)
    for box in found.boxes:
        x, y, width, height = frame.rect(box)
        there[math.floor(y) : math.ceil(y + height), math.floor(x) : math.ceil(x + width)] = True
    map_[there] += STRENGTH * (np.array(TINT, np.float32) - map_[there])
    if len(nuclei):
        colours = _shaded(frame, nuclei, shade)
        alpha = np.sqrt(colours[..., 3:] / 255)  # on few pixels faint colours would be lost
        map_ += alpha * (colours[..., :3] - map_)
    return map_.round().astype(np.uint8)


def _shaded(frame: Frame, nuclei: NDArray[np.floating], shade: Shade) -> NDArray[np.float32]:
    """Colours of the nuclei's density, float (*frame.size, 4) in 0..255."""
    height, width = frame.size
    scaled = (nuclei + 0.5) * frame.scale - 0.5
    cells = Box(0, 0, -(-height // CELL), -(-width // CELL))
    counts = crowd.counted(scaled, cells, CELL)
    top = float(np.percentile(counts[counts > 0], HIGH)) if counts.any() else 1.0
    large = Image.fromarray(shade(counts, top)).resize(
        (cells.width * CELL, cells.height * CELL), Image.Resampling.BILINEAR
    )
    return np.asarray(large, np.float32)[:height, :width]
