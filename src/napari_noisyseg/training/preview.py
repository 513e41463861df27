"""A picture of the present state: the first field at working resolution, outlines included."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import stains
from napari_noisyseg.coarse.readers import AS_SHIPPED, Readers
from napari_noisyseg.data.prepare import planes_of_pixels, stain_matrix
from napari_noisyseg.data.regions import Region
from napari_noisyseg.data.resample import resize, scale_points, working_shape
from napari_noisyseg.events import Previewed
from napari_noisyseg.method import Method, MethodConfig, TrainingImage
from napari_noisyseg.slides import Box
from napari_noisyseg.training.beginning import untrained
from napari_noisyseg.training.explain import changes, explain, window
from napari_noisyseg.training.predict import Maps, predict_maps
from napari_noisyseg.training.refine import Evidence, outlines

MAX_SIDE = 512
"""Longest side of a preview in working pixels; of a larger region its middle is shown."""
KEPT = 3
"""Pictures on disk: one that a listener may be reading is not taken away from it."""


@dataclass
class Preview:
    """Predicts a part of one region again and again; measures what that costs.

    trained: the region as the run trains on it, whose labels the method then explains too. readers:
    the starter's networks, where nuclei are read with them.
    predict_seconds, refine_seconds: of the last picture, per working pixel. taken: Unix time of
    the last picture, 0 before the first.
    """

    region: Region
    config: MethodConfig
    folder: Path
    device: str
    trained: TrainingImage | None = None
    readers: Readers = AS_SHIPPED
    box: Box = field(init=False)
    predict_seconds: float = field(default=0.0, init=False)
    refine_seconds: float = field(default=0.0, init=False)
    taken: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        region, config = self.region, self.config
        limit = round(MAX_SIDE * config.working_mpp / region.mpp)
        self.box = _middle(region, limit)
        matrix = stain_matrix(region.rgb, config.pixels())
        rgb = region.rgb[self.box.slices]
        shape = working_shape(rgb.shape[:2], region.mpp, config.working_mpp)
        self._rgb = resize(rgb, shape)
        self._planes = planes_of_pixels(self._rgb, matrix)
        self._density = stains.densities(self._rgb, matrix)[0]
        points = region.points - self.box[:2]
        inside = ((points >= -0.5) & (points < np.array(rgb.shape[:2]) - 0.5)).all(axis=1)
        self._points = scale_points(points[inside], (rgb.shape[0], rgb.shape[1]), shape)
        self._serials = region.serials[inside]
        self._count = 0
        self._first: NDArray[np.float32] | None = None
        self._asked = False

    def of(self, region: Region, trained: TrainingImage | None = None) -> Preview:
        """The same for another region; counting and measured times go on."""
        other = replace(self, region=region, trained=trained)
        other.predict_seconds, other.refine_seconds = self.predict_seconds, self.refine_seconds
        other.taken, other._count = self.taken, self._count
        return other

    def take(self, method: Method, epoch: int) -> Previewed:
        """Predict, outline and write one picture; the event that tells of it."""
        began = time.perf_counter()
        maps = predict_maps(method, *self._planes, self.device)
        explained = self._explained(method)
        predicted = time.perf_counter()
        refined = self._refined(method, maps)
        pixels = self._rgb.shape[0] * self._rgb.shape[1]
        self.predict_seconds = (predicted - began) / pixels
        self.refine_seconds = (time.perf_counter() - predicted) / pixels
        path = self._write({**maps, **explained}, refined)
        self.taken = time.time()
        scale = self.box.height / self._rgb.shape[0]
        origin = tuple(
            float(c + self.region.box[i] + (scale - 1) / 2) for i, c in enumerate(self.box[:2])
        )
        return Previewed(self.region.image, path, epoch, origin=(origin[0], origin[1]), scale=scale)

    def _refined(self, method: Method, maps: Maps) -> NDArray[np.int32]:
        probability = maps["probability"]
        evidence = Evidence(
            probability,
            maps.get("uncertainty", np.zeros_like(probability)),
            self._density,
            self._rgb,
            self.config.working_mpp,
            self._first_of(method),
            self.readers,
        )
        splitting = self.config.prediction().splitting
        return outlines(evidence, self._points, self._serials, splitting).labels

    def _first_of(self, method: Method) -> NDArray[np.float32] | None:
        """What the networks said before any training, if they began with first weights."""
        at_clicks = self.config.prediction().splitting == "centres" and len(self._points)
        if at_clicks and not self._asked:
            fresh = untrained(method, self.config, self.device, self._rgb)
            if fresh is not None:
                self._first = predict_maps(fresh, *self._planes, self.device)["probability"]
        self._asked = True
        return self._first

    def _explained(self, method: Method) -> dict[str, NDArray[Any]]:
        """The method's maps of the labels in the box; `corrected` as a mask, with `changes`."""
        if self.trained is None:
            return {}
        scale = self._rgb.shape[0] / self.box.height
        start = (round(self.box.y0 * scale), round(self.box.x0 * scale))
        part = window(self.trained, start, self._rgb.shape[:2])
        maps = explain(method, part, self.device)
        if "corrected" in maps:
            after = maps["corrected"] > 0.5
            maps["changes"] = changes(after, part.labels["rough"], part.labels.get("clean"))
            maps["corrected"] = after
        return maps

    def _write(self, maps: dict[str, NDArray[Any]], refined: NDArray[np.int32]) -> str:
        folder = self.folder / "previews"
        folder.mkdir(exist_ok=True)
        self._count += 1
        path = folder / f"{self._count:06d}.npz"
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            arrays: dict[str, Any] = {k: _compact(v) for k, v in maps.items()}
            np.savez(file, refined=refined, **arrays)
        part.replace(path)
        (folder / f"{self._count - KEPT:06d}.npz").unlink(missing_ok=True)
        return f"previews/{path.name}"


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float16 if values.dtype == np.float32 else np.uint8)


def _middle(region: Region, limit: int) -> Box:
    """The box of at most `limit` px a side around the middle of what is annotated."""
    height, width = region.shape
    if len(region.points):
        y, x = np.median(region.points, axis=0)
    else:
        y, x = height / 2, width / 2
    h, w = min(limit, height), min(limit, width)
    top = int(np.clip(round(y - h / 2), 0, height - h))
    left = int(np.clip(round(x - w / 2), 0, width - w))
    return Box(top, left, top + h, left + w)
