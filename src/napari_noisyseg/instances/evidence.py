"""How much a pixel looks like nucleus: the image's own stain, and the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.coarse import evidence as coarse_evidence

Floats = NDArray[np.floating[Any]]
F32 = NDArray[np.float32]

SURE = 4.0
"""Log-odds at which the network's evidence begins to level off."""
WEIGHT = 0.75
"""Weight of the network's evidence (−1..1) beside the stain's, in standard deviations."""


def stain(density: Floats, scale: float, rgb: NDArray[np.uint8] | None) -> F32:
    """Evidence of mean 0 and deviation 1: the image's own colours, else the hematoxylin density."""
    if rgb is not None:
        return coarse_evidence.evidence(rgb, scale)[0]
    smooth = ndi.gaussian_filter(np.asarray(density, np.float32), coarse_evidence.SMOOTH * scale)
    return coarse_evidence.standardised(smooth)[0]


def network(probability: Floats) -> F32:
    """The network's log-odds, levelled off so that one sure pixel does not outvote many."""
    p = np.clip(np.asarray(probability, np.float32), 1e-4, 1 - 1e-4)
    return np.asarray(WEIGHT * np.tanh(np.log(p / (1 - p)) / SURE), dtype=np.float32)


def threshold(evidence: F32) -> float:
    """Otsu's threshold, from a sample of the pixels."""
    return coarse_evidence.otsu(evidence.ravel()[:: max(1, evidence.size // 60_000)])
