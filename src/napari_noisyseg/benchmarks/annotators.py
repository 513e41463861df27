"""`two-annotators`: real noise, one annotator's outlines against another's.

One person's outlines are rough, a tenth of the other's nuclei are accepted; every method takes the
same number of updates. Scored on fields of the second person that no method has seen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from .. import noise, registry
from ..annotation.snapshot import write_snapshot
from ..data.regions import SNAPSHOT, Region, open_regions, region_of
from ..slides import read_labels
from ..store import Project
from ..training.predict import Model, nuclei_of
from . import scnet_case as case
from . import trainings
from .ledger import rows_of
from .report import Report, Row, mean
from .scnet_case import OURS, Settings
from .seeds import Job, figures, over_seeds
from .tissue import ACCEPTED, Field, fields

SET = "lgg_two_annotators"
TRAINED = 14
"""images that are trained on; the other half is tested on"""
UPDATES, FULL_UPDATES = 400, 2000
METHODS = ("mmc", "finetune", "mlbseg", "supervised")
ALIKE: Settings = {**OURS, "input": "rgb", "weight_decay": 0.0}
"""all that have MMC's network see and decay as it does; MLB-Seg has its own network and input"""


def run(data: Path, full: bool) -> Report:
    """Each method, and the ceiling: all outlines of the second annotator, learned as they are.

    `supervised` learns from the first annotator alone, `finetune` from the same as MMC and
    MLB-Seg: what the accepted nuclei are worth without correcting anything. The control is no
    network: the first annotator's own outlines of the fields that are scored.
    """
    images, other = fields(data, SET), data / SET / "labels_alt"
    updates = FULL_UPDATES if full else UPDATES
    arms: dict[str, Job] = {
        method: partial(_of_one_annotator, images, other, method, updates) for method in METHODS
    }
    arms["clean"] = partial(_ceiling, images, other, updates)
    rows, complete = over_seeds("two-annotators", full, arms)
    by_hand = [("first_annotator", partial(_copied, images[TRAINED:], other))]
    control, done = rows_of("two-annotators-untrained", full, by_hand)
    found = {**figures(rows), "dice_first_annotator": mean(control, "dice")}
    every = [*rows, *control]
    return Report("two-annotators", {**found, "complete": float(complete and done)}, every)


def _copied(images: Sequence[Field], other: Path) -> Row:
    return {"dice": _mean_dice([read_labels(f.labels) for f in images], images, other)}


def _of_one_annotator(
    images: Sequence[Field], other: Path, method: str, updates: int, seed: int
) -> Row:
    regions = regions_of(images[:TRAINED], other, method)
    model, row = case.trained(method, regions, settings_of(method), updates, seed)
    return {**row, "dice": _dice(model, images[TRAINED:], other)}


def settings_of(method: str) -> Settings:
    """The preset `small` of a method, and what all with the same network have alike."""
    return OURS if method == "mlbseg" else ALIKE


def _ceiling(images: Sequence[Field], other: Path, updates: int, seed: int) -> Row:
    regions = [region_of(f.rgb(), f.mpp, f.stem, clean=_other(f, other)) for f in images[:TRAINED]]
    model, row = case.trained("supervised", regions, ALIKE, updates, seed)
    return {**row, "dice": _dice(model, images[TRAINED:], other)}


def regions_of(images: Sequence[Field], other: Path, method: str) -> list[Region]:
    """What a project of both annotators' labels gives a run of this method to train on."""
    with tempfile.TemporaryDirectory() as scratch:
        made = _project(Path(scratch), images, other, method != "supervised")
        with Project.open(made, write=False) as project:
            write_snapshot(project, Path(scratch), None, registry.describe(method).needs)
        return [stored.load() for stored in open_regions(Path(scratch) / SNAPSHOT)]


def _dice(model: Model, images: Sequence[Field], other: Path) -> float:
    return _mean_dice([nuclei_of(model, f.rgb(), f.mpp) for f in images], images, other)


def _mean_dice(found: Sequence[np.ndarray], images: Sequence[Field], other: Path) -> float:
    """Mean foreground Dice with the second annotator."""
    pairs = zip(found, images, strict=True)
    return round(float(np.mean([noise.foreground_dice(k, _other(f, other)) for k, f in pairs])), 4)


def _other(field: Field, other: Path) -> np.ndarray:
    return read_labels(other / field.labels.name).astype(np.int32)


def _project(folder: Path, images: Sequence[Field], other: Path, with_clean: bool) -> Path:
    """The first annotator's labels as rough masks of complete fields; some of the other's clean."""
    for name in ("masks", "clean"):
        (folder / name).mkdir()
    for seed, field in enumerate(images):
        labels = _other(field, other)
        ids = noise.ids_of(labels)
        accepted = ids[noise.chosen(ids, ACCEPTED, seed)]
        clean = np.where(np.isin(labels, accepted), labels, 0)
        tifffile.imwrite(folder / "clean" / f"{field.stem}.tif", clean.astype(np.uint16))
        (folder / "masks" / field.labels.name).symlink_to(field.labels.resolve())
    whole = f"0,0,{images[0].rgb().shape[1]},{images[0].rgb().shape[0]}"
    words: tuple[str | Path, ...] = ("--masks", folder / "masks", "--field", whole)
    words += ("--clean", folder / "clean") if with_clean else ()
    return trainings.create(folder, images, *words)
