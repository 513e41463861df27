"""`unseen-image`: trained on some images, tested on others without points (Table I of SC-Net)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..errors import NoisySegError
from ..metrics import evaluate
from ..slides import read_labels
from . import baselines, scnet, scnet_case, trainings
from .ledger import rows_of
from .report import Report, Row, mean
from .scnet_case import AS_USERS, OURS, SCORES
from .seeds import Job, over_seeds
from .tissue import MIN_SIZE, Field, fields, inner_points


def run(data: Path, full: bool) -> Report:
    """Six images to train on, the next six to test on; against Otsu and against true masks.

    `supervised` has the same tiles and updates and two networks as well. The starter, which learned
    from masks of other tissue, stands beside: alone, with what it learned from the same points
    (`adapt --places`), as the reader of what SC-Net predicts, and as the reader of SC-Net that
    began with first weights, which is what people get (`first`).
    """
    train, test = scnet.split(data)
    updates, how = scnet.updates_of(full), scnet_case.how(full)
    arms: dict[str, Job] = {
        "scnet": partial(scnet.of_points, train, test, updates, OURS, starter=True, how=how),
        "first": partial(scnet.of_points, train, test, updates, AS_USERS),
        "supervised": partial(scnet.of_masks, train, test, updates, OURS, how=how),
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
        "aji_first_starter": "first", "aji_untrained_starter": "starter",
        "aji_places_starter": "places",
    }  # fmt: skip
    found = {name: mean([by_key.get(key, {})], "aji") for name, key in names.items()}
    for name, key in (("std", "scnet"), ("std_supervised", "supervised")):
        found[name] = mean([by_key.get(key, {})], "std")
    found["aji_starter"] = mean([by_key.get("scnet", {})], "aji_starter")
    found["share_of_supervised"] = found["aji"] / found["aji_supervised"]
    return found


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


def _project_of_points(folder: Path, images: Sequence[Field]) -> Path:
    points = [inner_points(field.truth()) for field in images]
    return trainings.project_of_points(folder, images, points)


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
    return {key: mean([dict(row) for row in scored], key) for key in SCORES}
