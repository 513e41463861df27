"""How many pixels of a rough label are wrong: against clean ones, or from losses alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from napari_noisyseg.method import UNKNOWN

LOWEST, HIGHEST = 0.01, 0.5
"""Of an estimate: below there is nothing to select, above labels would mean their opposite."""
ENOUGH = 500
"""pixels with both labels from which their agreement says something"""


def by_agreement(given: NDArray[np.uint8], clean: NDArray[np.uint8]) -> float | None:
    """Share of pixels that a rough and a clean plane of states call otherwise; None for too few."""
    both = (given != UNKNOWN) & (clean != UNKNOWN)
    if int(both.sum()) < ENOUGH:
        return None
    return float(np.clip((given != clean)[both].mean(), LOWEST, HIGHEST))


def by_losses(losses: NDArray[np.float32], sizes: NDArray[np.float32]) -> float:
    """Share of pixels in the higher of two normal distributions fitted to the losses (n,).

    losses: of superpixels of `sizes` pixels, by networks that have learned what is easy. As in
    DivideMix (Li et al. 2020); few or equal losses give `LOWEST`.
    """
    counted = sizes > 0
    losses, sizes = losses[counted].astype(np.float64), sizes[counted]
    spread = losses.std() if len(losses) > 1 else 0.0
    if spread < 1e-6:
        return LOWEST
    values = ((losses - losses.mean()) / spread)[:, None]
    mixture = GaussianMixture(2, random_state=0, reg_covar=1e-3).fit(values)
    noisy = mixture.predict_proba(values)[:, int(mixture.means_.argmax())]
    return float(np.clip((noisy * sizes).sum() / sizes.sum(), LOWEST, HIGHEST))
