"""`mmc-table2`, `mmc-table4`, `mmc-modes`: the tables of Meta Mask Correction, on MoNuSeg, and
whether its fast gradients end where the exact one does.

Every arm has the same network, patches and number of updates. The short form trains a small network
on a CPU; the long one the paper's on a GPU where there is one, with fewer epochs than the paper's
500, and the small one for longer where there is none.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from .. import registry
from ..data.loader import TrainingData
from ..data.prepare import planes_of_pixels, stain_matrix
from ..method import Method, MethodConfig, Preset
from ..noise import NoiseKind
from ..training.loop import Training, train
from ..training.plan import Plan
from . import patches
from .patches import Counts, Patches, Protocol
from .report import Report, Row
from .seeds import Job, figures, over_seeds

METHODS = ("mmc", "finetune", "spatial-reweighting", "mcpm")
NOISES: tuple[NoiseKind, ...] = ("box", "dilate", "partial")
DEPTHS = {"31": "3x3+1x1", "331": "3x3+3x3+1x1", "351": "3x3+5x5+1x1"}
MODES: dict[str, dict[str, bool | int | float | str]] = {
    "exact": {"meta_gradient": "exact", "meta_point": "virtual", "meta_every": 1},
    "equal": {"meta_gradient": "difference", "meta_point": "virtual", "meta_every": 1},
    "fast": {"meta_gradient": "decoder", "meta_point": "present", "meta_every": 1},
    "default": {"meta_every": 3},
}
"""Ways to the gradient of the C-Net; `default`: as users of the preset `small` get it."""
PAPER = {
    "box_finetune": 0.5371, "box_spatial-reweighting": 0.6281, "box_mcpm": 0.6172,
    "box_mmc": 0.6887, "dilate_finetune": 0.6537, "dilate_spatial-reweighting": 0.6820,
    "dilate_mcpm": 0.7483, "dilate_mmc": 0.7837, "partial_finetune": 0.6687,
    "partial_spatial-reweighting": 0.6726, "partial_mcpm": 0.7196, "partial_mmc": 0.7882,
    "clean": 0.7896,
}  # fmt: skip
"""Table II, Dice on S-MoNuSeg"""
PARTIAL = ("mmc-table2", "partial_mmc")
SAME_4 = {"31": PARTIAL, "clean": ("mmc-table2", "clean")}
SAME_MODES = {"fast": PARTIAL}
"""arms of the other tables that are arms of Table II; the fast way is what `small` has"""
Kind = Literal["single", "multi"]
Masks = Literal["noisy", "true", "few"]
"""what a training sees: noisy masks and few true ones, all true ones, or those few alone"""
Settings = Mapping[str, bool | int | float | str]

SMALL: Settings = {
    "width": 16, "encoder": "1-1-1", "stem": "stride2", "batch_size": 16, "meta_batch_size": 8,
    "clean_tiles": 4, "meta_every": 1, "pairs_weight": 0.0, "balance": False,
}  # fmt: skip
"""The network of the short form: patches of 64x64 px hold little, and 13 arms have 20 minutes. In
MMC and the two that weigh pixels the same clean patches teach the segmentation too. Clean patches
have no noisy twin, as in the paper, so nothing learns from pairs."""
PIXEL_WEIGHTS: Settings = {"meta_gradient": "difference"}
"""Of the two that weigh pixels: in a network as narrow as this the decoder's part of the gradient,
which is enough for corrected targets (`mmc-modes`), points elsewhere for weights."""
CLEAN_PART: Settings = {"meta_batch_size": 16}
"""Of `finetune`: in its last part clean patches are the whole batch, as large as any other."""
SHORT_MULTI = Counts(240, 120, 50)
PREDICTED_AT_ONCE = 100


@dataclass(frozen=True)
class Size:
    """Epochs on the S and on the M patches, the preset and the device."""

    single: int
    multi: int
    preset: Preset
    device: str


def _size(full: bool) -> Size:
    if not full:
        return Size(8, 16, "small", "cpu")
    if torch.cuda.is_available():
        return Size(40, 40, "paper", "cuda")
    return Size(24, 12, "small", "cpu")


@dataclass(frozen=True)
class Arm:
    """One training: a method on patches of one kind and noise."""

    method: str
    noise: NoiseKind
    kind: Kind = "single"
    masks: Masks = "noisy"


CLEAN, FEW = (Arm("finetune", "partial", masks=masks) for masks in ("true", "few"))
"""the ceiling, and the control: what methods with noisy masks have to be better than"""


def table2(data: Path, full: bool) -> Report:
    """Tables II and III: MMC and its comparators for each noise, and training on true masks.

    `few`: on the clean patches alone, as many updates. It shows what the noisy masks are worth.

    `dice_m_...`, in the long form alone, are of the M protocol, for which the paper has no figures
    on MoNuSeg.
    """
    arms = {f"{noise}_{name}": Arm(name, noise) for noise in NOISES for name in METHODS}
    arms |= {"clean": CLEAN, "few": FEW}
    if full:
        several = ("mmc", "mcpm")
        arms |= {f"m_{n}_{name}": Arm(name, n, "multi") for n in NOISES for name in several}
        arms |= {f"m_{key}": replace(arms[key], kind="multi") for key in ("clean", "few")}
    jobs = {key: partial(_trained, data, full, arm, {}) for key, arm in arms.items()}
    return _report("mmc-table2", full, jobs, PAPER)


def table4(data: Path, full: bool) -> Report:
    """Table IV: depths of the C-Net, under partial noise."""
    arm = Arm("mmc", "partial")
    jobs = {k: partial(_trained, data, full, arm, {"correction_depth": v})
            for k, v in DEPTHS.items()}  # fmt: skip
    jobs["clean"] = partial(_trained, data, full, CLEAN, {})
    paper = {"31": 0.8069, "331": 0.7296, "351": 0.7277, "clean": PAPER["clean"]}
    return _report("mmc-table4", full, jobs, paper, SAME_4)


def modes(data: Path, full: bool) -> Report:
    """Dice of each way to the meta gradient under partial noise.

    [`dice_MODE`, `std_MODE`, MODE = exact | equal | fast | default]
    """
    arm = Arm("mmc", "partial")
    jobs = {mode: partial(_trained, data, full, arm, how) for mode, how in MODES.items()}
    return _report(
        "mmc-modes", full, jobs, same=SAME_MODES if _size(full).preset == "small" else {}
    )


def _report(
    name: str,
    full: bool,
    jobs: Mapping[str, Job],
    paper: Mapping[str, float] | None = None,
    same: Mapping[str, tuple[str, str]] | None = None,
) -> Report:
    """Mean and deviation over the seeds of each arm."""
    rows, complete = over_seeds(name, full, jobs, paper=paper, same=same)
    return Report(name, {**figures(rows), "complete": float(complete)}, rows)


def _trained(data: Path, full: bool, arm: Arm, settings: Settings, seed: int) -> Row:
    """One training from scratch and its scores on the test patches."""
    began, size = time.monotonic(), _size(full)
    protocol = _protocol(data, arm, patches.MULTI if full else SHORT_MULTI)
    method = registry.load(arm.method)
    config = config_of(method, size.preset, arm, settings)
    images = patches.training_images(protocol, config)
    trained = method(config, size.device, seed)
    held = TrainingData(images, config, method.needs, size.device, seed)
    plan = Plan(size.single if arm.kind == "single" else size.multi, seed=seed)
    run = Training(trained, config, held, plan, size.device)
    deque(train(run), maxlen=0)
    return {
        **scores(trained, config, protocol.test, size.device),
        "steps": run.at.step,
        "ms_per_step": round(1000 * run.seconds["step"] / max(run.at.step, 1), 1),
        "seconds": round(time.monotonic() - began),
    }


def config_of(method: type[Method], preset: Preset, arm: Arm, settings: Settings) -> MethodConfig:
    """The preset for patches that are neither cut nor scaled; true masks need no fine-tuning."""
    side = patches.SIDE if arm.kind == "single" else patches.WINDOW
    given = {"tile": side, "tile_overlap": 0, "crop": side, "level_stains": False, **settings}
    if preset == "small":
        weighs = arm.method in ("spatial-reweighting", "mcpm")
        own = PIXEL_WEIGHTS if weighs else {}
        own = CLEAN_PART if arm.method == "finetune" and arm.masks == "noisy" else own
        given = {**SMALL, **own, **given}
    if arm.masks != "noisy":
        given["clean_share"] = 0.0
    known = {name: value for name, value in given.items() if name in method.Config.model_fields}
    return method.Config.from_preset(preset, **known)


def _protocol(data: Path, arm: Arm, multi: Counts) -> Protocol:
    single = arm.kind == "single"
    protocol = _single(data, arm.noise) if single else _many(data, arm.noise, multi)
    if arm.masks == "few":
        return patches.alone(protocol)
    if arm.masks == "true":
        return replace(protocol, train=replace(protocol.train, noisy=protocol.train.truth))
    return protocol


@cache
def _tissue(data: Path) -> patches.Tissue:
    return patches.load(data)


@cache
def _single(data: Path, noise: NoiseKind) -> Protocol:
    return patches.single_nuclei(_tissue(data), noise)


@cache
def _many(data: Path, noise: NoiseKind, counts: Counts) -> Protocol:
    return patches.many_nuclei(_tissue(data), noise, counts=counts)


def scores(method: Method, config: MethodConfig, test: Patches, device: str) -> Row:
    """Mean Dice and IoU (Eqs. 8 and 9) over the test patches."""
    found = np.concatenate(
        [
            masks(method, config, test.rgb[start : start + PREDICTED_AT_ONCE], device)
            for start in range(0, len(test), PREDICTED_AT_ONCE)
        ]
    )
    true = test.truth > 0
    both = (found & true).sum((1, 2))
    either = (found | true).sum((1, 2))
    dice = 2 * both / np.maximum(both + either, 1)
    return {
        "dice": round(float(dice.mean()), 4),
        "iou": round(float((both / np.maximum(either, 1)).mean()), 4),
    }


@torch.no_grad()
def masks(
    method: Method, config: MethodConfig, rgb: NDArray[np.uint8], device: str
) -> NDArray[np.bool_]:
    """What the method holds for nuclei in patches (n, s, s, 3), bool (n, s, s)."""
    plan = config.pixels()
    planes = [planes_of_pixels(patch, stain_matrix(patch, plan)) for patch in rgb]
    image, stain = (
        torch.from_numpy(np.stack(part)).to(device) for part in zip(*planes, strict=True)
    )
    found: NDArray[np.bool_] = (method.predict(image, stain).probability > 0.5).cpu().numpy()
    return found
