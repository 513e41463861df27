"""`igtt`: training without any annotation against thresholds and against true masks (Table 6).

100 windows (150 in the long form) of fluorescence nuclei to train on, their masks unseen but by the
supervised yardstick; Dice on 100 other images. Once as they are, where Otsu's threshold is nearly
as good as true masks, and once with little light (`faint-…`), where it is as poor as on the paper's
images. What the network's output is cut at, its polarity, the smallest piece and the last epoch are
the method's own; adaptive thresholding is given the block and the offset that fit the true
masks of the training images best, and `otsu-blurred` the blur.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gaussian, threshold_local
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
BLURS = (0.0, 1.0, 2.0, 3.0)
"""px, of the Gaussian before Otsu's threshold"""
Settings = Mapping[str, bool | str | float]
VARIANTS: dict[str, Settings] = {
    "igtt": {},
    "never-revised": {"revise_every": 1000},
    "to-the-end": {"agreement_drop": 0.0},
    "without-structure": {"use_structure": False},
    "random-seed": {"seed_labels": "random", "agreement_drop": 0.0},
}
"""iGTT and its parts; `never-revised` learns from the labels of the first epoch alone (Otsu's
threshold where it is sure), so that what revising adds is told from what a U-Net adds"""
FAINT = ("igtt", "never-revised", "without-structure")
"""those that are trained on faint images too"""
FAINTLY = "faint-"
TABLE_6 = {"igtt": 0.788, "without-structure": 0.739, "supervised": 0.859, "otsu": 0.694,
         "adaptive": 0.762}  # fmt: skip
"""Dice on the endoplasmic reticulum; AUC of iGTT 0.916, ACC 0.854"""
PAPER = TABLE_6 | {FAINTLY + name: dice for name, dice in TABLE_6.items()}
Images = Callable[[Path], tuple[Cells, Cells]]
"""from the data's folder: to train on, and held out"""


def run(data: Path, full: bool) -> Report:
    """Thresholds, iGTT and its parts from several seeds, and the same net on masks."""
    arms = _arms(cells.load, data, full, tuple(VARIANTS))
    faint = _arms(cells.faint, data, full, FAINT)
    arms |= {FAINTLY + name: job for name, job in faint.items()}
    rows, complete = over_seeds("igtt", full, arms, paper=PAPER)
    thresholds, done = rows_of("igtt-thresholds", full, list(_thresholds(data).items()))
    thresholds = [{**row, "paper": PAPER.get(str(row["key"]))} for row in thresholds]
    every = [*rows, *thresholds]
    return Report("igtt", {**_figures(every), "complete": float(complete and done)}, every)


def _arms(images: Images, data: Path, full: bool, variants: Sequence[str]) -> dict[str, Job]:
    size = FULL if full else SHORT
    arms: dict[str, Job] = {
        name: partial(_trained, images, data, size, VARIANTS[name]) for name in variants
    }
    return {**arms, "supervised": partial(_supervised, images, data, size)}


def _thresholds(data: Path) -> dict[str, Callable[[], Row]]:
    ways = {"otsu": _otsu, "otsu-blurred": _otsu_blurred, "adaptive": _adaptive}
    bright = {name: partial(way, cells.load, data) for name, way in ways.items()}
    faint = {FAINTLY + name: partial(way, cells.faint, data) for name, way in ways.items()}
    return {**bright, **faint}


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


def _otsu(images: Images, data: Path) -> Row:
    return _scores(images(data)[1], partial(_above_otsu, 0.0))


def _otsu_blurred(images: Images, data: Path) -> Row:
    train, test = images(data)
    scores = [cells.mean_dice(train, partial(_above_otsu, blur)) for blur in BLURS]
    blur = BLURS[int(np.argmax(scores))]
    return {**_scores(test, partial(_above_otsu, blur)), "blur": blur}


def _above_otsu(blur: float, rgb: NDArray[np.uint8]) -> Mask:
    return structure.otsu(gaussian(rgb.mean(axis=2), blur))


def _adaptive(images: Images, data: Path) -> Row:
    train, test = images(data)
    choices = list(product(BLOCKS, OFFSETS))
    scores = [cells.mean_dice(train, partial(_above_local, *choice)) for choice in choices]
    block, offset = choices[int(np.argmax(scores))]
    return {**_scores(test, partial(_above_local, block, offset)), "block": block, "offset": offset}


def _above_local(block: int, offset: float, rgb: NDArray[np.uint8]) -> Mask:
    grey = rgb.mean(axis=2)
    mask: Mask = grey > threshold_local(grey, block, "gaussian", -offset * float(grey.std()))
    return mask


def _trained(images: Images, data: Path, size: Size, settings: Settings, seed: int) -> Row:
    config = IGTTConfig.from_preset("small", width=size.width, **settings)
    return _judged(images, data, size, IGTT(config, "cpu", seed))


def _supervised(images: Images, data: Path, size: Size, seed: int) -> Row:
    train = images(data)[0]
    config = IGTTConfig.from_preset("small", width=size.width)
    chosen = cells.spread(len(train.rgb), size.images)
    labels = [train.truth[i].astype(np.float32) for i in chosen]
    return _judged(images, data, size, Taught(config, seed, lambda epoch: labels))


def _judged(images: Images, data: Path, size: Size, method: IGTT) -> Row:
    """Train, then the scores of the held-out images."""
    began = time.monotonic()
    train, test = images(data)
    config = method.config
    chosen = cells.images_of(train, config, size.images)
    steps = cells.train(method, chosen, size.epochs, method.seed)
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
