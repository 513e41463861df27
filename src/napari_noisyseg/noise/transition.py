"""Noise transition matrices and spatial densities of labels: what noisy labels still tell.

Y. Luo, G. Liu, Y. Guo, G. Yang: Elucidating Meta-Structures of Noisy Labels in Semantic
Segmentation by Deep Neural Networks. A matrix Q is float64 (M, M); Q[j, i] = p(y* = j | y = i), so
columns are true classes and sum to one (§3.2). Labels are int (H, W) of 0..M−1; 0 is background.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_multiotsu
from skimage.morphology import disk, skeletonize

from napari_noisyseg.errors import NoisySegError

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]
Perturbation = Literal["dilate", "erode", "skeleton"]


def pairs(noisy: Labels, true: Labels, known: Mask | None = None, classes: int = 2) -> Matrix:
    """How many pixels of `known` have noisy label j and true label i: counts (M, M) at [j, i]."""
    if noisy.shape != true.shape:
        raise ValueError(f"noisy labels {noisy.shape} and true ones {true.shape} differ in size")
    inside = np.ones(true.shape, bool) if known is None else known
    flat = noisy[inside].astype(np.int64) * classes + true[inside]
    if flat.size and (flat.min() < 0 or max(noisy[inside].max(), true[inside].max()) >= classes):
        raise ValueError(f"labels must be 0 to {classes - 1}")
    counts = np.bincount(flat, minlength=classes * classes).reshape(classes, classes)
    return counts.astype(np.float64)


def estimate(noisy: Labels, true: Labels, known: Mask | None = None, classes: int = 2) -> Matrix:
    """The matrix by which the noisy labels came from the true ones, where those are known.

    A true class that does not occur has a column of nan: nothing is known of it.
    """
    return of_pairs(pairs(noisy, true, known, classes))


def of_pairs(counts: Matrix) -> Matrix:
    """Counts (M, M) of pixels to probabilities: columns sum to one, nan where nothing was seen."""
    seen = counts.sum(axis=0)
    unknown = np.full(counts.shape, np.nan)
    return np.asarray(np.divide(counts, seen, out=unknown, where=seen > 0), dtype=np.float64)


def flip_matrix(probability: float, classes: int = 2) -> Matrix:
    """Randomized clean labels: each label becomes one of the others with this probability."""
    _check(probability)
    matrix = np.full((classes, classes), probability / (classes - 1))
    np.fill_diagonal(matrix, 1 - probability)
    return matrix


def sample_matrix(probability: float, classes: int = 2) -> Matrix:
    """Randomized clean labels: each label is kept with this probability, else background (0)."""
    _check(probability)
    matrix = np.diag(np.full(classes, probability))
    matrix[0] += 1 - probability
    return matrix


def random_matrix(probability: float) -> Matrix:
    """Random labels: foreground with this probability, whatever the truth; of rank one."""
    _check(probability)
    return np.array([[1 - probability] * 2, [probability] * 2])


def draw(true: Labels, matrix: Matrix, seed: int = 0) -> NDArray[np.int32]:
    """Noisy labels (H, W) of true ones: each pixel drawn from its class's column (§3.2)."""
    columns = np.cumsum(matrix, axis=0)
    if (matrix < 0).any() or not np.allclose(columns[-1], 1):
        raise ValueError("the columns of a noise transition matrix are probabilities")
    drawn = np.random.default_rng((seed, 3)).random(true.shape)
    noisy = np.zeros(true.shape, np.int32)
    for row in columns[:-1]:
        noisy += drawn >= row[true]
    return noisy


def perturbed(mask: Mask, kind: Perturbation, radius: int = 1) -> Mask:
    """Perturbed clean labels (H, W): the foreground dilated or eroded by a disk, or thinned.

    Nothing comes in over the image's border. `radius` px; a skeleton has none.
    """
    if kind == "skeleton":
        thinned: Mask = skeletonize(mask)
        return thinned
    if kind == "dilate":
        grown: Mask = ndimage.binary_dilation(mask, disk(radius))
        return grown
    shrunk: Mask = ndimage.binary_erosion(mask, disk(radius), border_value=1)
    return shrunk


def rank(matrix: Matrix, tolerance: float = 1e-6) -> int:
    """Rank of a matrix: that many of the classes the noisy labels can still tell apart."""
    return int(np.linalg.matrix_rank(matrix, tol=tolerance))


def randomization_distance(matrix: Matrix, u: int = 0, v: int = 1) -> float:
    """Complete randomization distance d_uv = ‖p(·|u) − p(·|v)‖₁, 2 to 0 (Eq. 2).

    At 0 the noisy labels do not tell u from v at all.
    """
    return float(np.abs(matrix[:, u] - matrix[:, v]).sum())


def window_area(labels: Labels, which: int, half: int) -> NDArray[np.float64]:
    """S_j: how many pixels of class `which` the square window of 2·half + 1 px holds, (H, W)."""
    side = 2 * half + 1
    inside = (labels == which).astype(np.float64)
    share = ndimage.uniform_filter(inside, side, mode="constant")
    counts: NDArray[np.float64] = np.rint(share * side * side)
    return counts


def density(labels: Labels, which: int, half: int) -> NDArray[np.float64]:
    """Spatial density f of the pixels of class `which`, (H, W): uniform kernel (Eqs 4, 5).

    N pixels of that class; f = (those in the window) / (2·N·half). 0 where there is none at all.
    """
    count = int((labels == which).sum())
    return window_area(labels, which, half) / (2 * max(count, 1) * half)


def expected_density(true: Labels, matrix: Matrix, which: int, half: int) -> NDArray[np.float64]:
    """The density that labels drawn from `true` have but for sampling errors, (H, W) (Eq. 7)."""
    classes = len(matrix)
    areas = [window_area(true, j, half) * matrix[which, j] for j in range(classes)]
    count = sum(matrix[which, j] * (true == j).sum() for j in range(classes))
    return np.asarray(np.sum(areas, axis=0) / (2 * max(float(count), 1e-9) * half))


def heat(labels: Labels, which: int, half: int) -> NDArray[np.float32]:
    """The same density as a picture, float32 (H, W): class `which`'s share of each window, 0..1.

    At the border only what lies inside the image counts.
    """
    side = 2 * half + 1
    whole = ndimage.uniform_filter(np.ones(labels.shape), side, mode="constant") * side * side
    return np.asarray(window_area(labels, which, half) / np.rint(whole), dtype=np.float32)


def meta_structures(density: NDArray[np.floating[Any]], classes: int) -> NDArray[np.int32]:
    """Pixels of similar density, (H, W) of 0..D−1 from sparse to dense (Eq. 6).

    D is `classes`, or less where the densities are not that many: 1 when they are all alike.
    """
    different = len(np.unique(density))
    parts = min(classes, different)
    if parts < 2:
        return np.zeros(density.shape, np.int32)
    values = np.asarray(density, np.float64)
    bounds = np.sort(threshold_multiotsu(values / values.max(), parts)) * values.max()
    return np.digitize(values, bounds, right=True).astype(np.int32)


def _check(probability: float) -> None:
    if not 0 <= probability <= 1:
        raise NoisySegError(f"probability {probability:g}: give one from 0 to 1")
