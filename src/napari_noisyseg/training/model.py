"""The saved model: weights as safetensors; config, classes, mpp and provenance in its header."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from napari_noisyseg import bounded_json, regular_file
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.durable import sync
from napari_noisyseg.training.tree import copied

FORMAT = "napari-noisyseg-model-1"
NAME = "model.safetensors"


@dataclass(frozen=True)
class ModelFile:
    """What a model's header says. mpp: the working resolution. provenance: where it came from."""

    method: str
    config: dict[str, Any]
    mpp: float
    classes: tuple[str, ...] = ("background", "nucleus")
    provenance: dict[str, Any] = field(default_factory=dict)


def write_model(path: Path, file: ModelFile, weights: dict[str, Tensor]) -> None:
    """Write atomically."""
    header = {
        "format": FORMAT,
        "method": file.method,
        "config": json.dumps(file.config),
        "mpp": repr(file.mpp),
        "classes": json.dumps(list(file.classes)),
        "provenance": json.dumps(file.provenance),
    }
    part = path.with_name(f".{path.name}.part")
    # not save_file: its files can be read by their owner alone
    part.write_bytes(save(copied(weights), header))
    sync(part)
    part.replace(path)
    sync(path.parent)


def read_model(path: Path) -> tuple[ModelFile, dict[str, Tensor]]:
    """Header and weights of a run's folder or of a file."""
    path = path / NAME if path.is_dir() else path
    if not path.exists():
        raise NoisySegError(f"{path}: there is no model; has the run finished?")
    regular_file.check(path)
    try:
        with safe_open(path, framework="pt") as opened:
            header = opened.metadata() or {}
        if header.get("format") != FORMAT:
            raise NoisySegError(f"{path}: not a model of napari-noisyseg")
        file = ModelFile(
            method=header["method"],
            config=_object(header, "config", path),
            mpp=_resolution(header["mpp"]),
            classes=tuple(map(str, bounded_json.parse(header["classes"], str(path)))),
            provenance=_object(header, "provenance", path),
        )
        weights = load_file(path)
    except (OSError, SafetensorError, *bounded_json.WRONG) as error:
        raise NoisySegError(f"{path}: not a model that can be read ({error})") from error
    _check_finite(weights, path)
    return file, weights


def _object(header: Mapping[str, str], key: str, path: Path) -> dict[str, Any]:
    what = f"{path}, {key}"
    return bounded_json.record(bounded_json.parse(header[key], what), what)


def _resolution(text: str) -> float:
    mpp = float(text)
    if not 0 < mpp < math.inf:
        raise ValueError(f"{text} µm per pixel")
    return mpp


def _check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """NoisySegError for weights with which every pixel would come out as no number."""
    for name, values in weights.items():
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise NoisySegError(
                f"{path}: its weights {name!r} have values that are no number (NaN or infinite), "
                "so its training failed: use another run"
            )
