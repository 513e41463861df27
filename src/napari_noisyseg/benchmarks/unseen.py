"""Trained on some images, tested on others without points: SC-Net's Tables I, II, IV and V."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..errors import NoisySegError
from ..instances import nuclei
from ..metrics import aji, evaluate
from ..slides import read_labels
from . import baselines, trainings
from .ledger import Row, mean, rows_of
from .report import Report
from .tissue import MIN_SIZE, Field, fields, inner_points

SECONDS = 600.0
ABLATION_SECONDS = 300.0
TRAINED, TESTED = 6, 6

ABLATION = {
    "a": ("use_clu=false", "use_cot=false", "use_color=false"),
    "b": ("use_cot=false", "use_color=false"),
    "c": ("use_color=false",),
    "d": (),
}
"""Table II: which losses each model leaves out"""


def run(data: Path, full: bool) -> Report:
    """Six images to train on, the next six to test on; against Otsu and against true masks.

    The starter, which learned from masks of other tissue, stands beside: alone, with what it
    learned from the same points (`adapt --places`), and as the reader of what SC-Net predicts.
    """
    train, test = _split(data)
    jobs: list[tuple[str, Callable[[], Row]]] = [
        ("scnet", partial(_points, train, test, SECONDS, (), starter=True)),
        ("supervised", partial(_masks, train, test, SECONDS)),
        ("otsu", partial(_otsu, test)),
        ("starter", partial(_starter, [], test)),
        ("places", partial(_starter, train, test)),
    ]
    rows, complete = rows_of("unseen-image", full, jobs)
    by_key = {str(row["key"]): row for row in rows}
    names = {
        "aji": "scnet", "aji_supervised": "supervised", "aji_otsu": "otsu",
        "aji_untrained_starter": "starter", "aji_places_starter": "places",
    }  # fmt: skip
    figures = {name: mean([by_key.get(key, {})], "aji") for name, key in names.items()}
    figures["aji_starter"] = mean([by_key.get("scnet", {})], "aji_starter")
    figures["share_of_supervised"] = figures["aji"] / figures["aji_supervised"]
    return Report("unseen-image", {**figures, "complete": float(complete)}, rows)


def ablation(data: Path, full: bool) -> Report:
    """Models A to D of Table II, five minutes each (ten in the long form)."""
    train, test = _split(data)
    seconds = SECONDS if full else ABLATION_SECONDS
    jobs = [
        (model, partial(_points, train, test, seconds, left_out))
        for model, left_out in ABLATION.items()
    ]
    return _table("ablation", full, jobs)


def split_overlap(data: Path, full: bool) -> Report:
    """Table IV: how much of the training data the two networks share."""
    train, test = _split(data)
    seconds = SECONDS if full else ABLATION_SECONDS
    jobs = [
        (f"{share}", partial(_points, train, test, seconds, (f"split_overlap={share / 100}",)))
        for share in ((0, 20, 40, 60, 80, 100) if full else (0, 40, 100))
    ]
    return _table("split-overlap", full, jobs)


def _table(name: str, full: bool, jobs: Sequence[tuple[str, Callable[[], Row]]]) -> Report:
    rows, complete = rows_of(name, full, jobs)
    figures = {f"aji_{row['key']}": mean([row], "aji") for row in rows}
    return Report(name, {**figures, "complete": float(complete)}, rows)


def external(data: Path, full: bool) -> Report:
    """Trained on MoNuSeg, tested on CPM-15 and on the stained tissue of DSB 2018."""
    train = fields(data, "monuseg")
    sets = {"cpm15": fields(data, "cpm15"), "hist": fields(data, "dsb2018/hist")}
    with tempfile.TemporaryDirectory() as scratch:
        project = _project_of_points(Path(scratch), train)
        trained = trainings.train(project, "scnet", SECONDS * (4 if full else 1))
        rows = [{"key": k, **_test(trained.run, test, Path(scratch))} for k, test in sets.items()]
    return Report("external", {f"aji_{row['key']}": mean([row], "aji") for row in rows}, rows)


def paper_gpu(data: Path, full: bool) -> Report:
    """The paper's preset on a GPU: 24 images of MoNuSeg to train on, the last 6 to test on."""
    import torch

    if not torch.cuda.is_available():
        raise NoisySegError("paper-gpu: no CUDA device here (see 'noisyseg doctor')")
    images = fields(data, "monuseg")
    with tempfile.TemporaryDirectory() as scratch:
        project = _project_of_points(Path(scratch), images[:24])
        words = ("--device", "cuda", "--set", "preset=paper", "--epochs", "100" if full else "30")
        out = trainings.noisyseg("train", project, "--method", "scnet", *words)
        row = _test(Path(out.strip().splitlines()[-1]), images[24:], Path(scratch))
    return Report("paper-gpu", {"aji": mean([row], "aji")}, [row])


def _split(data: Path) -> tuple[list[Field], list[Field]]:
    images = fields(data, "monuseg")
    return images[:TRAINED], images[TRAINED : TRAINED + TESTED]


def _project_of_points(folder: Path, images: Sequence[Field]) -> Path:
    points = [inner_points(field.truth()) for field in images]
    return trainings.project_of_points(folder, images, points)


def _points(
    train: Sequence[Field],
    test: Sequence[Field],
    seconds: float,
    settings: Sequence[str],
    starter: bool = False,
) -> Row:
    """SC-Net from points; with `starter` its prediction is read in that way as well."""
    with tempfile.TemporaryDirectory() as scratch:
        project = _project_of_points(Path(scratch), train)
        words = [word for text in settings for word in ("--set", text)]
        trained = trainings.train(project, "scnet", seconds, *words)
        read = {"aji_starter": _read_by_starter(trained.run, test)} if starter else {}
        return {"seconds": trained.seconds, **read, **_test(trained.run, test, Path(scratch))}


def _read_by_starter(run: Path, test: Sequence[Field]) -> float:
    """Mean AJI of the same prediction, read as the small preset does."""
    from ..training.predict import load_model

    model = load_model(run, "cpu")
    scores = []
    for field in test:
        rgb = field.rgb()
        probability = model.predict(rgb, field.mpp)["probability"]
        scores.append(aji(nuclei(probability, rgb, field.mpp, "centres"), field.truth()))
    return sum(scores) / len(scores)


def _starter(train: Sequence[Field], test: Sequence[Field]) -> Row:
    """The starter alone, or after it learned where nuclei lie from fields of points."""
    with tempfile.TemporaryDirectory() as scratch:
        if not train:
            return _test(Path("starter"), test, Path(scratch))
        project = _project_of_points(Path(scratch), train)
        lesson = json.loads(trainings.noisyseg("adapt", project, "--places", "--json"))
        seconds = {"seconds": lesson["seconds"], "gain_kept_back": lesson["gain"]}
        return {**seconds, **_test(project, test, Path(scratch))}


def _masks(train: Sequence[Field], test: Sequence[Field], seconds: float) -> Row:
    with tempfile.TemporaryDirectory() as scratch:
        project = trainings.project_of_masks(Path(scratch), train)
        trained = trainings.train(project, "supervised", seconds)
        return {"seconds": trained.seconds, **_test(trained.run, test, Path(scratch))}


def _otsu(test: Sequence[Field]) -> Row:
    scores = [aji(baselines.otsu_components(f.rgb(), f.mpp), f.truth()) for f in test]
    return {"aji": sum(scores) / len(scores)}


def _test(run: Path, test: Sequence[Field], scratch: Path) -> Row:
    """Mean scores of the model's nuclei on images it has not seen."""
    out = scratch / "predicted"
    for mpp in sorted({field.mpp for field in test}):
        images = [field.image for field in test if field.mpp == mpp]
        trainings.noisyseg("predict", *images, "--model", run, "--output", out, "--mpp", str(mpp))
    scored = [evaluate(read_labels(out / f"{f.stem}.tif"), f.truth(), MIN_SIZE) for f in test]
    keys = ("aji", "acc", "f1", "dice_obj", "pq")
    return {key: mean([dict(row) for row in scored], key) for key in keys}
