"""A run's results: refined nuclei of every region at level 0, and the model, in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse.readers import AS_SHIPPED, Readers
from napari_noisyseg.data.prepare import label_planes
from napari_noisyseg.data.regions import Region, StoredRegion
from napari_noisyseg.data.resample import resize
from napari_noisyseg.instances import Given, in_masks
from napari_noisyseg.method import BACKGROUND, NUCLEUS, TrainingImage
from napari_noisyseg.store.durable import make_inside, write_atomically, writing
from napari_noisyseg.training.explain import changes, explain
from napari_noisyseg.training.kept import with_kept
from napari_noisyseg.training.loop import Training
from napari_noisyseg.training.model import NAME as MODEL
from napari_noisyseg.training.model import ModelFile, write_model
from napari_noisyseg.training.predict import Maps, Model, density_of
from napari_noisyseg.training.refine import (
    Evidence,
    Found,
    bolder,
    corrected,
    further,
    judge,
    outlines,
)

Map = NDArray[np.float32]
FOLDER, INDEX = "results", "index.json"


@dataclass(frozen=True)
class Refined:
    """What came of one region. labels: int32 (h, w) of serials, larger numbers for new nuclei.

    maps: float32 (h, w) by name; judged: `corrected`, int32 (h, w) of one id per nucleus, and
    `changes`, uint8 (h, w), of methods that correct rough masks.
    """

    region: Region
    labels: NDArray[np.int32]
    maps: Maps
    found: list[Found]
    judged: dict[str, NDArray[Any]] = field(default_factory=dict)


def model_of(
    run: Training, method: str, provenance: dict[str, Any], readers: Readers = AS_SHIPPED
) -> Model:
    """The run's method as a model that can predict and be saved."""
    config = run.config.model_dump()
    file = ModelFile(method, config, run.config.working_mpp, provenance=provenance)
    return Model(run.method, run.config, file, run.device, readers)


def refine(
    model: Model, region: Region, everywhere: bool, image: TrainingImage | None = None
) -> Refined:
    """Predict one region and outline its nuclei, each with confidence and reason.

    image: the region as the run trained on it, whose labels the method then explains.
    """
    maps = model.predict(region.rgb, region.mpp)
    probability = maps["probability"]
    shown = {"uncertainty": 1 - np.abs(2 * probability - 1), **maps}
    # one network is unsure along every outline; what two disagree on says something of this one
    two = type(model.method).needs.halves
    doubt = shown["uncertainty"] if two else np.zeros_like(probability)
    density = density_of(region.rgb, model.config)
    splitting = model.config.prediction().splitting
    at_clicks = splitting == "centres" and len(region.points)
    first = model.first(region.rgb, region.mpp) if at_clicks else None
    evidence = Evidence(probability, doubt, density, region.rgb, region.mpp, first, model.readers)
    labels = np.zeros(region.shape, np.int32)
    certainty: dict[int, float] = {}
    if len(region.points):
        labels, certainty = outlines(evidence, region.points, region.serials, splitting)
    if everywhere or not (len(region.points) and type(model.method).needs.points):
        # a field without a point says where to look, not that there is no nucleus
        marked = region.known if len(region.points) else np.zeros_like(region.known)
        labels = further(evidence, labels, marked, splitting)
    maps, judged = _explained(model, region, evidence, image)
    found = judge(evidence, labels, list(certainty), certainty)
    return Refined(region, labels, {**shown, **maps}, found, judged)


def _explained(
    model: Model, region: Region, evidence: Evidence, image: TrainingImage | None
) -> tuple[Maps, dict[str, NDArray[Any]]]:
    """What the method makes of the region's labels at level 0: maps, and label images."""
    if image is None:
        return {}, {}
    maps = {
        name: resize(values, region.shape)
        for name, values in explain(model.method, image, model.device).items()
    }
    believed = maps.pop("corrected", None)
    if believed is None:
        return maps, {}
    planes = label_planes(region, region.shape, ("rough", "clean"))
    given = (planes["rough"] == NUCLEUS) | (planes["clean"] == NUCLEUS)
    empty = planes["clean"] == BACKGROUND
    seen = np.where(given, believed, evidence.probability)
    labels = _redrawn(model, region, seen, evidence.probability, empty)
    if labels is None:
        labels = corrected(evidence, believed, given, empty)
    after = changes(labels > 0, planes["rough"], planes["clean"])
    return maps, {"corrected": labels, "changes": after}


def _redrawn(
    model: Model, region: Region, believed: Map, predicted: Map, empty: NDArray[np.bool_]
) -> NDArray[np.int32] | None:
    """The masks of a region with the starter's networks, but for rough ones that hold."""
    splitting = model.config.prediction().splitting

    def redraw(seen: Map, given: Given) -> NDArray[np.int32] | None:
        return in_masks(bolder(seen), given, region.rgb, region.mpp, splitting, model.readers)

    given = Given(region.rough, region.clean, empty)
    labels = redraw(believed, given)
    return None if labels is None else with_kept(labels, given, partial(redraw, predicted))


def write_results(
    folder: Path,
    model: Model,
    regions: Iterable[StoredRegion],
    everywhere: bool,
    images: Sequence[TrainingImage | None] = (),
) -> Iterator[tuple[str, Refined]]:
    """Save the model and every region's results; yields each file's name as it is there.

    images: the regions as the run trained on them. Pixels of region i are in i.npz, its nuclei in
    i.json. index.json comes last: with it the results are whole.
    """
    write_model(folder / MODEL, model.file, model.method.weights())
    target = folder / FOLDER
    make_inside(target)
    entries: list[dict[str, Any]] = []
    trained = images or repeat(None)
    for i, (region, image) in enumerate(zip(regions, trained, strict=False)):
        refined = refine(model, region.load(), everywhere, image)
        entries.append(_write_one(target / f"{i}.npz", refined))
        yield f"{FOLDER}/{i}.npz", refined
    document = {"method": model.file.method, "regions": entries}
    write_atomically(target / INDEX, json.dumps(document))


def _write_one(path: Path, refined: Refined) -> dict[str, Any]:
    maps = {name: values.astype(np.float16) for name, values in refined.maps.items()}
    arrays: dict[str, Any] = {"labels": refined.labels, **maps, **refined.judged}
    with writing(path) as file:
        np.savez(file, **arrays)
    region = refined.region
    marked = {int(s) for s in region.serials}
    rows = [
        {**asdict(found), "serial": found.label if found.label in marked else 0}
        for found in refined.found
    ]
    # beside the index, which would be too long to be read where there are very many
    listed = path.with_suffix(".json")
    write_atomically(listed, json.dumps({"candidates": rows}))
    return {
        "file": path.name,
        "candidates": listed.name,
        "name": region.name,
        "image": region.image,
        "box": list(region.box),
        "mpp": region.mpp,
    }
