"""`mlbseg-ablation` and `mlbseg-supervision`: MLB-Seg's tables, on windows of MoNuSeg.

The paper's organs are not nuclei: what is compared is the direction. Windows of 128x128 px at 40x,
worked on at 20x, few of them clean; noise by turning all nuclei of a window alike and growing or
shrinking them alike, until the labels have the paper's Dice. All settings take the same number of
steps; the last weights are tested; true labels of every window are the ceiling, and the clean
windows alone the control.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import noise, registry
from ..data.loader import TrainingData
from ..data.prepare import training_image
from ..data.regions import region_of
from ..method import MethodConfig, TrainingImage
from .patches import Counts, Protocol, alone, load, many_nuclei
from .report import Report, Row
from .seeds import Job, figures, over_seeds
from .steps import take_steps
from .windows import MPP, dice

CLEAN, CEILING = "clean", "dice_clean"
FEW = "few"
DICE = {"l1": 0.4148, "l2": 0.6206, "l3": 0.8031}
"""of the noisy labels (section 4.1)"""
Settings = Mapping[str, bool | int | float | str]
SEARCHED, HALVINGS = 240, 7
"""windows on which the strength of the noise is sought, and how often its range is halved"""
WINDOWS: Settings = {
    "tile": 64, "tile_overlap": 0, "crop": 64, "depth": 4, "zoom_in": 1, "zoom_out": 2, "flips": 1,
    "hold_out": False,
}  # fmt: skip
"""windows are not cut, and every one teaches; the paper's four views"""
NO_VIEWS: Settings = {"zoom_in": 0, "zoom_out": 0, "flips": 0}
NO_TEACHER: Settings = {"mean_teacher": False}


@dataclass(frozen=True)
class Size:
    """Windows, and epochs of training on them."""

    counts: Counts
    epochs: int


SHORT = Size(Counts(train=240, test=96, meta=16), epochs=10)
FULL = Size(Counts(train=1000, test=800, meta=50), epochs=30)


def _zooms(q: int) -> Settings:
    """Fig. 3b: all Q views are zooms in."""
    return {"zoom_in": q, "zoom_out": 0, "flips": 0}


ABLATION: dict[str, Settings] = {
    "dice_bootstrap": {**NO_VIEWS, **NO_TEACHER, "weighting": "fixed"},
    "dice_mlb": {**NO_VIEWS, **NO_TEACHER},
    "dice_teacher": NO_VIEWS,
    **{f"dice_ple_q{q}": {**_zooms(q), **NO_TEACHER} for q in (1, 2, 4, 6)},
    **{f"dice_both_q{q}": _zooms(q) for q in (1, 2, 4, 6)},
}
"""Section 4.5 and Fig. 3b, all under semi-supervision"""

SUPERVISION: dict[str, tuple[float, str]] = {
    "dice_semi": (0.0, "l2"),
    **{f"dice_noisy_{level}": (1.0, level) for level in DICE},
    **{f"dice_mixed_{share}": (share / 100, "l2") for share in (25, 50, 75)},
    CEILING: (1.0, CLEAN),
    "dice_few": (1.0, FEW),
}
"""Sections 4.2-4.4: the share of windows with a noisy label, the others without any, and which;
the control has the clean windows alone"""


def ablation(data: Path, full: bool) -> Report:
    """Eleven settings of MLB-Seg without any rough label."""
    size = FULL if full else SHORT
    jobs: dict[str, Job] = {
        name: partial(_trained, data, size, (0.0, "l2"), settings)
        for name, settings in ABLATION.items()
    }
    jobs[CEILING] = partial(_trained, data, size, (1.0, CLEAN), {})
    return _report("mlbseg-ablation", full, jobs)


def supervision(data: Path, full: bool) -> Report:
    """The default settings with no rough label, rough labels of three levels, and mixtures."""
    size = FULL if full else SHORT
    jobs: dict[str, Job] = {
        name: partial(_trained, data, size, kind, {}) for name, kind in SUPERVISION.items()
    }
    return _report("mlbseg-supervision", full, jobs, {CEILING: ("mlbseg-ablation", CEILING)})


def _report(
    name: str,
    full: bool,
    jobs: Mapping[str, Job],
    same: Mapping[str, tuple[str, str]] | None = None,
) -> Report:
    rows, complete = over_seeds(name, full, jobs, same=same)
    return Report(name, {**figures(rows), "complete": float(complete)}, rows)


def _trained(data: Path, size: Size, kind: tuple[float, str], settings: Settings, seed: int) -> Row:
    """One training from scratch and its Dice on the test windows."""
    began, method = time.monotonic(), registry.load("mlbseg")
    protocol = protocol_of(data, size.counts, kind[1])
    config = method.Config.from_preset("small", **{**WINDOWS, **settings})
    trained = method(config, "cpu", seed)
    held = TrainingData(labelled(protocol, kind[0], config), config, method.needs, seed=seed)
    steps = take_steps(trained, held, config, size.epochs)
    score = round(dice(trained, config, protocol.test), 4)
    return {"dice": score, "steps": steps, "seconds": round(time.monotonic() - began)}


@cache
def protocol_of(data: Path, counts: Counts, level: str) -> Protocol:
    """Windows whose training part has noisy labels of a level; `CLEAN`: true ones.

    `FEW`: the few clean windows instead of them.
    """
    protocol = many_nuclei(load(data), "partial", counts=counts)
    if level == FEW:
        return alone(protocol)
    noisy = protocol.train.truth
    if level != CLEAN:
        noisy = np.stack(struck(noisy, _beta(noisy, DICE[level])))
    return replace(protocol, train=replace(protocol.train, noisy=noisy))


def struck(truth: NDArray[np.int32], beta: float) -> list[NDArray[np.int32]]:
    """Section 4.1: rotation, and erosion or dilation; of each nucleus about its own centre."""
    turned = noise.strike_images(truth, "affine", 1.0, beta=0.0)
    return noise.strike_images(turned, "morph", 1.0, beta)


def _beta(truth: NDArray[np.int32], wanted: float) -> float:
    """The strength with which labels of the first windows have the wanted Dice, by bisection."""
    some, low, high = truth[:SEARCHED], 0.0, 2.0
    for _ in range(HALVINGS):
        beta = (low + high) / 2
        pairs = zip(struck(some, beta), some, strict=True)
        found = float(np.mean([noise.foreground_dice(a, b) for a, b in pairs]))
        low, high = (beta, high) if found > wanted else (low, beta)
    return (low + high) / 2


def labelled(protocol: Protocol, share: float, config: MethodConfig) -> list[TrainingImage]:
    """Training windows, of which only `share` keep their rough label, then the clean windows.

    Windows come in random order, so that the first ones are as good as any.
    """
    train, clean = protocol.train, protocol.meta
    kept = round(share * len(train))
    given = [{"rough": rough} if k < kept else {} for k, rough in enumerate(train.noisy)]
    given += [{"clean": truth} for truth in clean.truth]
    on = np.ones(train.rgb.shape[1:3], bool)
    return [
        training_image(region_of(rgb, MPP, str(k), known=on, **labels), config, ("rough", "clean"))
        for k, (rgb, labels) in enumerate(zip([*train.rgb, *clean.rgb], given, strict=True))
    ]
