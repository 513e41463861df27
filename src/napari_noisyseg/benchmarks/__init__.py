"""The papers' tables and our own speed figures, as commands: `noisyseg benchmark NAME`.

A benchmark is a module with `run(data, full) -> Report`; this table names them all.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from .report import Report

__all__ = ["Report", "load", "module_of", "names", "words"]

_TABLE = {
    "coarse": ("coarse", "run", "coarse labels: speed, one more click, precision"),
    "outline": ("outline", "run", "outlines at clicks before any training: how right, how fast"),
    "review-value": ("review_value", "run", "what a look corrects in the order of the queue"),
    "review-speed": ("review_speed", "run", "from a key to the next nucleus drawn; memory"),
    "audit": ("audit", "run", "whether the interval of what is wrong in the rest holds"),
    "adapt": ("adapt", "run", "some nuclei corrected: whether the outlines of the rest follow"),
    "annotated-field": ("annotated", "run", "two minutes of training on one field of points"),
    "jitter": ("annotated", "jitter", "the same with carelessly placed points"),
    "partial-points": ("partial", "run", "some points given, the rest suggested"),
    "unseen-image": ("unseen", "run", "images without points, against true masks"),
    "ablation": ("scnet", "ablation", "SC-Net's losses, one after the other (Table II)"),
    "split-overlap": ("scnet", "split_overlap", "overlap of the two halves (Table IV)"),
    "external": ("scnet", "external", "trained on one set, tested on others (Table V)"),
    "rough-field": ("rough", "run", "rough masks and a tenth of the nuclei accepted"),
    "two-annotators": ("annotators", "run", "real noise: one annotator against another"),
    "mlbseg-ablation": ("mlbseg", "ablation", "MLB-Seg without rough labels: its parts (Fig. 3b)"),
    "mlbseg-supervision": ("mlbseg", "supervision", "MLB-Seg: no, noisy and mixed rough labels"),
    "mlbseg-steered": ("mlbseg_steered", "run", "MLB-Seg where clean windows teach no update"),
    "mmc-table2": ("mmc", "table2", "MMC against its comparators under three noises (Table II)"),
    "mmc-table4": ("mmc", "table4", "depths of MMC's correction network (Table IV)"),
    "mmc-modes": ("mmc", "modes", "whether MMC's fast gradients end where the exact one does"),
    "superpixel-noise": ("superpixel", "noise", "superpixels relabelled under noise (Table 1)"),
    "superpixel-speed": ("superpixel", "speed", "what pooling and a step with superpixels cost"),
    "structure": ("structure", "run", "clean, randomized, perturbed and random labels (Eq. 1)"),
    "igtt": ("igtt", "run", "no annotation at all, against thresholds and true masks (Table 6)"),
    "tables": ("tables", "run", "all tables of the papers, each from one version of its code"),
    "gui": ("gui", "run", "how smooth the window stays while a run trains"),
    "window-walk": ("window_walk", "run", "whether disk, canvas and panel agree in a random walk"),
    "soak": ("soak", "run", "a day's work in one window in fast motion: memory, stalls"),
    "overhead": ("overhead", "run", "share of a training step outside the networks"),
    "meta-step": ("meta_step", "run", "what a bilevel step costs against a plain one"),
    "scale": ("scale", "run", "half a million nuclei: open, review, look, adopt, export"),
    "exchange": ("exchange", "run", "every format there and back; files and readers of others"),
    "export": ("scale", "export", "very many nuclei as GeoJSON and as CSV"),
    "slide-read": ("slides", "read", "a slide of 100,000 x 80,000: seconds and memory to open it"),
    "slide-paint": ("slide_paint", "run", "strokes anywhere on a slide; panning over many nuclei"),
    "slide-predict": ("slides", "predict", "whole slides: speed, memory, no trace of tiles, kills"),
    "faults": ("faults", "run", "kills, power cuts and hostile files: lost, hung, broken"),
    "cluster": ("cluster", "run", "two workers against one, one killed, tls, a training there"),
    "imports": ("imports", "run", "what importing the package costs"),
    "paper-gpu": ("unseen", "paper_gpu", "the paper's preset on a GPU (Table I)"),
}


def names() -> list[str]:
    """Every benchmark."""
    return list(_TABLE)


def words(name: str) -> str:
    """What it measures, in a line."""
    return _TABLE[name][2]


def module_of(name: str) -> str:
    """The module that makes rows of this name: a benchmark's own, or its NAME-… beside them."""
    known = [own for own in _TABLE if name == own or name.startswith(f"{own}-")]
    if not known:
        raise ValueError(f"no benchmark makes rows of the name {name!r}")
    return _TABLE[max(known, key=len)][0]


def load(name: str) -> Callable[[Path, bool], Report]:
    """The benchmark as a function of the data folder and whether to run the long form."""
    module, function, _ = _TABLE[name]
    loaded = importlib.import_module(f"{__name__}.{module}")
    run: Callable[[Path, bool], Report] = getattr(loaded, function)
    return run
