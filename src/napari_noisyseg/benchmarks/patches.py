"""MoNuSeg as patches with noisy masks: the S and M protocols of Meta Mask Correction (§III-A, B).

S: each nucleus in the middle of a patch of 64x64 px with a mask of its own. M: windows of 128x128
px with all their nuclei. The paper does not say how much surroundings a nucleus has, which images
test, or at which scale noise is drawn: `CONTEXT`, `is_test` and patch pixels are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ..data.prepare import training_image
from ..data.regions import Region, region_of
from ..errors import NoisySegError
from ..method import MethodConfig, TrainingImage
from ..noise import SHARE, NoiseKind, simulate, simulate_patches
from .tissue import fields

NOISES: tuple[NoiseKind, ...] = ("partial", "box", "dilate")
SIDE, WINDOW = 64, 128
CONTEXT = 2.0
"""a patch's side over the longer side of its nucleus"""
MIN_CROP = 16
"""px: smaller crops show more of the interpolation than of the nucleus"""
ACROSS = 8
"""windows in a row and in a column: 1000 px in steps of 125, so that they just overlap"""


@dataclass(frozen=True)
class Counts:
    """Patches wanted; fewer where the tissue has no more."""

    train: int
    test: int
    meta: int


SINGLE = Counts(1900, 1200, 30)
"""S-MoNuSeg (Table I)"""
MULTI = Counts(1000, 800, 50)
"""M-ccRCC (Table I): the paper has no M protocol of MoNuSeg"""


@dataclass(frozen=True)
class Patches:
    """rgb: uint8 (n, s, s, 3); truth, noisy: int32 (n, s, s), 0 background; image: int (n,).

    image: which of the set's images, sorted by name, each patch is from.
    """

    rgb: NDArray[np.uint8]
    truth: NDArray[np.int32]
    noisy: NDArray[np.int32]
    image: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rgb)


@dataclass(frozen=True)
class Protocol:
    """Patches to train on by their noisy masks, to test on, and few whose truth is known."""

    train: Patches
    test: Patches
    meta: Patches


@dataclass(frozen=True)
class Tissue:
    """All images of MoNuSeg, by name: RGB (H, W, 3) and nuclei (H, W)."""

    rgb: list[NDArray[np.uint8]]
    truth: list[NDArray[np.int32]]


def load(data: Path) -> Tissue:
    """Read once for several protocols; NoisySegError where there is no MoNuSeg in `data`."""
    found = fields(data, "monuseg")
    if not found:
        raise NoisySegError(f"{data / 'monuseg'}: no images there; --data names the folder above")
    return Tissue([f.rgb() for f in found], [f.truth() for f in found])


def is_test(image: int) -> bool:
    """Whether an image, by its place in the order of names, is tested on: two of each five.

    So the sites, by which names are sorted, are in both parts, and no image is in both.
    """
    return image % 5 in (1, 3)


def single_nuclei(
    tissue: Tissue, noise: NoiseKind, seed: int = 0, counts: Counts = SINGLE
) -> Protocol:
    """The S protocol: nuclei drawn at random from all images of a part, none twice.

    Noise strikes 40 % of the training and meta patches (and the others with box and dilate); that
    of test patches is none. A deleted nucleus leaves an empty mask. Nuclei whose crop would
    reach beyond the image are left out.
    """
    crops = np.concatenate([_crops(i, truth) for i, truth in enumerate(tissue.truth)])
    train, test, meta = _parts(crops, counts, seed)
    first = _single(tissue, np.concatenate([train, meta]))
    struck = simulate_patches(first.truth > 0, noise, SHARE, seed=seed).astype(np.int32)
    noisy = Patches(first.rgb, first.truth, struck, first.image)
    places = np.arange(len(noisy))
    return Protocol(
        _taken(noisy, places[: len(train)]),
        _single(tissue, test),
        _taken(noisy, places[len(train) :]),
    )


def many_nuclei(
    tissue: Tissue, noise: NoiseKind, seed: int = 0, counts: Counts = MULTI
) -> Protocol:
    """The M protocol: windows of whole images, whose noise is that of the image (40 %)."""
    noisy = [
        truth if is_test(i) else simulate(truth, noise, SHARE, seed=seed + i)
        for i, truth in enumerate(tissue.truth)
    ]
    windows = np.concatenate([_windows(i, truth) for i, truth in enumerate(tissue.truth)])
    return Protocol(*(_multi(tissue, noisy, part) for part in _parts(windows, counts, seed)))


def training_images(
    protocol: Protocol, config: MethodConfig, labels: Sequence[str] = ("rough", "clean")
) -> list[TrainingImage]:
    """What a method trains on: the training patches, then the meta patches, at their own scale.

    `rough` is noisy and known everywhere; `clean` is known in the meta patches alone, and where
    both are asked for these have no `rough` (as everywhere: what is clean is not noisy too).
    """
    parts = ((protocol.train, False, "train"), (protocol.meta, True, "meta"))
    return [
        training_image(_region(patches, k, clean, f"{name}-{k}", config), config, labels)
        for patches, clean, name in parts
        for k in range(len(patches))
    ]


def _region(patches: Patches, k: int, clean: bool, name: str, config: MethodConfig) -> Region:
    everywhere = np.ones(patches.truth[k].shape, bool)
    given: dict[str, NDArray[Any]] = {"known": everywhere, "rough": patches.noisy[k]}
    if clean:
        given["clean"] = patches.truth[k]
    # at the working resolution, so that patches stay as the protocol has them
    return region_of(patches.rgb[k], config.working_mpp, name, **given)


def _crops(image: int, truth: NDArray[np.int32]) -> NDArray[np.int64]:
    """Squares around nuclei, (n, 5) of image, id, top, left, side, all inside the image."""
    rows = []
    for nucleus, box in enumerate(ndimage.find_objects(truth), start=1):
        if box is None:
            continue
        longest = max(s.stop - s.start for s in box)
        side = max(MIN_CROP, round(CONTEXT * longest))
        top, left = ((s.start + s.stop - side) // 2 for s in box)
        inside = min(top, left) >= 0 and top + side <= truth.shape[0]
        if inside and left + side <= truth.shape[1]:
            rows.append((image, nucleus, top, left, side))
    return np.array(rows, np.int64).reshape(-1, 5)


def _windows(image: int, truth: NDArray[np.int32]) -> NDArray[np.int64]:
    """Windows that hold a nucleus, (n, 5) of image, 0, top, left, side."""
    tops, lefts = (
        np.unique(np.linspace(0, n - WINDOW, ACROSS).round().astype(int)) for n in truth.shape
    )
    rows = [
        (image, 0, y, x, WINDOW)
        for y in tops
        for x in lefts
        if truth[y : y + WINDOW, x : x + WINDOW].any()
    ]
    return np.array(rows, np.int64).reshape(-1, 5)


def _parts(places: NDArray[np.int64], counts: Counts, seed: int) -> list[NDArray[np.int64]]:
    """Places to train, to test and for meta, drawn without repeats; meta from training images."""
    drawn = np.random.default_rng(seed).permutation(places)
    tested = np.array([is_test(int(i)) for i in drawn[:, 0]], bool)
    ours, theirs = drawn[~tested], drawn[tested]
    meta, train = ours[: counts.meta], ours[counts.meta : counts.meta + counts.train]
    return [train, theirs[: counts.test], meta]


def _single(tissue: Tissue, crops: NDArray[np.int64]) -> Patches:
    """Crops scaled to SIDE; noisy is the truth."""
    rgb = np.zeros((len(crops), SIDE, SIDE, 3), np.uint8)
    truth = np.zeros((len(crops), SIDE, SIDE), np.int32)
    for k, (image, nucleus, top, left, side) in enumerate(crops.tolist()):
        window = np.s_[top : top + side, left : left + side]
        pixels = Image.fromarray(np.ascontiguousarray(tissue.rgb[image][window]))
        rgb[k] = np.asarray(pixels.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        mask = Image.fromarray((tissue.truth[image][window] == nucleus).astype(np.uint8))
        truth[k] = np.asarray(mask.resize((SIDE, SIDE), Image.Resampling.NEAREST))
    return Patches(rgb, truth, truth, crops[:, 0])


def _multi(tissue: Tissue, noisy: list[NDArray[np.int32]], windows: NDArray[np.int64]) -> Patches:
    places = [(i, np.s_[y : y + side, x : x + side]) for i, _, y, x, side in windows.tolist()]

    def cut(images: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.stack([images[i][window] for i, window in places])

    return Patches(cut(tissue.rgb), cut(tissue.truth), cut(noisy), windows[:, 0])


def alone(protocol: Protocol) -> Protocol:
    """The control of every table with clean patches: true masks of these few and nothing else.

    They are repeated to as many as there are training patches, so that an epoch is as long.
    """
    few, many = protocol.meta, len(protocol.train)
    train = _taken(few, np.arange(many) % len(few))
    return replace(protocol, train=replace(train, noisy=train.truth))


def _taken(patches: Patches, which: NDArray[np.int64]) -> Patches:
    return Patches(
        patches.rgb[which], patches.truth[which], patches.noisy[which], patches.image[which]
    )
