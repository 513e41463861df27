"""`superpixel-noise` and `superpixel-speed`: superpixel-guided learning on windows of MoNuSeg.

The paper's organs are single objects; here every window holds many nuclei. All methods see the same
windows for the same number of updates by the same rule, each with two networks of the same shape
whose mean predicts; nothing is clean. What weighs agreement is chosen for each method that has it
in the same way, on windows that are neither trained on nor scored.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from .. import losses, registry
from ..data.loader import TrainingData
from ..learning import selection
from ..learning.settings.superpixel import SuperpixelConfig
from ..method import Batch, MethodConfig, Progress
from ..methods.superpixel import Superpixel
from ..training.loop import Training, train
from ..training.plan import Plan
from . import superpixel_case as case
from .ledger import rows_of
from .patches import Counts
from .report import Report, Row
from .seeds import figures, over_seeds
from .superpixel_case import Kind, Struck
from .windows import MPP, dice

METHODS = ("superpixel", "supervised", "coteaching", "jocor")
Settings = Mapping[str, bool | int | float | str]
WINDOWS: Settings = {
    "tile": 64, "tile_overlap": 0, "crop": 64, "width": 16, "encoder": "1-1-1", "stem": "stride2",
    "batch_size": 16, "input": "rgb", "hold_out": False, "networks": 2, "predict_by": "both",
}  # fmt: skip
"""windows are not cut, and none is held out; a network for the little they hold"""
ABLATION: dict[str, Settings] = {
    "without_superpixels": {"use_superpixels": False},
    "without_relabelling": {"relabel": False},
    "with_selection": {"select": True},
}
"""Table 2, each removed from the whole; selection, which `small` leaves out, added to it"""
STOPPING = (4, 8, 16)
"""lengths of a round in epochs, against the preset's share of them (supplement, Table 1)"""


@dataclass(frozen=True)
class Size:
    """Windows, and epochs of training on them."""

    counts: Counts
    epochs: int
    device: str = "cpu"


SHORT = Size(Counts(train=160, test=96, meta=48), epochs=80)
FULL = Size(Counts(train=1000, test=700, meta=100), epochs=100)
"""Long enough to learn wrong labels by heart: 800 updates, each window 80 times."""
BALANCES = (0.1, 0.3, 0.65, 0.9)
"""lambda, tried for both methods that weigh agreement"""
ALIKE = 0.005
"""Dice by which seeds differ: of lambdas that are as good, the one closest to plain training"""
TUNED = ("superpixel", "jocor")
TUNING_SEED = 100
PAPER = {
    (0.0, 0.0): {"superpixel": 0.8426, "supervised": 0.8249, "coteaching": 0.8272, "jocor": 0.8364},
    (0.3, 0.5): {"superpixel": 0.8400, "supervised": 0.8075, "coteaching": 0.8144, "jocor": 0.8265},
    (0.7, 0.7): {"superpixel": 0.8312, "supervised": 0.7151, "coteaching": 0.7850, "jocor": 0.7905},
    (1.0, 0.7): {"superpixel": 0.8139, "supervised": 0.6371, "coteaching": 0.7368, "jocor": 0.7430},
}
"""Table 1, on ISIC: skin lesions, whose Dice is no nuclei's; the direction is what compares"""


@dataclass(frozen=True)
class Arm:
    """One training: a method on labels of one noise; alpha 0: on clean labels."""

    method: str
    kind: Kind
    alpha: float
    beta: float
    struck: Struck = "windows"


def noise(data: Path, full: bool) -> Report:
    """Table 1 for three cells of both noises, its ceiling, Table 2, the supplement's tables."""
    on = "cuda" if torch.cuda.is_available() else "cpu"
    size = replace(FULL, device=on) if full else SHORT
    tried, chosen = _tuned(data, full, size)
    arms = {key: _with(chosen, arm, settings) for key, (arm, settings) in _arms().items()}
    jobs = {key: partial(_trained, data, size, arm, more) for key, (arm, more) in arms.items()}
    paper = {
        f"dice_{m}_{kind}_{a}_{b}": dice
        for (a, b), row in PAPER.items()
        for m, dice in row.items()
        for kind in case.KINDS
    }
    paper["dice_supervised_clean"] = PAPER[0, 0]["supervised"]
    done = tried and chosen.keys() == set(TUNED)
    rows, complete = over_seeds("superpixel-noise", full, jobs if done else {}, paper=paper)
    figures = {**_figures(rows), **{f"balance_{m}": v for m, v in chosen.items()}}
    return Report("superpixel-noise", {**figures, "complete": float(done and complete)}, rows)


def _arms() -> dict[str, tuple[Arm, Settings]]:
    arms: dict[str, tuple[Arm, Settings]] = {
        f"dice_{m}_{kind}_{a}_{b}": (Arm(m, kind, a, b), {})
        for a, b in (case.REFERENCE, *(c for c in case.CELLS if c != case.REFERENCE))
        for kind in case.KINDS
        for m in METHODS
    }
    arms["dice_supervised_clean"] = Arm("supervised", "affine", 0.0, 0.0), {}
    a, b = case.REFERENCE
    arms |= {f"dice_{m}_nuclei_{a}_{b}": (Arm(m, "affine", a, b, "nuclei"), {}) for m in METHODS}
    reference = Arm("superpixel", "affine", a, b)
    arms |= {f"dice_{k}": (reference, settings) for k, settings in ABLATION.items()}
    return arms | {f"dice_stop_{n}": (reference, {"round_epochs": n}) for n in STOPPING}


def _with(
    chosen: Mapping[str, float], arm: Arm, settings: Settings
) -> tuple[Arm, dict[str, bool | int | float | str]]:
    own = {"balance": chosen[arm.method]} if arm.method in chosen else {}
    return arm, {**own, **settings}


def _tuned(data: Path, full: bool, size: Size) -> tuple[bool, dict[str, float]]:
    """Lambda of each method that has one, by the Dice on windows that no table scores."""
    reference = case.REFERENCE
    jobs: list[tuple[str, Callable[[], Row]]] = [
        (f"{m} {b}", partial(_trained, data, size, Arm(m, "affine", *reference), {"balance": b},
                             TUNING_SEED, scored=False))
        for m in TUNED for b in BALANCES
    ]  # fmt: skip
    rows, complete = rows_of("superpixel-noise-tuning", full, jobs)
    dice = {str(row["key"]): float(str(row["dice"])) for row in rows}
    of_each = {m: {b: dice[f"{m} {b}"] for b in BALANCES if f"{m} {b}" in dice} for m in TUNED}
    whole = {m: found for m, found in of_each.items() if len(found) == len(BALANCES)}
    chosen = {
        m: min(b for b in BALANCES if found[b] >= max(found.values()) - ALIKE)
        for m, found in whole.items()
    }
    return complete, chosen


def _figures(rows: list[Row]) -> dict[str, float]:
    """The Dice of every arm; what relabelling gains, and the labels' Dice before."""
    found = figures(rows)
    for row in rows:
        key = str(row["key"]).removeprefix("dice_")
        found[f"near_{key}"] = float(str(row["dice_near"]))
        if "std_dice_near" in row:
            found[f"std_near_{key}"] = float(str(row["std_dice_near"]))
        if row["key"] == "dice_superpixel_affine_0.7_0.7":
            before, after = float(str(row["label_before"])), float(str(row["label_after"]))
            found |= {"label_gain": round(after - before, 4), "label_dice": before}
            found["noise_rate"] = float(str(row["noise_rate"]))
    return found


def _trained(
    data: Path, size: Size, arm: Arm, settings: Settings, seed: int, scored: bool = True
) -> Row:
    """One training from scratch, its Dice on other windows and that of its labels.

    scored: on windows of other images, and of the same; else on those by which settings are chosen.
    """
    began, method = time.monotonic(), registry.load(arm.method)
    device = size.device
    cell = (arm.kind, arm.alpha, arm.beta, arm.struck)
    windows = case.noisy_case(data, size.counts, *cell)
    config = config_of(arm.method, settings)
    trained = method(config, device, seed)
    images = case.images_of(windows.train, config, config.label_planes() or ())
    held = TrainingData(images, config, method.needs, device, seed)
    run = Training(trained, config, held, Plan(size.epochs, seed=seed), device)
    deque(train(run), maxlen=0)
    judged = (
        {"dice": windows.far, "dice_near": windows.near} if scored else {"dice": windows.choice}
    )
    row: Row = {key: round(dice(trained, config, part, device), 4) for key, part in judged.items()}
    row |= {"steps": run.at.step, "windows": len(held.split.training)}
    if "corrected" in method.shows:
        before, after = case.gains(trained, images, windows.train, device)
        row |= {"label_before": round(before, 4), "label_after": round(after, 4)}
    for key in ("noise_rate", "round"):
        if key in run.outcome.figures:
            row[key] = round(run.outcome.figures[key], 3)
    return {**row, "seconds": round(time.monotonic() - began)}


def config_of(name: str, settings: Settings) -> MethodConfig:
    """The small preset for windows; settings that a method has not are left out."""
    kind = registry.load(name).Config
    given = {k: v for k, v in {**WINDOWS, **settings}.items() if k in kind.model_fields}
    return kind.from_preset("small", **given)


SIDE, BATCH, REPEATS = 128, 8, 15
"""px of the timed tiles, how many, and how often"""
STEP_WINDOWS = Counts(train=32, test=1, meta=1)


def speed(data: Path, full: bool) -> Report:
    """Pooling by scatter-add against a loop over superpixels; a step against plain networks."""
    windows = case.noisy_case(data, STEP_WINDOWS, "affine", *case.REFERENCE)
    config = SuperpixelConfig.from_preset(
        "small", tile=SIDE, crop=SIDE, tile_overlap=0, working_mpp=MPP, warmup=0.0,
        noise_rate=0.12,
    )  # fmt: skip
    images = case.images_of(windows.train, config, config.label_planes() or ())
    held = TrainingData(images, config, Superpixel.needs, "cpu")
    repeats = REPEATS * (4 if full else 1)
    pooling, loop = _pooling(held, repeats)
    ours, plain = _steps(held, config, repeats)
    rows: list[Row] = [
        {"key": "pooling", "ms": round(1000 * pooling, 3), "loop_ms": round(1000 * loop, 2)},
        {"key": "step", "ms": round(1000 * ours, 1), "plain_ms": round(1000 * plain, 1)},
    ]
    found = {"pooling_speedup": round(loop / pooling, 1), "step_ratio": round(ours / plain, 3)}
    return Report("superpixel-speed", found, rows)


def _pooling(held: TrainingData, repeats: int) -> tuple[float, float]:
    """Seconds of Eq. 1 for a batch by scatter-add and by a loop over superpixels (medians)."""
    batch = held.batch(0, 0, BATCH)
    assert batch.superpixels is not None
    index = losses.superpixel_index(batch.superpixels)
    values = torch.rand(BATCH, 3, SIDE, SIDE)
    mask = batch.labels["rough"] < 2

    def looped() -> list[Tensor]:
        parts = zip(values, index, mask, strict=True)
        return [
            tile[:, (own == k) & known].mean(1)
            for tile, own, known in parts
            for k in torch.unique(own[known]).tolist()
        ]

    fast = _median(lambda: losses.superpixel_mean(values, index, mask), repeats)
    return fast, _median(looped, max(3, repeats // 5))


def _steps(held: TrainingData, config: SuperpixelConfig, repeats: int) -> tuple[float, float]:
    """Seconds of a step of the method and of the same two networks trained plainly, in turns."""
    method, twins = Superpixel(config, "cpu", 0), Superpixel(config, "cpu", 1)
    progress = Progress(1, 10, 10, 0.1)
    batches = [held.batch(0, k, BATCH) for k in range(2)]
    times: tuple[list[float], list[float]] = ([], [])
    for k in range(repeats + 2):
        batch = batches[k % 2]
        began = time.perf_counter()
        method.step(batch, progress)
        between = time.perf_counter()
        _plain(twins, batch, progress)
        times[0].append(between - began)
        times[1].append(time.perf_counter() - between)
    ours, plain = (statistics.median(taken[2:]) for taken in times)
    return ours, plain


def _plain(twins: Superpixel, batch: Batch, progress: Progress) -> None:
    """Cross-entropy of both networks on every labelled pixel, by the same optimiser."""
    peers = twins.peers
    peers.begin(progress.fraction)
    label, _, _ = selection.target_of(batch)
    a, b = peers.logits(batch.image, batch.hematoxylin)
    total = losses.cross_entropy(a, label) + losses.cross_entropy(b, label)
    peers.update(total)
    total.item()


def _median(job: Callable[[], object], repeats: int) -> float:
    def once() -> Iterator[float]:
        for _ in range(repeats):
            began = time.perf_counter()
            job()
            yield time.perf_counter() - began

    job()
    return statistics.median(once())
