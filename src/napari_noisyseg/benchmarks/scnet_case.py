"""SC-Net and its supervised yardstick on whole images: the same tiles, the same updates.

The tables that compare parts of the paper (II, IV) use the paper's labels and reading on the small
network (the long form on a GPU: on the paper's): clusters of k-means, which leave a third of the
pixels for co-training to fill (outlines at clicks leave a twentieth), and connected components.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from .. import registry
from ..coarse.centres import segment
from ..data.loader import TrainingData
from ..data.prepare import training_image
from ..data.regions import Region, region_of
from ..instances import nuclei
from ..method import Preset, Value
from ..metrics import aji, evaluate
from ..training.beginning import begin
from ..training.model import ModelFile
from ..training.predict import Model, nuclei_of
from .report import Row, mean
from .steps import take_steps
from .tissue import MIN_SIZE, Field, inner_points

Settings = Mapping[str, Value]
PAPERS: Settings = {
    "coarse": "cluster", "cluster_recipe": "paper", "splitting": "components", "hold_out": False,
    "first_weights": "none",
}  # fmt: skip
"""the paper's labels and reading"""
OURS: Settings = {"splitting": "watershed", "hold_out": False, "first_weights": "none"}
"""what users of the preset `small` train on, read without the starter"""
AS_USERS: Settings = {"hold_out": False}
"""the preset `small` itself: from first weights, read with the starter"""
SCORES = ("aji", "acc", "f1", "dice_obj", "pq")


class How(NamedTuple):
    """The preset that a training starts from, and where it runs."""

    preset: Preset = "small"
    device: str = "cpu"


SMALL = How()


def how(full: bool) -> How:
    """The paper's network in the long form where there is a GPU, else the small one."""
    return How("paper", "cuda") if full and torch.cuda.is_available() else SMALL


def points_of(fields: Sequence[Field]) -> list[Region]:
    """Images marked as a whole by a point in each nucleus."""
    return [region_of(f.rgb(), f.mpp, f.stem, points=inner_points(f.truth())) for f in fields]


def masks_of(fields: Sequence[Field]) -> list[Region]:
    """Images whose true masks are trusted as a whole."""
    return [region_of(f.rgb(), f.mpp, f.stem, clean=f.truth()) for f in fields]


def trained(
    name: str,
    regions: Sequence[Region],
    settings: Settings,
    updates: int,
    seed: int,
    how: How = SMALL,
) -> tuple[Model, Row]:
    """The method of a preset after so many updates, and how long they took.

    Settings that a method has not are left out. Where halves share tiles an epoch is no longer
    for that: pseudo labels come as often in each arm.
    """
    began, kind = time.monotonic(), registry.load(name)
    known = {k: v for k, v in settings.items() if k in kind.Config.model_fields}
    config = kind.Config.from_preset(how.preset, **known)
    labels = config.label_planes() or kind.needs.labels
    images = [training_image(region, config, labels) for region in regions]
    data = TrainingData(images, config, kind.needs, how.device, seed)
    method = kind(config, how.device, seed)
    begin(method, config, [region.rgb for region in regions])
    tiles = len({tuple(row) for row in data.split.training.rows.tolist()})
    taken = take_steps(method, data, config, updates=updates, each=-(-tiles // config.batch_size))
    file = ModelFile(name, config.model_dump(), config.working_mpp)
    model = Model(method, config, file, how.device)
    return model, {"steps": taken, "tiles": tiles, "seconds": round(time.monotonic() - began)}


def tested(model: Model, fields: Sequence[Field]) -> Row:
    """Mean scores of the nuclei that the model finds in images without points."""
    scored: list[Row] = [
        {**evaluate(nuclei_of(model, f.rgb(), f.mpp), f.truth(), MIN_SIZE)} for f in fields
    ]
    return {key: round(mean(scored, key), 4) for key in SCORES}


def untrained(fields: Sequence[Field]) -> Row:
    """Mean scores of what the starter finds in images without points, nothing trained."""
    found = [(segment(field.rgb(), field.mpp), field.truth()) for field in fields]
    scored: list[Row] = [{**evaluate(labels, truth, MIN_SIZE)} for labels, truth in found]
    return {key: round(mean(scored, key), 4) for key in SCORES}


def read_by_starter(model: Model, fields: Sequence[Field]) -> float:
    """Mean AJI of the same prediction, read as the small preset does."""
    scores: list[float] = []
    for field in fields:
        rgb: Any = field.rgb()
        probability = model.predict(rgb, field.mpp)["probability"]
        scores.append(aji(nuclei(probability, rgb, field.mpp, "centres"), field.truth()))
    return round(sum(scores) / len(scores), 4)
