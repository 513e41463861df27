"""`igtt`: training without any annotation against thresholds and against true masks (Table 6).

150 images of fluorescence nuclei to train on, their masks unseen but by the supervised yardstick;
Dice on 100 others. What the network's output is cut at, its polarity, the smallest piece and the
last epoch are the method's own; adaptive thresholding is given the block and the offset that fit
the training images' true masks best.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_local
from sklearn.metrics import roc_auc_score

from ..learning.settings.igtt import IGTTConfig
from ..methods.igtt import IGTT
from ..noise import structure
from . import cells
from .cells import Cells, Mask, Size, Taught
from .ledger import rows_of
from .report import Report, Row
from .seeds import Job, over_seeds

SHORT, FULL = Size(100, 12, 12), Size(150, 24, 16)
BLOCKS, OFFSETS = (51, 101, 151), (0.0, 0.25, 0.5, 1.0)
"""of adaptive thresholding: px, and deviations of the image above the local mean"""
VARIANTS: dict[str, Mapping[str, bool | str | float]] = {
    "igtt": {},
    "never-revised": {"revise_every": 1000},
    "to-the-end": {"agreement_drop": 0.0},
    "without-structure": {"use_structure": False},
    "random-seed": {"seed_labels": "random", "agreement_drop": 0.0},
}
"""iGTT and its parts; `never-revised` learns from the labels of the first epoch alone (Otsu's
threshold where it is sure), so that what revising adds is told from what a U-Net adds"""
PAPER = {"igtt": 0.788, "without-structure": 0.739, "supervised": 0.859, "otsu": 0.694,
         "adaptive": 0.762}  # fmt: skip
"""Table 6, Dice on the endoplasmic reticulum; AUC of iGTT 0.916, ACC 0.854"""


def run(data: Path, full: bool) -> Report:
    """Thresholds, iGTT and its parts from several seeds, and the same net on masks."""
    size = FULL if full else SHORT
    arms: dict[str, Job] = {
        name: partial(_trained, data, size, settings) for name, settings in VARIANTS.items()
    }
    arms["supervised"] = partial(_supervised, data, size)
    rows, complete = over_seeds("igtt", full, arms, paper=PAPER)
    without = [("otsu", partial(_otsu, data)), ("adaptive", partial(_adaptive, data))]
    thresholds, done = rows_of("igtt-thresholds", full, without)
    thresholds = [{**row, "paper": PAPER[str(row["key"])]} for row in thresholds]
    every = [*rows, *thresholds]
    return Report("igtt", {**_figures(every), "complete": float(complete and done)}, every)


def _figures(rows: list[Row]) -> dict[str, float]:
    """[`dice_igtt`, `dice_igtt_std`, `dice_igtt_worst`, `auc_igtt`, `acc_igtt`, `dice_otsu`, …]"""
    found: dict[str, float] = {}
    for row in rows:
        name = str(row["key"]).replace("-", "_")
        found |= {f"{score}_{name}": float(str(row[score])) for score in ("dice", "auc", "acc")}
        for about in ("std", "worst"):
            if row.get(about) is not None:
                found[f"dice_{name}_{about}"] = float(str(row[about]))
    return found


def _otsu(data: Path) -> Row:
    return _scores(cells.load(data)[1], lambda rgb: structure.otsu(rgb.mean(axis=2)))


def _adaptive(data: Path) -> Row:
    train, test = cells.load(data)
    choices = list(product(BLOCKS, OFFSETS))
    scores = [cells.mean_dice(train, partial(_above_local, *choice)) for choice in choices]
    block, offset = choices[int(np.argmax(scores))]
    return {**_scores(test, partial(_above_local, block, offset)), "block": block, "offset": offset}


def _above_local(block: int, offset: float, rgb: NDArray[np.uint8]) -> Mask:
    grey = rgb.mean(axis=2)
    mask: Mask = grey > threshold_local(grey, block, "gaussian", -offset * float(grey.std()))
    return mask


def _trained(data: Path, size: Size, settings: Mapping[str, bool | str | float], seed: int) -> Row:
    config = IGTTConfig.from_preset("small", width=size.width, **settings)
    return _judged(data, size, IGTT(config, "cpu", seed))


def _supervised(data: Path, size: Size, seed: int) -> Row:
    train = cells.load(data)[0]
    config = IGTTConfig.from_preset("small", width=size.width)
    chosen = cells.spread(len(train.rgb), size.images)
    labels = [train.truth[i].astype(np.float32) for i in chosen]
    return _judged(data, size, Taught(config, seed, lambda epoch: labels))


def _judged(data: Path, size: Size, method: IGTT) -> Row:
    """Train, then the scores of the held-out images."""
    began = time.monotonic()
    train, test = cells.load(data)
    config = method.config
    images = cells.images_of(train, config, size.images)
    steps = cells.train(method, images, size.epochs, method.seed)
    scores = _scores(test, lambda rgb: cells.probability(method, config, rgb))
    return {**scores, "steps": steps, "seconds": round(time.monotonic() - began)}


def _scores(test: Cells, segment: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> Row:
    """Table 6: means over the images of Dice, of the area under the curve and of the accuracy.

    segment: a mask, or a probability, which is cut at 0.5.
    """
    each = [
        scores_of(np.asarray(segment(rgb), np.float32), truth)
        for rgb, truth in zip(test.rgb, test.truth, strict=True)
    ]
    dice, auc, acc = (np.array(column) for column in zip(*each, strict=True))
    return {
        "dice": round(float(dice.mean()), 4),
        "auc": round(float(np.nanmean(auc)), 4),
        "acc": round(float(acc.mean()), 4),
        "below_half": int((dice < 0.5).sum()),
    }


def scores_of(found: NDArray[np.float32], truth: Mask) -> tuple[float, float, float]:
    """Dice, area under the ROC curve (NaN where all pixels are of one class) and accuracy."""
    mask = found > 0.5
    several = truth.any() and not truth.all()
    auc = float(roc_auc_score(truth.ravel(), found.ravel())) if several else float("nan")
    return cells.dice(mask, truth), auc, float((mask == truth).mean())
