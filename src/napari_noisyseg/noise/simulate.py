"""Label noise of the papers, made from true label images (H, W) of one id per nucleus.

Ids stay. Each nucleus is redrawn by itself, with random numbers of its own (`draws`). A pixel of
a nucleus that keeps its place stays its own; free pixels that several nuclei grow into go to the
lowest id. Nothing wraps around at the image's border.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.noise.draws import Strength, chosen
from napari_noisyseg.noise.outlines import Mask
from napari_noisyseg.noise.redraw import Labels, changes, ids_of, redraw

NoiseKind = Literal["partial", "box", "dilate", "erode", "affine", "flip", "random"]
KINDS: tuple[NoiseKind, ...] = get_args(NoiseKind)

SHARE = 0.4
"""of nuclei (MMC §III-D)"""

RANGES: Mapping[str, tuple[float, float]] = {
    "points": (8.0, 8.0),
    "box": (1, 3),
    "dilate": (1, 5),
    "erode": (1, 5),
    "affine": (0.5, 0.7),
    "flip": (0.45, 0.45),
    "random": (0.1, 0.1),
}
"""What the papers draw from: px for points (SC-Net, Fig. 7: of 0 to 20 px, that at which a fifth
of the points misses its nucleus), box, dilate and erode (MMC §III-B); β for affine (Li et al. 2021,
§3.1); the probability for flip (P_flip) and random (P_generate; Luo et al., Figs 1 and 5)."""

MOST: Mapping[str, float] = {"affine": 2.0, "flip": 1.0, "random": 1.0}


def simulate(
    labels: NDArray[Any],
    noise: NoiseKind,
    share: float = SHARE,
    strength: Strength | None = None,
    seed: int = 0,
) -> Labels:
    """Noisy labels, int32 (H, W), of true ones; the same seed gives the same.

    share: of nuclei, deleted (partial, box, dilate: all others are changed as well) or changed
    (erode, affine). flip and random look at pixels, not at nuclei. strength: px, β or
    probability; a pair is drawn from for each nucleus, None is the paper's own (`RANGES`).
    """
    check(noise, share, strength)
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    if noise == "partial":
        return partial(labels, share, seed)
    level = RANGES[noise] if strength is None else strength
    if noise in ("flip", "random"):
        probability = level[0] if isinstance(level, tuple) else level
        return (flip if noise == "flip" else random)(labels, probability, seed)
    by_name = {"box": box, "dilate": dilate, "erode": erode, "affine": affine}
    return by_name[noise](labels, level, share, seed)


def check(noise: str, share: float, strength: Strength | None) -> None:
    """NoisySegError where share or strength make no sense for this noise."""
    if noise not in RANGES and noise != "partial":
        raise NoisySegError(f"there is no noise {noise!r}: use one of points, {', '.join(KINDS)}")
    if not 0 <= share <= 1:
        raise NoisySegError(f"share is {share:g}: give a share of nuclei from 0 to 1")
    if strength is None:
        return
    if noise == "partial":
        raise NoisySegError("partial has no strength: give the share of nuclei to delete")
    most = MOST.get(noise, 1000.0)
    for value in strength if isinstance(strength, tuple) else (strength,):
        if not 0 <= value <= most:
            raise NoisySegError(f"strength is {value:g}: for {noise} give 0 to {most:g}")


def partial(labels: Labels, share: float = SHARE, seed: int = 0) -> Labels:
    """A share of the nuclei deleted (MMC §III-B 1)."""
    ids = ids_of(labels)
    return _without(labels, ids[chosen(ids, share, seed)])


def box(labels: Labels, grow: Strength = (1, 3), share: float = SHARE, seed: int = 0) -> Labels:
    """A share deleted, each other nucleus its rectangle, grown by `grow` px (MMC §III-B 2)."""
    left = partial(labels, share, seed)
    return redraw(left, changes("box", ids_of(left), grow, seed))


def dilate(
    labels: Labels, radius: Strength = (1, 5), share: float = SHARE, seed: int = 0
) -> Labels:
    """A share deleted, each other nucleus dilated by `radius` px (MMC §III-B 2)."""
    left = partial(labels, share, seed)
    return redraw(left, changes("dilate", ids_of(left), radius, seed))


def erode(labels: Labels, radius: Strength = (1, 5), share: float = SHARE, seed: int = 0) -> Labels:
    """A share of the nuclei eroded by `radius` px; the core of each stays."""
    ids = ids_of(labels)
    return redraw(labels, changes("erode", ids[chosen(ids, share, seed)], radius, seed))


def affine(
    labels: Labels, beta: Strength = (0.5, 0.7), share: float = SHARE, seed: int = 0
) -> Labels:
    """A share of the nuclei turned and shifted by `beta` of their size (Li et al. 2021, §3.1).

    One that comes to lie wholly under others or outside the image is lost.
    """
    ids = ids_of(labels)
    return redraw(labels, changes("affine", ids[chosen(ids, share, seed)], beta, seed))


def flip(labels: Labels, probability: float = 0.45, seed: int = 0) -> Labels:
    """Each pixel's class swapped with `probability` (randomized labels, Luo et al. §3.2)."""
    swapped = np.random.default_rng((seed, 1)).random(labels.shape) < probability
    return _with_foreground(labels, (labels > 0) ^ swapped)


def random(labels: Labels, probability: float = 0.1, seed: int = 0) -> Labels:
    """Each pixel nucleus with `probability`, whatever the truth (Luo et al. §3.2)."""
    return _with_foreground(
        labels, np.random.default_rng((seed, 2)).random(labels.shape) < probability
    )


def simulate_patches(
    masks: NDArray[np.bool_],
    noise: NoiseKind,
    share: float = SHARE,
    strength: Strength | None = None,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Noisy masks (n, h, w) of patches that hold one nucleus each, bool (n, h, w).

    The share is of all patches; the mask of a deleted nucleus is empty.
    """
    check(noise, share, strength)
    if noise in ("flip", "random"):
        pairs = enumerate(masks.astype(np.int32))
        drawn = [simulate(m, noise, share, strength, seed + i) > 0 for i, m in pairs]
        return np.array(drawn, bool).reshape(masks.shape)
    ids = np.arange(1, len(masks) + 1)
    struck, result = chosen(ids, share, seed), masks.copy()
    if noise in ("partial", "box", "dilate"):
        result[struck] = False
    if noise == "partial":
        return result
    touched = ids[struck] if noise in ("erode", "affine") else ids[~struck]
    level = RANGES[noise] if strength is None else strength
    for nucleus, change in changes(noise, touched, level, seed).items():
        result[nucleus - 1] = change.draw(result[nucleus - 1])
    return result


def _without(labels: Labels, ids: NDArray[np.int64]) -> Labels:
    return np.where(np.isin(labels, ids), 0, labels).astype(np.int32)


def _with_foreground(labels: Labels, foreground: Mask) -> Labels:
    """These pixels as nuclei, each with the id of the nearest nucleus (1 where there is none)."""
    if not labels.any():
        return foreground.astype(np.int32)
    nearest = ndimage.distance_transform_edt(
        labels == 0, return_distances=False, return_indices=True
    )
    return np.where(foreground, labels[tuple(nearest)], 0).astype(np.int32)
