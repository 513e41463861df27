"""`meta-step`: what a bilevel step costs against a plain one, and how near its gradient is.

A ResNet-34 U-Net (24 M) on eight tiles of 128x128 px of MoNuSeg whose masks are made wrong as in
Meta Mask Correction (40 % of the nuclei deleted, the others dilated), a meta batch of eight other
tiles with true masks in every step. Each case is a whole step, optimisers included, timed in turn
with the others and with a plain step on the same batches, from the same weights.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from ..meta import Bilevel, Settings
from . import meta_case
from .meta_case import Case, Figures
from .report import Report, Row

WARM_UP = 30
"""plain steps before anything is measured"""
STEPS = 50
"""steps of training that are looked at"""
EVERY = 5
"""of which the short form measures every so many"""

NEAR = 4e-6
"""radius of the smallest error of a net so large, whose curvature is felt in early steps"""

TARGETS = {
    "exact": Settings("exact"),
    "forward": Settings("forward", "virtual", "lagged"),
    "equal": Settings("difference", "virtual", "lagged", radius=NEAR),
    "equal, fresh": Settings("difference", point="virtual", radius=NEAR),
    "difference": Settings("difference", "virtual", "lagged", forward_blocks=0),
    "default, at W'": Settings("decoder", "virtual", "lagged"),
    "whole decoder": Settings(blocks=None),
    "last layers": Settings(entry=False),
    "default": Settings(),
}
WEIGHTS = {
    "exact": Settings("exact"),
    "difference": Settings("difference", forward_blocks=0),
    "last layers": Settings(entry=False),
    "whole decoder": Settings(blocks=None),
    "decoder": Settings(),
    "both ends": Settings("difference", forward_blocks=0, ends=True),
    "default": Settings("difference"),
}
"""`default`: as the methods that weigh pixels have it in their small presets; both ends: cheaper"""
LONG = ("forward", "equal, fresh", "difference", "default, at W'", "last layers", "whole decoder")
"""cases of the long form alone"""
SMALLER = {"every 2nd step": (2, 8), "meta batch of 4": (1, 4), "both": (2, 4)}
"""the default with a meta step every so many steps, and meta batches of so many tiles"""


def run(data: Path, full: bool) -> Report:
    """Ratios and errors of every case; `full` measures each of the 50 steps and every mode."""
    case = Case(data)
    for _ in range(WARM_UP):
        case.train()
    case.settle()
    measured: dict[tuple[str, str], list[Figures]] = {}
    for step in range(STEPS):
        case.draw()
        if step % (1 if full else EVERY) == 0:
            for key, figures in _measure(case, full):
                measured.setdefault(key, []).append(figures)
        case.train(Bilevel(case.net, TARGETS["default"]))
    rows = [_row(kind, name, found) for (kind, name), found in measured.items()]
    rows += [_smaller(name, *how, measured) for name, how in SMALLER.items()]
    memory = meta_case.memory_ratio(data, TARGETS["default"])
    return Report("meta-step", {**_figures(measured), "memory_ratio": memory}, rows)


def _measure(case: Case, full: bool) -> Iterator[tuple[tuple[str, str], Figures]]:
    for kind, cases in (("h detached", TARGETS), ("h live", TARGETS), ("weights", WEIGHTS)):
        chosen = {name: s for name, s in cases.items() if full or name not in LONG}
        found = case.measure(kind, chosen)
        yield from (((kind, name), figures) for name, figures in found.items())
    for size in {size for _, size in SMALLER.values()}:
        found = case.measure("h detached", {"default": TARGETS["default"]}, size)
        yield ("smaller", str(size)), found["default"]


def _row(kind: str, name: str, found: list[Figures]) -> Row:
    errors, cosines = [f.error for f in found], [f.cosine for f in found]
    return {
        "gradient": kind,
        "mode": name,
        "ratio": _median(found, lambda f: f.ratio),
        "cpu_ratio": _median(found, lambda f: f.cpu_ratio),
        "error": statistics.mean(errors),
        "worst_error": max(errors),
        "cosine": statistics.mean(cosines),
        "worst_cosine": min(cosines),
        "steps": len(found),
    }


def _smaller(
    name: str, every: int, size: int, measured: dict[tuple[str, str], list[Figures]]
) -> Row:
    """The mean over meta steps and plain ones."""
    found = measured["smaller", str(size)]
    return {
        "gradient": "h detached",
        "mode": f"default, {name}",
        "ratio": 1 + (_median(found, lambda f: f.ratio) - 1) / every,
        "cpu_ratio": 1 + (_median(found, lambda f: f.cpu_ratio) - 1) / every,
        "steps": len(found),
    }


def _median(found: list[Figures], of: Callable[[Figures], float]) -> float:
    return statistics.median(of(figures) for figures in found)


def _figures(measured: dict[tuple[str, str], list[Figures]]) -> dict[str, float]:
    """Errors and cosines are the worst seen, with h detached or live."""

    def ratio(kind: str, name: str) -> float:
        return _median(measured[kind, name], lambda f: f.ratio)

    def both(name: str) -> list[Figures]:
        return measured["h detached", name] + measured["h live", name]

    return {
        "exact_ratio": ratio("h detached", "exact"),
        "equal_ratio": ratio("h detached", "equal"),
        "equal_error": max(f.error for f in both("equal")),
        "default_ratio": ratio("h detached", "default"),
        "default_cosine": min(f.cosine for f in both("default")),
        "weights_ratio": ratio("weights", "default"),
        "weights_cosine": min(f.cosine for f in measured["weights", "default"]),
        "weights_ends_ratio": ratio("weights", "both ends"),
        "weights_ends_cosine": min(f.cosine for f in measured["weights", "both ends"]),
    }
