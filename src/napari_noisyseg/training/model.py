"""The saved model: weights as safetensors; config, classes, mpp and provenance in its header."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

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
    save_file(copied(weights), part, header)
    sync(part)
    part.replace(path)
    sync(path.parent)


def read_model(path: Path) -> tuple[ModelFile, dict[str, Tensor]]:
    """Header and weights of a run's folder or of a file."""
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise NoisySegError(f"{path}: no model there; has the run finished?")
    try:
        with safe_open(path, framework="pt") as opened:
            header = opened.metadata() or {}
        if header.get("format") != FORMAT:
            raise NoisySegError(f"{path}: not a model of napari-noisyseg")
        file = ModelFile(
            method=header["method"],
            config=json.loads(header["config"]),
            mpp=float(header["mpp"]),
            classes=tuple(json.loads(header["classes"])),
            provenance=json.loads(header["provenance"]),
        )
        return file, load_file(path)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise NoisySegError(f"{path}: not a model that can be read ({error})") from error
