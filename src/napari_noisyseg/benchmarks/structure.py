"""`structure`: what a label is worth by its meta-structure (Eq. 1, Tables 3 to 5 of Luo et al.).

CL ~ RCL > PCL > RL on fluorescence nuclei: one U-Net, cross-entropy, the same number of steps on
clean, randomized, perturbed and random labels, and on those of a transition matrix of rank 1. A
randomized label moves the network's output as a whole (a tenth of the nuclei: at most 0.1), so
every output is cut where it parts itself best; no truth takes part in that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from ..methods.igtt import IGTTConfig
from ..noise import structure
from . import cells
from .cells import Mask, Size, Taught
from .ledger import Row, rows_of
from .report import Report

Change = Callable[[Mask, np.random.Generator], Mask]
SHORT, FULL = Size(80, 18, 12), Size(150, 30, 16)
RADIUS = 3
"""px by which labels are dilated or eroded: nuclei measure 16 px across"""


def flipped(of_background: float, of_nuclei: float) -> Change:
    """Labels by a noise transition matrix: the chance that each class is labelled nucleus."""

    def change(mask: Mask, rng: np.random.Generator) -> Mask:
        labelled: Mask = rng.random(mask.shape) < np.where(mask, of_nuclei, of_background)
        return labelled

    return change


def _dilated(mask: Mask, rng: np.random.Generator) -> Mask:
    return np.asarray(ndi.binary_dilation(mask, iterations=RADIUS), bool)


def _eroded(mask: Mask, rng: np.random.Generator) -> Mask:
    return np.asarray(ndi.binary_erosion(mask, iterations=RADIUS), bool)


LABELS: dict[str, Change] = {
    "dice_clean": flipped(0, 1),
    "dice_flip": flipped(0.45, 0.55),
    "dice_sample": flipped(0, 0.1),
    "dice_dilate": _dilated,
    "dice_erode": _eroded,
    "dice_random": flipped(0.1, 0.1),
    "dice_rank1": flipped(0.55, 0.55),
}
"""Table 1; `flip`, `sample` and `random` as Figs. 4 and 5, the last of rank 1 beside `flip`"""


def run(data: Path, full: bool) -> Report:
    """Train on each kind of label, test on 100 held-out images with clean ones."""
    size = FULL if full else SHORT
    jobs = [(name, partial(_trained, data, size, change)) for name, change in LABELS.items()]
    rows, complete = rows_of("structure", full, jobs)
    figures = {str(row["key"]): float(str(row["dice"])) for row in rows}
    return Report("structure", figures if complete else {}, rows)


def _trained(data: Path, size: Size, change: Change) -> Row:
    began = time.monotonic()
    train, test = cells.load(data)
    config = IGTTConfig.from_preset("small", width=size.width)
    chosen = cells.spread(len(train.rgb), size.images)
    labels = [
        change(train.truth[i], np.random.default_rng([i, 0])).astype(np.float32) for i in chosen
    ]
    method = Taught(config, 0, labels)
    steps = cells.train(method, cells.images_of(train, config, size.images), size.epochs)

    def segment(rgb: NDArray[np.uint8]) -> Mask:
        p = cells.probability(method, config, rgb)
        mask: Mask = p > structure.most_informative(p, measure="correlation")
        return mask

    score = round(cells.mean_dice(test, segment), 4)
    return {"dice": score, "steps": steps, "seconds": round(time.monotonic() - began)}
