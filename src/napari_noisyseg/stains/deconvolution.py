"""Beer–Lambert stain separation, x = x0·exp(−W·D): fixed matrix, or estimated on the image.

Sources: Ruifrok & Johnston 2001 (the fixed matrix); Vahadane et al. 2016 (sparse non-negative
matrix factorisation); SC-Net, Lin et al., Eqs 1–2 (the hematoxylin component).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

CACHED = 100_000
"""Numbers that are worked with at a time."""
MIN_DENSITY = 0.15
"""Mean optical density (natural log) over the channels from which a pixel counts as stained."""
BLACK = 10
"""A pixel with every channel below this is scanner padding or a pen, not tissue."""
SAMPLE = 2_000
"""Tissue pixels that the estimate looks at."""
LOOK = 250_000
"""Pixels that the stain's level is measured on."""
LEVEL = 1.5
"""Density of hematoxylin, at the 99th percentile of tissue, that images are brought to."""
STRENGTHS = (0.5, 4.0)
"""Least and largest factor that levels an image: blank ones are not blown up to noise."""
MIN_SAMPLE = 500
"""Fewer tissue pixels than this do not tell two stains apart."""
SPARSITY = 0.1
"""Weight of the L1 penalty on the densities."""
PASSES = 3
"""Times that the estimate goes over its sample."""
MIN_LIKENESS = (0.85, 0.65)
"""Cosines to the fixed hematoxylin and eosin below which an estimated column is not believed."""
MAX_ALIKE = 0.98
"""Cosine between the two columns above which the image shows only one stain."""


@dataclass(frozen=True, slots=True)
class StainMatrix:
    """W, float64 (3, 2): optical density of R, G, B per unit of hematoxylin and of eosin.

    Columns have length one, hematoxylin first. x0, float64 (3,): light without tissue, in grey
    levels. source: where the matrix is from. strength: factor of the hematoxylin that networks
    see, which levels pale and dark stains.
    """

    W: F64
    x0: F64
    source: Literal["fixed", "estimated"]
    strength: float = 1.0


def _unit(columns: F64) -> F64:
    unit: F64 = columns / np.linalg.norm(columns, axis=0, keepdims=True)
    return unit


FIXED = StainMatrix(
    W=_unit(np.array([[0.650, 0.072], [0.704, 0.990], [0.286, 0.105]])),
    x0=np.full(3, 255.0),
    source="fixed",
)
"""Ruifrok & Johnston's hematoxylin and eosin."""


def density_tables(x0: F64) -> F32:
    """Optical density of each grey level, float32 (3, 256); 0 is read as 1."""
    levels = np.maximum(np.arange(256, dtype=np.float64), 1.0)
    tables: F32 = np.maximum(np.log(x0[:, None] / levels), 0.0).astype(np.float32)
    return tables


def _optical_density(rgb: RGB, x0: F64) -> list[F32]:
    tables = density_tables(x0)
    return [tables[c].take(rgb[..., c]) for c in range(3)]


def tissue(rgb: RGB) -> NDArray[np.bool_]:
    """Stained pixels of uint8 (H, W, 3) as bool (H, W); glass and black padding are not."""
    red, green, blue = _optical_density(rgb, FIXED.x0)
    stained = (red + green + blue) > 3 * MIN_DENSITY
    stained &= rgb.max(axis=-1) >= BLACK
    return stained


def densities(rgb: RGB, matrix: StainMatrix = FIXED) -> F32:
    """Non-negative stain densities of uint8 (H, W, 3), float32 (2, H, W): hematoxylin, eosin.

    The non-negative least squares solution at each pixel, in closed form: where the plain
    solution asks for less than none of one stain, the other alone is fitted.
    """
    tables, w = density_tables(matrix.x0), matrix.W.astype(np.float32)
    cosine = np.float32(w[:, 0] @ w[:, 1])
    scale = np.float32(1.0) / (1 - cosine * cosine)
    out = np.empty((2, *rgb.shape[:-1]), np.float32)
    # rows at a time, so that what is worked with stays in the processor's cache
    step = max(1, CACHED // max(1, rgb[:1].size))
    for top in range(0, len(rgb), step):
        rows = slice(top, top + step)
        channels = [rgb[rows, ..., c] for c in range(3)]
        h, e = (
            sum(
                ((w[c, s] * tables[c]).take(channels[c]) for c in (1, 2)),
                (w[0, s] * tables[0]).take(channels[0]),
            )
            for s in (0, 1)
        )
        both_h, both_e = (h - cosine * e) * scale, (e - cosine * h) * scale
        negative_h, negative_e = both_h < 0, both_e < 0
        out[0, rows] = np.where(negative_h, 0, np.where(negative_e, h, both_h))
        out[1, rows] = np.where(negative_e, 0, np.where(negative_h, e, both_e))
    return out


def hematoxylin(rgb: RGB, matrix: StainMatrix = FIXED) -> F32:
    """x_h / x0 = exp(−D[0]) of SC-Net's Eq. 2, float32 (H, W) in 0..1; 1 is no hematoxylin.

    D is multiplied by the matrix's `strength` (1 but for `levelled` ones).
    """
    component: F32 = np.exp(-densities(rgb, matrix)[0] * np.float32(matrix.strength))
    return component


def levelled(rgb: RGB, matrix: StainMatrix) -> StainMatrix:
    """The matrix with the strength that brings the image's hematoxylin to a common level.

    The 99th percentile of its density in tissue becomes `LEVEL`, as Macenko et al. (ISBI 2009)
    and Vahadane et al. level stains between slides. Without tissue nothing changes.
    """
    step = max(1, math.isqrt(rgb.shape[0] * rgb.shape[1] // LOOK))
    small = rgb[::step, ::step]
    found = densities(small, matrix)[0][tissue(small)]
    if found.size < MIN_SAMPLE:
        return matrix
    strong = float(np.percentile(found, 99))
    return replace(matrix, strength=float(np.clip(LEVEL / max(strong, 1e-3), *STRENGTHS)))


def estimate(rgb: RGB, seed: int = 0) -> StainMatrix:
    """The image's own two stains by sparse NMF of the optical density of sampled tissue pixels.

    rgb: uint8 (H, W, 3). Deterministic for a seed. Falls back to `FIXED` when the image does not
    show two believable stains (white, black, grey, one stain alone, other stains).
    """
    x0 = _illumination(rgb)
    sample = _sample(rgb, x0, seed)
    if len(sample) < MIN_SAMPLE:
        return FIXED
    columns = _factorise(sample)
    if columns is None:
        return FIXED
    return StainMatrix(W=columns, x0=x0, source="estimated")


def _illumination(rgb: RGB) -> F64:
    """Grey level of glass per channel: the brightest percentile, where it is bright at all."""
    bright = np.percentile(rgb.reshape(-1, 3)[:: max(1, rgb.size // 600_000)], 99.5, axis=0)
    return np.where(bright >= 200, bright, 255.0).astype(np.float64)


def _sample(rgb: RGB, x0: F64, seed: int) -> F64:
    """Optical densities (n, 3) of up to `SAMPLE` tissue pixels."""
    pixels = rgb.reshape(-1, 3)
    where = np.flatnonzero(tissue(rgb))
    where = np.random.default_rng(seed).permutation(where)[:SAMPLE]
    return np.stack(_optical_density(pixels[where], x0), axis=1).astype(np.float64)


def _factorise(sample: F64) -> F64 | None:
    """Two unit columns (3, 2), hematoxylin first, or None when they are not two stains.

    min ‖OD − W·D‖² + λ‖D‖₁ over non-negative D and W of unit columns, by online dictionary
    learning (Mairal et al. 2010), as Vahadane et al. solve it. Plain NMF with an L1 penalty does
    not do: without unit columns it escapes the penalty by scaling.
    """
    from sklearn.decomposition import MiniBatchDictionaryLearning  # slow to import
    from sklearn.exceptions import ConvergenceWarning

    model = MiniBatchDictionaryLearning(
        2,
        alpha=SPARSITY,
        fit_algorithm="cd",
        positive_code=True,
        positive_dict=True,
        dict_init=np.ascontiguousarray(FIXED.W.T),
        batch_size=256,
        max_iter=PASSES,
        shuffle=False,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        columns = np.asarray(model.fit(sample).components_, dtype=np.float64).T
    if not np.isfinite(columns).all() or np.linalg.norm(columns, axis=0).min() < 1e-6:
        return None
    return _believed(_unit(columns))


def _believed(columns: F64) -> F64 | None:
    """Hematoxylin, which takes more of the red, first; None if either is unlike its stain."""
    if columns[0, 0] < columns[0, 1]:
        columns = columns[:, ::-1].copy()
    likeness = (FIXED.W * columns).sum(axis=0)
    alike = float(columns[:, 0] @ columns[:, 1])
    return columns if (likeness >= MIN_LIKENESS).all() and alike <= MAX_ALIKE else None
