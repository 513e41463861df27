from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.training.checkpoint import (
    Checkpoint,
    Position,
    generations,
    load,
    load_newest,
    save,
)
from napari_noisyseg.training.tree import flatten, unflatten


def state(step: int = 4) -> Checkpoint:
    return Checkpoint(
        Position(step=step, epoch=2, fraction=1 / 3, best=0.1 + 0.2, seed=9),
        {
            "net": {"a.weight": torch.randn(3, 2), "count": torch.tensor(7)},
            "optimizer": {
                "state": {0: {"step": torch.tensor(4.0)}, 1: {}},
                "groups": [{"betas": (0.9, 0.999), "lr": 1e-3, "params": [0, 1], "foreach": None}],
            },
        },
        {"a.weight": torch.randn(3, 2)},
        {(0, "pseudo"): np.random.default_rng(0).random((4, 5)).astype(np.float16)},
        {"cpu": torch.get_rng_state()},
    )


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = state()
    path = save(tmp_path, saved)
    found = load(path)
    assert found.position == saved.position
    assert same(found.method, saved.method)
    assert same(found.weights, saved.weights)
    assert same(found.random, saved.random)
    ((key, plane),) = found.planes.items()
    assert key == (0, "pseudo")
    assert np.array_equal(plane, saved.planes[key])
    assert sorted(p.name for p in path.iterdir()) == ["state.json", "tensors.safetensors"]
    assert len({p.stat().st_mode for p in path.iterdir()}) == 1  # who reads one reads the other


def test_two_generations_are_kept_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    for step in (9, 10, 11):
        save(tmp_path, state(step))
    newest, before = generations(tmp_path)
    assert (newest.name, before.name) == ("00000011", "00000010")
    tensors = newest / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-8])
    assert load_newest(tmp_path).position.step == 10
    (before / "state.json").write_text("{", "utf-8")
    with pytest.raises(NoisySegError, match="no checkpoint"):
        load_newest(tmp_path)


def test_a_folder_without_checkpoints_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match="without --resume"):
        load_newest(tmp_path / "nothing")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("/tmp/noisyseg-evil").touch, ())


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = save(tmp_path, state())
    (path / "tensors.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(NoisySegError, match="not a checkpoint"):
        load(path)
    assert not Path("/tmp/noisyseg-evil").exists()


@pytest.mark.parametrize(
    "document", [None, [], {"value": [1]}, {"code": "x"}, {"dict": 3}, {"value": 1, "list": []}]
)
def test_foreign_documents_are_refused(document: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        unflatten(document, {})


def test_deep_documents_are_refused() -> None:
    document: Any = {"value": 1}
    for _ in range(100):
        document = {"list": [document]}
    with pytest.raises(ValueError, match="not a state"):
        unflatten(document, {})


def test_a_state_may_hold_no_objects() -> None:
    with pytest.raises(TypeError, match="set"):
        flatten({"a": {1, 2}})


def test_nan_and_infinity_survive(tmp_path: Path) -> None:
    saved = state()
    saved.method = {"x": float("inf"), "y": float("nan")}
    found = load(save(tmp_path, saved)).method
    assert found["x"] == float("inf")
    assert np.isnan(found["y"])
