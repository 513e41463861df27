"""`mlbseg-steered`: MLB-Seg as its paper compares it, where clean windows teach no update.

In `mlbseg-supervision` an update by clean windows follows each update of every arm, as in the
published code, in ordinary training too. The paper's UNet++ sees no clean image at all. Windows,
noise, network and number of updates are those of that table.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from .. import registry
from ..data.loader import TrainingData
from . import mlbseg
from .mlbseg import PLAIN, SUPERVISION, Settings
from .report import Report, Row
from .seeds import Job, figures, over_seeds
from .steps import take_steps
from .windows import dice

LEVELS = tuple(mlbseg.DICE)


@dataclass(frozen=True)
class Arm:
    """One training from rough labels of a level.

    clean: with the clean windows beside them. once: a step is one update of the network, where
    elsewhere a clean one follows, so that as many updates take more steps.
    """

    level: str
    settings: Settings
    clean: bool = True
    once: bool = True
    paper: float | None = None


ALONE: Settings = {**PLAIN, "warm_start": 0.0}
"""the paper's UNet++: rough labels as they are, and no clean window"""
STEERED: Settings = {"clean_step": False, "clean_weight": 0.0}
"""as in the paper: clean windows teach in the warm start, and then through the weights alone"""
JOINTLY: Settings = {"normalise": "jointly"}
"""`dice_noisy_LEVEL` of `mlbseg-supervision`, but both weight maps sum to one together, as in the
published code"""
ARMS: Mapping[str, Arm] = {
    **{
        f"dice_alone_{k}": Arm(k, ALONE, clean=False, paper=SUPERVISION[f"dice_plain_{k}"].paper)
        for k in LEVELS
    },
    **{
        f"dice_steered_{k}": Arm(k, STEERED, paper=SUPERVISION[f"dice_noisy_{k}"].paper)
        for k in LEVELS
    },
    **{f"dice_jointly_{k}": Arm(k, JOINTLY, once=False) for k in LEVELS},
}


def run(data: Path, full: bool) -> Report:
    """Rough labels alone, and MLB-Seg that learns from clean windows as the paper's does."""
    size = mlbseg.FULL if full else mlbseg.SHORT
    jobs: dict[str, Job] = {key: partial(_trained, data, size, arm) for key, arm in ARMS.items()}
    paper = {key: arm.paper for key, arm in ARMS.items() if arm.paper is not None}
    rows, complete = over_seeds("mlbseg-steered", full, jobs, paper=paper)
    return Report("mlbseg-steered", {**figures(rows), "complete": float(complete)}, rows)


def _trained(data: Path, size: mlbseg.Size, arm: Arm, seed: int) -> Row:
    """One training from scratch and its Dice on the test windows."""
    began, method = time.monotonic(), registry.load("mlbseg")
    protocol = mlbseg.protocol_of(data, size.counts, arm.level)
    config = method.Config.from_preset("small", **{**mlbseg.WINDOWS, **arm.settings})
    images = mlbseg.labelled(protocol, 1.0, config)
    each = -(-len(images) // config.batch_size)
    needs = method.needs
    if not arm.clean:
        images, needs = images[: len(protocol.train)], replace(needs, clean=False, meta=False)
    trained = method(config, "cpu", seed)
    held = TrainingData(images, config, needs, seed=seed)
    total = updates(size.epochs * each) if arm.once else size.epochs * each
    steps = take_steps(trained, held, config, updates=total, each=each)
    score = round(dice(trained, config, protocol.test), 4)
    return {"dice": score, "steps": steps, "seconds": round(time.monotonic() - began)}


def updates(steps: int) -> int:
    """Of the network, in so many steps of an arm of `mlbseg-supervision`: two after the start."""
    start: float = registry.load("mlbseg").Config.from_preset("small").model_dump()["warm_start"]
    return 2 * steps - math.ceil(steps * start)
