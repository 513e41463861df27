"""`structure`: what a label is worth by its meta-structure (Eq. 1, Tables 3 to 5 of Luo et al.).

CL ~ RCL > PCL > RL on fluorescence nuclei: one U-Net, cross-entropy, the same number of steps on
clean, randomized, perturbed and random labels, and on those of a transition matrix of rank 1. A
randomized label moves the network's output as a whole (a tenth of the nuclei: at most 0.1), so
every output is cut where it parts itself best; no truth takes part in that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage as ndi

from ..learning import patterns
from ..learning.settings.igtt import IGTTConfig
from ..method import TrainingImage
from ..noise import structure
from . import cells
from .cells import Mask, Size, Taught
from .report import Report, Row
from .seeds import Job, figures, over_seeds

Change = Callable[[Mask, np.random.Generator], Mask]
SHORT, FULL = Size(80, 18, 12), Size(150, 30, 16)
FILTERS, PATTERN, PATTERN_STEPS, SCALES = 3, 64, 60, 16
"""of Algorithm 1: filters, side of a pattern in px, steps, and rings of its spectrum"""
RADII = (1, 2, 3)
"""px by which labels are dilated or eroded: nuclei measure 16 px across. How much is perturbed
decides whether the perturbed labels come after the randomized ones"""


def drawn(of_background: float, of_nuclei: float) -> Change:
    """Labels by a noise transition matrix: the chance that each class is labelled nucleus."""

    def change(mask: Mask, rng: np.random.Generator) -> Mask:
        labelled: Mask = rng.random(mask.shape) < np.where(mask, of_nuclei, of_background)
        return labelled

    return change


def dilated(radius: int) -> Change:
    """Every nucleus larger by `radius` px."""
    return lambda mask, rng: np.asarray(ndi.binary_dilation(mask, iterations=radius), bool)


def eroded(radius: int) -> Change:
    """Every nucleus smaller by `radius` px."""
    return lambda mask, rng: np.asarray(ndi.binary_erosion(mask, iterations=radius), bool)


LABELS: dict[str, Change] = {
    "dice_clean": drawn(0, 1),
    "dice_flip": drawn(0.45, 0.55),
    "dice_sample": drawn(0, 0.1),
    **{f"dice_dilate_{r}": dilated(r) for r in RADII},
    **{f"dice_erode_{r}": eroded(r) for r in RADII},
    "dice_random": drawn(0.1, 0.1),
    "dice_rank1": drawn(0.55, 0.55),
}
"""Table 1; `flip`, `sample` and `random` as Figs. 4 and 5, the last of rank 1 beside `flip`"""
FIXED: dict[str, Change] = {"dice_flip_fixed": LABELS["dice_flip"]}
"""labels drawn once and for all; those above are newly drawn in every epoch (Theorem 3)"""


def run(data: Path, full: bool) -> Report:
    """Train on each kind of label, test on 100 held-out images with clean ones."""
    size = FULL if full else SHORT
    arms: dict[str, Job] = {
        name: partial(_trained, data, size, change, name not in FIXED)
        for name, change in {**LABELS, **FIXED}.items()
    }
    rows, complete = over_seeds("structure", full, arms)
    found = {**figures(rows), **_alike(rows), "complete": float(complete)}
    for kind in ("dilate", "erode"):
        if f"dice_{kind}_{RADII[-1]}" in found:
            found[f"dice_{kind}"] = found[f"dice_{kind}_{RADII[-1]}"]
    return Report("structure", found, rows)


def labels_of(
    truth: Sequence[Mask], change: Change, redrawn: bool, seed: int, epoch: int
) -> list[NDArray[np.float32]]:
    """The labels of an epoch, (H, W) each."""
    of_epoch = epoch if redrawn else 0
    return [
        change(mask, np.random.default_rng([k, seed, of_epoch])).astype(np.float32)
        for k, mask in enumerate(truth)
    ]


def _trained(data: Path, size: Size, change: Change, redrawn: bool, seed: int) -> Row:
    began = time.monotonic()
    train, test = cells.load(data)
    config = IGTTConfig.from_preset("small", width=size.width)
    truth = [train.truth[i] for i in cells.spread(len(train.rgb), size.images)]
    method = Taught(config, seed, partial(labels_of, truth, change, redrawn, seed))
    images = cells.images_of(train, config, size.images)
    steps = cells.train(method, images, size.epochs, seed)

    def segment(rgb: NDArray[np.uint8]) -> Mask:
        p = cells.probability(method, config, rgb)
        mask: Mask = p > structure.most_informative(p, measure="correlation")
        return mask

    score = round(cells.mean_dice(test, segment), 4)
    scales = {f"scale_{k}": round(v, 4) for k, v in enumerate(_patterns(method, images[0]))}
    return {"dice": score, **scales, "steps": steps, "seconds": round(time.monotonic() - began)}


def _patterns(method: Taught, image: TrainingImage) -> list[float]:
    """Mean spectrum of the patterns of the strongest filters (Algorithm 1), coarse to fine."""
    net = method.reader.average.module
    strong = patterns.strongest(net, method.sight.shown(method.sight.of(image)), FILTERS)
    start = torch.randn(1, 1, PATTERN, PATTERN, generator=torch.Generator().manual_seed(0))
    start = start.expand(1, 1 + method.config.see_faint, PATTERN, PATTERN)
    found = [patterns.pattern(net, f, start, PATTERN_STEPS, 0.1)[0] for f in strong]
    mean: list[float] = torch.stack([patterns.spectrum(x, SCALES) for x in found]).mean(0).tolist()
    return mean


def _alike(rows: list[Row]) -> dict[str, float]:
    """[`pattern_KEY`]: how alike the patterns of each label are to those of clean ones, 0..1."""
    spectra = {
        str(row["key"]): torch.tensor([float(str(row[f"scale_{k}"])) for k in range(SCALES)])
        for row in rows
    }
    clean = spectra.get("dice_clean")
    if clean is None:
        return {}
    return {
        key.replace("dice_", "pattern_"): round(patterns.alike(own, clean), 4)
        for key, own in spectra.items()
    }
