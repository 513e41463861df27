"""Checkpoints: a folder per step with tensors (safetensors) and one JSON, two generations kept.

A folder appears under its final name only when both files are whole and on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as in_bytes
from torch import Tensor

from napari_noisyseg import bounded_json, regular_file
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.durable import make_inside, sync
from napari_noisyseg.training.tree import MAX_DEPTH, flatten, unflatten

GENERATIONS = 2
VERSION = 1
_NESTING = 4 * MAX_DEPTH
"""A level of the state is two or three of JSON."""
_TENSORS, _STATE = "tensors.safetensors", "state.json"


@dataclass
class Position:
    """Where the loop stands; with the seed it fixes every random choice to come."""

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    revised: int = -1
    epochs: int = 0
    fraction: float = 0.0
    batch_size: int = 0
    seed: int = 0
    best: float | None = None
    seconds: float = 0.0


@dataclass
class Checkpoint:
    """Everything that resumes to the same losses.

    method: the method's state. weights: the best so far (empty: the present ones are). planes:
    revised label planes, (image index, name) to float16 (H, W). random: the state of torch's
    generators.
    """

    position: Position
    method: dict[str, Any]
    weights: dict[str, Tensor] = field(default_factory=dict)
    planes: dict[tuple[int, str], NDArray[np.float16]] = field(default_factory=dict)
    random: dict[str, Tensor] = field(default_factory=dict)


def random_state() -> dict[str, Tensor]:
    """The state of torch's own generators, by device."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random(state: dict[str, Tensor]) -> None:
    """Undo of `random_state`, for the devices that are here."""
    if "cpu" in state:
        torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write to `folder`/<step> and remove all but the newest two; returns the new folder."""
    final = folder / f"{checkpoint.position.step:08d}"
    if final.exists():
        return final
    part = folder / f".{final.name}.{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    # no parents: where the project was moved meanwhile, it must not come to life again here
    make_inside(folder)
    part.mkdir()
    document, tensors = flatten(_nested(checkpoint))
    (part / _TENSORS).write_bytes(in_bytes(tensors))
    header = {"version": VERSION, "position": asdict(checkpoint.position), "state": document}
    (part / _STATE).write_text(json.dumps(header), "utf-8")
    for path in (part / _TENSORS, part / _STATE, part):
        sync(path)
    part.replace(final)
    sync(folder)
    for old in generations(folder)[GENERATIONS:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def _nested(checkpoint: Checkpoint) -> dict[str, Any]:
    planes = [
        [image, name, torch.from_numpy(np.ascontiguousarray(values))]
        for (image, name), values in checkpoint.planes.items()
    ]
    return {
        "method": checkpoint.method,
        "weights": checkpoint.weights,
        "planes": planes,
        "random": checkpoint.random,
    }


def generations(folder: Path) -> list[Path]:
    """Checkpoints of a run, newest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.is_dir() and path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def load_newest(folder: Path) -> Checkpoint:
    """The newest checkpoint that can be read; the one before where a power cut damaged it.

    Raises NoisySegError when there is none.
    """
    for path in generations(folder):
        try:
            return load(path)
        except NoisySegError:
            continue
    raise NoisySegError(
        f"{folder}: no checkpoint to resume from: train again without --resume",
        window="this run left no checkpoint to continue from: train again",
    )


def _tensors(state: Any) -> dict[str, Tensor]:
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError("numbers where tensors belong")
    return dict(state)


def load(path: Path) -> Checkpoint:
    """Read one checkpoint's folder; raises NoisySegError when it is damaged."""
    try:
        header = bounded_json.read_record(path / _STATE, nesting=_NESTING)
        regular_file.check(path / _TENSORS)
        state = unflatten(header["state"], load_file(path / _TENSORS))
        planes = {(int(i), str(name)): t.numpy() for i, name, t in state["planes"]}
        position = TypeAdapter(Position).validate_python(header["position"])
        method = bounded_json.record(state["method"], str(path))
        weights, random = (_tensors(state[name]) for name in ("weights", "random"))
        return Checkpoint(position, method, weights, planes, random)
    except (OSError, SafetensorError, *bounded_json.WRONG) as error:
        raise NoisySegError(f"{path}: not a checkpoint that can be read ({error})") from error
