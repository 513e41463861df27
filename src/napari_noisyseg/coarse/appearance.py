"""What the networks of the starter see of an image, whatever its scanner and resolution.

Everything stands at 0.25 µm per pixel. Coordinates are (y, x), pixel centres at integers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_noisyseg.coarse.evidence import Gauge, gauge_of, gauged, weighed, weights_of
from napari_noisyseg.slides import Box

F32 = NDArray[np.float32]
Places = NDArray[np.floating]

MPP = 0.25
"""µm per pixel of everything here."""
SIDE = 64
"""Side of the square around a click, px."""
BLOB = 3.0
"""Gaussian sigma of the spot that stands for a click, px."""
REACH = SIDE // 2 + int(3 * BLOB)
"""Px along an axis from which on a click is not seen from another."""
COLOURS = 4
CHANNELS = COLOURS + 2
TISSUE = 0.1
"""Mean optical density from which a pixel is tissue and tells how dark this image is."""
DARK = 60
"""Mean grey level below which an image is no bright-field one."""
GREY = 4
"""Mean difference of the colours below which an image is grey."""
UNSEEN = (
    "and the network that outlines nuclei has seen stained tissue in colour only: untrained "
    "outlines are shown in its place"
)
SAME = 0.02
"""Share by which a resolution may differ from `MPP` before the image is resampled."""


def working_shape(shape: tuple[int, int], mpp: float) -> tuple[int, int]:
    """Rows and columns at `MPP` of an image of `shape` at `mpp`."""
    factor = mpp / MPP
    if abs(factor - 1) <= SAME:
        return shape
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


class Tone(NamedTuple):
    """How dark and of which stains an image is: what the networks see is measured by it.

    mean, spread: of the optical densities of red, green and blue in tissue; gauge: of the evidence.
    A whole slide has one tone for all of its parts.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    gauge: Gauge


def appearance(rgb: NDArray[np.uint8], mpp: float) -> F32:
    """Optical densities of red, green and blue, each z-scored over the tissue, and the evidence.

    rgb uint8 (H, W, 3) to float32 (4, h, w) at `MPP`.
    """
    seen = resized(rgb, working_shape((rgb.shape[0], rgb.shape[1]), mpp))
    density, weights = _density(seen), weights_of(seen, 1.0)
    nuclear = weighed(seen, 1.0, weights)
    return _planes(density, nuclear, _tone(density, nuclear, weights))


def tone_of(seen: NDArray[np.uint8]) -> Tone:
    """The tone of pixels uint8 (H, W, 3) at `MPP`."""
    weights = weights_of(seen, 1.0)
    return _tone(_density(seen), weighed(seen, 1.0, weights), weights)


def toned(seen: NDArray[np.uint8], tone: Tone) -> F32:
    """`appearance` of pixels uint8 (H, W, 3) at `MPP` that are a part of an image of this tone."""
    weights = np.array(tone.gauge.weights)
    return _planes(_density(seen), weighed(seen, 1.0, weights), tone)


def _density(seen: NDArray[np.uint8]) -> F32:
    density: F32 = -np.log((seen.astype(np.float32) + 1) / 256)
    return density


def _tone(density: F32, nuclear: F32, weights: NDArray[np.float64]) -> Tone:
    tissue = density.mean(axis=2) > TISSUE
    if tissue.mean() < 0.05:
        tissue[:] = True
    mean, spread = density[tissue].mean(axis=0), density[tissue].std(axis=0) + 0.02
    return Tone(tuple(mean.tolist()), tuple(spread.tolist()), gauge_of(nuclear, weights))


def _planes(density: F32, nuclear: F32, tone: Tone) -> F32:
    mean, spread = np.array(tone.mean, np.float32), np.array(tone.spread, np.float32)
    scored = np.moveaxis((density - mean) / spread, 2, 0)
    return np.asarray(np.clip(np.stack([*scored, gauged(nuclear, tone.gauge)]), -6, 8), np.float32)


def crops(planes: F32, clicks: Places, chosen: NDArray[np.intp]) -> F32:
    """What is seen around some of the clicks, (n, CHANNELS, SIDE, SIDE); zero beyond the image.

    planes (4, h, w); clicks (m, 2), all of them; chosen (n,): around which. The last two channels
    are a spot at the click itself, and spots at all the others.
    """
    found = np.zeros((len(chosen), CHANNELS, SIDE, SIDE), np.float32)
    for row, at in enumerate(chosen.tolist()):
        square = square_at(clicks[at])
        seen = square.clip(planes.shape[1:])
        found[row, :COLOURS, *seen.within(square)] = planes[:, *seen.slices]
        near = np.flatnonzero((np.abs(clicks - clicks[at]) <= REACH).all(axis=1))
        found[row, COLOURS] = spots(clicks[[at]] - square.origin)
        found[row, COLOURS + 1] = spots(clicks[near[near != at]] - square.origin)
    return found


def square_at(click: Places, side: int = SIDE) -> Box:
    """The square of an even side around a click (y, x); it may reach out of the image."""
    y, x = (int(v) - side // 2 for v in np.floor(click + 0.5))
    return Box(y, x, y + side, x + side)


def spots(places: Places) -> F32:
    """Spots of height 1 at (k, 2) places of a square, the highest where they meet."""
    axis = np.arange(SIDE, dtype=np.float32)
    y, x = (np.exp(-((axis - places[:, [k]]) ** 2) / (2 * BLOB**2)) for k in (0, 1))
    if not len(places):
        return np.zeros((SIDE, SIDE), np.float32)
    return np.asarray((y[:, :, None] * x[:, None, :]).max(axis=0), np.float32)


def resized_labels(labels: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Each new pixel is that of the old ones in which its middle lies."""
    image = Image.fromarray(labels)
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.NEAREST), np.int32)


def resized(pixels: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """uint8 (H, W, 3) or float32 (H, W): area averages where it shrinks, bicubic where it grows."""
    if pixels.shape[:2] == shape:
        return pixels
    shrinks = shape[0] < pixels.shape[0]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((shape[1], shape[0]), method))


def unlike_stained_tissue(rgb: NDArray[np.uint8]) -> str:
    """Why the starter cannot judge an image, in words; empty for one like those it has seen."""
    found = unlike(rgb)
    return f"{found}, {UNSEEN}" if found else ""


def unlike(rgb: NDArray[np.uint8]) -> str:
    """What an image is that the starter has never seen, in words; empty for stained tissue."""
    small = rgb[:: max(1, rgb.shape[0] // 400), :: max(1, rgb.shape[1] // 400)].astype(np.float32)
    if small.mean() < DARK:
        return "this image is dark like fluorescence"
    if (small.max(axis=2) - small.min(axis=2)).mean() < GREY:
        return "this image has no colours"
    return ""
