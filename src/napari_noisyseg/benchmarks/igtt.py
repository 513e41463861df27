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

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_local

from ..methods.igtt import IGTT, IGTTConfig
from ..noise import structure
from . import cells
from .cells import Mask, Size, Taught
from .ledger import Row, mean, rows_of
from .report import Report

SHORT, FULL = Size(100, 12, 12), Size(150, 24, 16)
SEEDS, MANY_SEEDS = 3, 10
BLOCKS, OFFSETS = (51, 101, 151), (0.0, 0.25, 0.5, 1.0)
"""of adaptive thresholding: px, and deviations of the image above the local mean"""
VARIANTS: dict[str, Mapping[str, bool | str | float]] = {
    "random-seed": {"seed_labels": "random", "agreement_drop": 0.0},
    "to-the-end": {"agreement_drop": 0.0},
    "without-structure": {"use_structure": False},
}


def run(data: Path, full: bool) -> Report:
    """Thresholds, iGTT from several seeds and with parts changed, and the same net on masks."""
    size = FULL if full else SHORT
    jobs: list[tuple[str, Callable[[], Row]]] = [
        ("otsu", partial(_otsu, data)),
        ("adaptive", partial(_adaptive, data)),
        ("supervised", partial(_supervised, data, size)),
    ]
    jobs += [
        (f"igtt-{seed}", partial(_trained, data, size, {}, seed))
        for seed in range(MANY_SEEDS if full else SEEDS)
    ]
    jobs += [
        (name, partial(_trained, data, size, settings, 0)) for name, settings in VARIANTS.items()
    ]
    rows, complete = rows_of("igtt", full, jobs)
    return Report("igtt", _figures(rows) if complete else {}, rows)


def _figures(rows: list[Row]) -> dict[str, float]:
    by_key = {str(row["key"]): float(str(row["dice"])) for row in rows}
    ours = [row for row in rows if str(row["key"]).startswith("igtt-")]
    return {
        "dice_igtt": round(mean(ours, "dice"), 4),
        "dice_igtt_std": round(float(np.std([float(str(r["dice"])) for r in ours])), 4),
        "dice_igtt_worst": min(float(str(row["dice"])) for row in ours),
        **{f"dice_{key.replace('-', '_')}": v for key, v in by_key.items() if "igtt" not in key},
    }


def _otsu(data: Path) -> Row:
    test = cells.load(data)[1]
    return {"dice": round(cells.mean_dice(test, lambda rgb: structure.otsu(rgb.mean(axis=2))), 4)}


def _adaptive(data: Path) -> Row:
    train, test = cells.load(data)
    choices = list(product(BLOCKS, OFFSETS))
    scores = [cells.mean_dice(train, partial(_above_local, *choice)) for choice in choices]
    block, offset = choices[int(np.argmax(scores))]
    found = cells.mean_dice(test, partial(_above_local, block, offset))
    return {"dice": round(found, 4), "block": block, "offset": offset}


def _above_local(block: int, offset: float, rgb: NDArray[np.uint8]) -> Mask:
    grey = rgb.mean(axis=2)
    mask: Mask = grey > threshold_local(grey, block, "gaussian", -offset * float(grey.std()))
    return mask


def _trained(data: Path, size: Size, settings: Mapping[str, bool | str | float], seed: int) -> Row:
    config = IGTTConfig.from_preset("small", width=size.width, **settings)
    return _judged(data, size, IGTT(config, "cpu", seed))


def _supervised(data: Path, size: Size) -> Row:
    train = cells.load(data)[0]
    config = IGTTConfig.from_preset("small", width=size.width)
    chosen = cells.spread(len(train.rgb), size.images)
    labels = [train.truth[i].astype(np.float32) for i in chosen]
    return _judged(data, size, Taught(config, 0, labels))


def _judged(data: Path, size: Size, method: IGTT) -> Row:
    """Train, then the Dice on the held-out images: its mean and how many are lost."""
    began = time.monotonic()
    train, test = cells.load(data)
    config = method.config
    steps = cells.train(method, cells.images_of(train, config, size.images), size.epochs)
    found = cells.dices(test, lambda rgb: cells.probability(method, config, rgb) > 0.5)
    return {
        "dice": round(float(np.mean(found)), 4),
        "below_half": int(np.sum(np.array(found) < 0.5)),
        "steps": steps,
        "seconds": round(time.monotonic() - began),
    }
