"""`mlbseg-supervision` and `mlbseg-ablation`: MLB-Seg's tables, on windows of MoNuSeg.

The paper's organs are not nuclei: what is compared is the direction. Windows of 128x128 px at 40x,
worked on at 20x, four of them clean: sixteen alone already score what true labels of all windows
do, so that nothing could be compared. Noise by turning all nuclei of a window alike and growing or
shrinking them alike, until the labels have the paper's Dice. All arms take the same number of
steps; the last weights are tested. The same network learns in the ordinary way from
the same labels, from true labels of every window (the ceiling), and from the clean windows alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
WINDOWS: Settings = {"tile": 64, "tile_overlap": 0, "crop": 64, "hold_out": False}
"""windows are not cut, and every one teaches; all else as the preset `small` has it"""
NO_VIEWS: Settings = {"zoom_in": 0, "zoom_out": 0, "flips": 0}
NO_TEACHER: Settings = {"mean_teacher": False}
PLAIN: Settings = {**NO_VIEWS, "weighting": "fixed", "fixed_share": 1.0, "teacher_weight": 0.0}
"""ordinary training: labels as they are, no pseudo labels. As in all arms, the first updates and
one after every further one are by the clean windows alone, and the averaged weights predict"""


@dataclass(frozen=True)
class Size:
    """Windows, and epochs of training on them."""

    counts: Counts
    epochs: int


SHORT = Size(Counts(train=240, test=240, meta=4), epochs=10)
FULL = Size(Counts(train=1000, test=800, meta=20), epochs=30)


@dataclass(frozen=True)
class Arm:
    """One training: the share of windows with a label, which, and the paper's Dice on PROMISE12."""

    share: float = 0.0
    level: str = "l2"
    settings: Settings = field(default_factory=dict)
    paper: float | None = None


def _zooms(q: int, teacher: bool, paper: float | None = None) -> Arm:
    """Fig. 3b: all Q views are zooms in."""
    views: Settings = {"zoom_in": q, "zoom_out": 0, "flips": 0}
    return Arm(settings=views if teacher else {**views, **NO_TEACHER}, paper=paper)


CONTROLS: dict[str, Arm] = {
    CEILING: Arm(1.0, CLEAN, PLAIN, 0.8372),
    "dice_few": Arm(1.0, FEW, PLAIN, 0.7304),
}
"""Table 3: `No Noise` and `UNet++ meta`"""
SUPERVISION: dict[str, Arm] = {
    "dice_semi": Arm(paper=0.7668),
    "dice_noisy_l1": Arm(1.0, "l1", paper=0.7770),
    "dice_noisy_l2": Arm(1.0, "l2", paper=0.8083),
    "dice_noisy_l3": Arm(1.0, "l3", paper=0.8201),
    "dice_mixed_25": Arm(0.25, paper=0.7770),
    "dice_mixed_50": Arm(0.5, paper=0.7934),
    "dice_mixed_75": Arm(0.75, paper=0.8015),
    "dice_plain_l1": Arm(1.0, "l1", PLAIN, 0.5977),
    "dice_plain_l2": Arm(1.0, "l2", PLAIN, 0.7374),
    "dice_plain_l3": Arm(1.0, "l3", PLAIN, 0.8003),
    **CONTROLS,
}
"""Sections 4.2-4.4, Tables 3 and 4; windows beyond the share have no label. `plain`: the UNet++
that learns from the rough labels as they are, here with the clean windows too"""
ABLATION: dict[str, Arm] = {
    "dice_bootstrap": Arm(settings={**NO_VIEWS, **NO_TEACHER, "weighting": "fixed"}),
    "dice_mlb": Arm(settings={**NO_VIEWS, **NO_TEACHER}),
    "dice_teacher": Arm(settings=NO_VIEWS),
    "dice_ple_q1": _zooms(1, False, 0.7434),
    "dice_ple_q2": _zooms(2, False, 0.7499),
    "dice_ple_q4": _zooms(4, False, 0.7207),
    "dice_ple_q6": _zooms(6, False, 0.7091),
    "dice_both_q1": _zooms(1, True),
    "dice_both_q2": _zooms(2, True),
    "dice_both_q4": _zooms(4, True, 0.7663),
    "dice_both_q6": _zooms(6, True, 0.7584),
    **CONTROLS,
}
"""Section 4.5 and Fig. 3b, all under semi-supervision"""


def supervision(data: Path, full: bool) -> Report:
    """No rough label, rough labels of three levels, mixtures, and what ordinary training makes."""
    return _report("mlbseg-supervision", data, full, SUPERVISION)


def ablation(data: Path, full: bool) -> Report:
    """Eleven settings of MLB-Seg without any rough label, and both controls."""
    same = {name: ("mlbseg-supervision", name) for name in CONTROLS}
    return _report("mlbseg-ablation", data, full, ABLATION, same)


def _report(
    name: str,
    data: Path,
    full: bool,
    arms: Mapping[str, Arm],
    same: Mapping[str, tuple[str, str]] | None = None,
) -> Report:
    size = FULL if full else SHORT
    jobs: dict[str, Job] = {key: partial(_trained, data, size, arm) for key, arm in arms.items()}
    paper = {key: arm.paper for key, arm in arms.items() if arm.paper is not None}
    rows, complete = over_seeds(name, full, jobs, paper=paper, same=same)
    return Report(name, {**figures(rows), "complete": float(complete)}, rows)


def _trained(data: Path, size: Size, arm: Arm, seed: int) -> Row:
    """One training from scratch and its Dice on the test windows."""
    began, method = time.monotonic(), registry.load("mlbseg")
    protocol = protocol_of(data, size.counts, arm.level)
    config = method.Config.from_preset("small", **{**WINDOWS, **arm.settings})
    trained = method(config, "cpu", seed)
    images = labelled(protocol, arm.share, config)
    held = TrainingData(images, config, method.needs, seed=seed)
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
