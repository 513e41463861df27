"""Trained on some images, tested on others without points: SC-Net's Tables I, II, IV and V."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ..errors import NoisySegError
from ..metrics import evaluate
from ..slides import read_labels
from . import baselines, trainings
from . import scnet_case as case
from .ledger import Row, mean, rows_of
from .report import Report
from .scnet_case import OURS, PAPERS, Settings
from .seeds import Job, figures, over_seeds
from .tissue import MIN_SIZE, Field, fields, inner_points

UPDATES, FULL_UPDATES = 600, 2000
"""of every network, in every arm of a table"""
TRAINED, TESTED = 6, 6

ABLATION: dict[str, Settings] = {
    "a": {"use_clu": False, "use_cot": False, "use_color": False},
    "b": {"use_cot": False, "use_color": False},
    "c": {"use_color": False},
    "d": {},
}
"""Table II: which losses each model leaves out"""
PAPER_II = {"a": 0.4301, "b": 0.5177, "c": 0.5296, "d": 0.5620, "clean": 0.5893}
"""AJI; clean: Table III, supervised"""
PAPER_IV = {"0": 0.5620, "20": 0.5469, "40": 0.5465, "60": 0.5305, "80": 0.5413, "100": 0.5302}
PAPER_V = {"cpm15": 0.5132}


def run(data: Path, full: bool) -> Report:
    """Six images to train on, the next six to test on; against Otsu and against true masks.

    `supervised` has the same tiles and updates and two networks as well. The starter, which learned
    from masks of other tissue, stands beside: alone, with what it learned from the same points
    (`adapt --places`), and as the reader of what SC-Net predicts.
    """
    train, test = _split(data)
    updates = _updates(full)
    arms: dict[str, Job] = {
        "scnet": partial(_points, train, test, updates, OURS, starter=True),
        "supervised": partial(_masks, train, test, updates, OURS),
    }
    rows, complete = over_seeds(
        "unseen-image", full, arms, "aji", {"scnet": 0.5620, "supervised": 0.5893}
    )
    others, done = rows_of(
        "unseen-image-untrained",
        full,
        [
            ("otsu", partial(_otsu, test)),
            ("starter", partial(_starter, [], test)),
            ("places", partial(_starter, train, test)),
        ],
    )
    every = [*rows, *others]
    found = {**_unseen_figures(every), "complete": float(complete and done)}
    return Report("unseen-image", found, every)


def _unseen_figures(rows: Sequence[Row]) -> dict[str, float]:
    by_key = {str(row["key"]): row for row in rows}
    names = {
        "aji": "scnet", "aji_supervised": "supervised", "aji_otsu": "otsu",
        "aji_untrained_starter": "starter", "aji_places_starter": "places",
    }  # fmt: skip
    found = {name: mean([by_key.get(key, {})], "aji") for name, key in names.items()}
    for name, key in (("std", "scnet"), ("std_supervised", "supervised")):
        found[name] = mean([by_key.get(key, {})], "std")
    found["aji_starter"] = mean([by_key.get("scnet", {})], "aji_starter")
    found["share_of_supervised"] = found["aji"] / found["aji_supervised"]
    return found


def ablation(data: Path, full: bool) -> Report:
    """Models A to D of Table II with the paper's labels, and true masks as the ceiling."""
    train, test = _split(data)
    updates = _updates(full)
    arms: dict[str, Job] = {
        model: partial(_points, train, test, updates, {**PAPERS, **left_out})
        for model, left_out in ABLATION.items()
    }
    arms["clean"] = partial(_masks, train, test, updates, PAPERS)
    return _table("ablation", full, arms, PAPER_II)


def split_overlap(data: Path, full: bool) -> Report:
    """Table IV with the paper's labels: how much of the tiles the two networks share."""
    train, test = _split(data)
    arms: dict[str, Job] = {
        f"{share}": partial(
            _points, train, test, _updates(full), {**PAPERS, "split_overlap": share / 100}
        )
        for share in ((0, 20, 40, 60, 80, 100) if full else (0, 40, 100))
    }
    arms["clean"] = partial(_masks, train, test, _updates(full), PAPERS)
    return _table("split-overlap", full, arms, {**PAPER_IV, "clean": PAPER_II["clean"]})


def external(data: Path, full: bool) -> Report:
    """Trained on MoNuSeg, tested on CPM-15 and on the stained tissue of DSB 2018."""
    train = fields(data, "monuseg")
    sets = {"cpm15": fields(data, "cpm15"), "hist": fields(data, "dsb2018/hist")}
    arms: dict[str, Job] = {"all": partial(_external, train, sets, 2 * _updates(full))}
    rows, complete = over_seeds("external", full, arms, "aji_cpm15")
    parts: list[Row] = [
        {"key": k, "aji": row[f"aji_{k}"], "std": row["std"] if k == "cpm15" else None,
         "seeds": row["seeds"], "paper": PAPER_V.get(k)}
        for row in rows for k in sets
    ]  # fmt: skip
    found = {f"aji_{row['key']}": mean([row], "aji") for row in parts}
    return Report("external", {**found, "complete": float(complete)}, parts)


def _external(
    train: Sequence[Field], sets: Mapping[str, Sequence[Field]], updates: int, seed: int
) -> Row:
    model, row = case.trained("scnet", case.points_of(train), OURS, updates, seed)
    for name, test in sets.items():
        row |= {f"{key}_{name}": value for key, value in case.tested(model, test).items()}
    return row


def _table(name: str, full: bool, arms: Mapping[str, Job], paper: Mapping[str, float]) -> Report:
    rows, complete = over_seeds(name, full, arms, "aji", paper)
    found = figures(rows, "aji", "aji_")
    return Report(name, {**found, "complete": float(complete)}, rows)


def _updates(full: bool) -> int:
    return FULL_UPDATES if full else UPDATES


def paper_gpu(data: Path, full: bool) -> Report:
    """The paper's preset on a GPU: 24 images of MoNuSeg to train on, the last 6 to test on."""
    import torch

    if not torch.cuda.is_available():
        raise NoisySegError("paper-gpu: no CUDA device here (see 'noisyseg doctor')")
    images = fields(data, "monuseg")
    with tempfile.TemporaryDirectory() as scratch:
        project = _project_of_points(Path(scratch), images[:24])
        words = ("--device", "cuda", "--set", "preset=paper", "--epochs", "100" if full else "30")
        out = trainings.noisyseg("train", project, "--method", "scnet", *words, gpu=True)
        row = _test(Path(out.strip().splitlines()[-1]), images[24:], Path(scratch))
    return Report("paper-gpu", {"aji": mean([row], "aji")}, [{**row, "paper": 0.5620}])


def _split(data: Path) -> tuple[list[Field], list[Field]]:
    images = fields(data, "monuseg")
    return images[:TRAINED], images[TRAINED : TRAINED + TESTED]


def _project_of_points(folder: Path, images: Sequence[Field]) -> Path:
    points = [inner_points(field.truth()) for field in images]
    return trainings.project_of_points(folder, images, points)


def _points(
    train: Sequence[Field],
    test: Sequence[Field],
    updates: int,
    settings: Settings,
    seed: int,
    starter: bool = False,
) -> Row:
    """SC-Net from points; with `starter` its prediction is read in that way as well."""
    model, row = case.trained("scnet", case.points_of(train), settings, updates, seed)
    read: Row = {"aji_starter": case.read_by_starter(model, test)} if starter else {}
    return {**row, **read, **case.tested(model, test)}


def _masks(
    train: Sequence[Field], test: Sequence[Field], updates: int, settings: Settings, seed: int
) -> Row:
    """Two networks on true masks, as SC-Net has two."""
    two = {**settings, "networks": 2}
    model, row = case.trained("supervised", case.masks_of(train), two, updates, seed)
    return {**row, **case.tested(model, test)}


def _starter(train: Sequence[Field], test: Sequence[Field]) -> Row:
    """The starter alone, or after it learned where nuclei lie from fields of points."""
    with tempfile.TemporaryDirectory() as scratch:
        if not train:
            return _test(Path("starter"), test, Path(scratch))
        project = _project_of_points(Path(scratch), train)
        lesson = json.loads(trainings.noisyseg("adapt", project, "--places", "--json"))
        seconds = {"seconds": lesson["seconds"], "gain_kept_back": lesson["gain"]}
        return {**seconds, **_test(project, test, Path(scratch))}


def _otsu(test: Sequence[Field]) -> Row:
    found: list[Row] = [
        {**evaluate(baselines.otsu_components(f.rgb(), f.mpp), f.truth(), MIN_SIZE)} for f in test
    ]
    return {"aji": mean(found, "aji")}


def _test(run: Path, test: Sequence[Field], scratch: Path) -> Row:
    """Mean scores of the model's nuclei on images it has not seen."""
    out = scratch / "predicted"
    for mpp in sorted({field.mpp for field in test}):
        images = [field.image for field in test if field.mpp == mpp]
        trainings.noisyseg("predict", *images, "--model", run, "--output", out, "--mpp", str(mpp))
    scored = [evaluate(read_labels(out / f"{f.stem}.tif"), f.truth(), MIN_SIZE) for f in test]
    return {key: mean([dict(row) for row in scored], key) for key in case.SCORES}
