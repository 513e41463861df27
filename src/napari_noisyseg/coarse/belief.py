"""Whether what a machine found is a nucleus at all, learned from what a person rejected.

Each place is measured where the network at clicks outlines it; a logistic regression tells those
that a person rejected from those that a person clicked or accepted. It travels with the weights of
that network, as tensors whose names begin with `PREFIX`. No torch is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.coarse.appearance import MPP, square_at

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

PREFIX = "belief."
NONE = 0.5
"""Chance of being a nucleus below which a find is none."""
SURE = 0.8
"""Chance from which on a find is as good as if nothing had been learned."""
FEWEST = 8
"""Rejected finds, and nuclei that stand, from which on anything is learned."""
APART = 0.15
"""By how much rejected finds that were held out must be less believed than nuclei held out."""
FOLDS = 4
PULL = 0.02
"""Inverse strength of the pull of the coefficients towards 0, as few places are known."""
RIGHT = (0.2, 0.9)
"""What share of finds are nuclei, at the least and at the most."""
RING = 4
"""Px of 0.25 µm around an outline with which its inside is compared."""
SURE_PX, LEAST_PX = 64, 20
"""Highest pixels, whose mean says how far the network sees a nucleus; fewest that one has."""


class Belief(NamedTuple):
    """weight, mean, scale (k,) of the figures of a place, and the bias (1,)."""

    weight: F32
    mean: F32
    scale: F32
    bias: F32

    def chance(self, figures: Floats) -> Floats:
        """Chance 0..1 that there is a nucleus at each place, of its figures (n, k); (n,)."""
        odds = ((figures - self.mean) / self.scale) @ self.weight + self.bias
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))), np.float64)

    def weights_of(self, figures: Floats) -> Floats:
        """What the scores of finds are to be multiplied by: 0 for those that are none, else 1
        where the chance is `SURE`, and less below it; of figures (n, k), (n,).
        """
        chance = self.chance(figures)
        return np.where(chance < NONE, 0.0, np.minimum(chance / SURE, 1.0))

    def tensors(self) -> dict[str, F32]:
        """As they lie beside a network's weights."""
        return {PREFIX + name: np.asarray(v, np.float32) for name, v in self._asdict().items()}


def of_tensors(tensors: Mapping[str, NDArray[Any]]) -> Belief | None:
    """The one among a network's weights; None where there is none, or one that cannot be used."""
    found = [np.asarray(tensors.get(PREFIX + name, ()), np.float32) for name in Belief._fields]
    sizes = [part.shape for part in found]
    if sizes != [(COUNT,)] * 3 + [(1,)] or not (found[2] > 0).all():
        return None
    return Belief(*found)


def of_look(look: object) -> Belief | None:
    """What a network at clicks has learned of finds, None where nothing."""
    found = getattr(look, "belief", None)
    return found if isinstance(found, Belief) else None


def without(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of the network alone."""
    return {name: value for name, value in weights.items() if not name.startswith(PREFIX)}


COUNT = 17
"""Figures of a place."""


def figures(planes: F32, clicks: Floats, squares: F32) -> Floats:
    """What is measured at each of `clicks` (n, 2), px of the planes: (n, COUNT).

    planes: `appearance` (4, h, w); squares: probability of the nucleus at each, (n, SIDE, SIDE).
    """
    found = np.zeros((len(clicks), COUNT))
    for row, (click, square) in enumerate(zip(clicks, squares, strict=True)):
        box = square_at(click)
        seen = box.clip(planes.shape[1:])
        found[row] = _measured(planes[:, *seen.slices], square[seen.within(box)])
    return found


def _measured(planes: F32, probability: F32) -> Floats:
    """Size, form and sureness of the outline, colours inside, their spread, and against a ring."""
    sure = np.sort(probability, axis=None)
    inside = probability > 0.5
    if inside.sum() < LEAST_PX:
        inside = probability >= sure[-LEAST_PX:][0]
    ring = ndi.binary_dilation(inside, iterations=RING) & ~inside
    area, whole = float(inside.sum()), float(probability.sum())
    within = float(probability[inside].sum())
    rim = float((inside & ~ndi.binary_erosion(inside)).sum())
    edge = float(inside[[0, -1]].sum() + inside[:, [0, -1]].sum())
    colours = planes[:, inside]
    around = planes[:, ring].mean(axis=1) if ring.any() else colours.mean(axis=1)
    form = [
        np.log(area * MPP**2), _odds(within / max(area + whole - within, 1.0)),
        _odds(float(sure[-SURE_PX:].mean())), rim / np.sqrt(area), edge / max(rim, 1.0),
    ]  # fmt: skip
    mean = colours.mean(axis=1)
    return np.concatenate([form, mean, colours.std(axis=1), mean - around])


def _odds(share: float) -> float:
    share = min(max(share, 1e-3), 1 - 1e-3)
    return float(np.log(share / (1 - share)))


def learned(measured: Floats, standing: NDArray[np.bool_], right: float = 0.5) -> Belief | None:
    """What tells nuclei that stand from rejected finds, figures (n, COUNT) and bool (n,).

    right: share of the finds that are nuclei; the decisions do not tell it, as the doubtful come
    first. None with fewer than `FEWEST` of either, or where held-out ones are not told apart.
    """
    if min(standing.sum(), (~standing).sum()) < FEWEST:
        return None
    chance, fold = np.zeros(len(standing)), np.zeros(len(standing), np.intp)
    for kind in (standing, ~standing):
        fold[kind] = np.random.default_rng(0).permutation(int(kind.sum())) % FOLDS
    for out in range(FOLDS):
        tried = _fitted(measured[fold != out], standing[fold != out])
        chance[fold == out] = tried.chance(measured[fold == out])
    if chance[standing].mean() - chance[~standing].mean() < APART:
        return None
    right = float(np.clip(right, *RIGHT))
    made = _fitted(measured, standing)
    return made._replace(bias=made.bias + np.float32(np.log(right / (1 - right))))


def _fitted(measured: Floats, standing: NDArray[np.bool_]) -> Belief:
    from sklearn.linear_model import LogisticRegression  # slow to import

    mean, scale = measured.mean(axis=0), measured.std(axis=0) + 1e-3
    count = np.where(standing, standing.sum(), (~standing).sum())
    # both kinds count as much: what share of finds are right is added afterwards
    share = len(standing) / (2 * count)
    model = LogisticRegression(C=PULL, max_iter=500)
    model.fit((measured - mean) / scale, standing, sample_weight=share)
    parts = (model.coef_[0], mean, scale, model.intercept_)
    return Belief(*(np.asarray(part, np.float32) for part in parts))
