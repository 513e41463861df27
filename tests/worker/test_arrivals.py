"""What a worker sends home is taken only as a run would have left it."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.worker.cluster import far
from napari_noisyseg.worker.cluster.arrivals import Arrivals
from napari_noisyseg.worker.cluster.connect import LostError


def sender(files: dict[str, bytes]):
    return lambda name, at: files[name][at : at + 100]


@pytest.mark.parametrize(
    "name",
    ["../out.txt", "/etc/passwd", "results/../../a.npz", "spec.json", "snapshot/0.npz", "STOP",
     "results/a.npz", "checkpoints/00000001/x.pkl", "model.safetensors/..", "results/0.npz\n"],
)  # fmt: skip
def test_no_other_file_comes_in(tmp_path: Path, name: str) -> None:
    run = tmp_path / "project" / "run"
    run.mkdir(parents=True)
    with pytest.raises(NoisySegError, match="not taken"):
        Arrivals(run).fetch({name: 1}, sender({name: b"x"}))
    assert list(tmp_path.rglob("*")) == [tmp_path / "project", run]


@pytest.mark.parametrize("size", [-1, 2**20 + 1])
def test_no_file_is_larger_than_it_can_be(tmp_path: Path, size: int) -> None:
    with pytest.raises(NoisySegError, match="not taken"):
        Arrivals(tmp_path).fetch({"settings.json": size}, sender({"settings.json": b"{}"}))


@pytest.mark.parametrize("announced", [99, 250])
def test_a_file_of_another_length_is_not_taken(tmp_path: Path, announced: int) -> None:
    arrivals = Arrivals(tmp_path)
    with pytest.raises(NoisySegError, match="whole"):
        arrivals.fetch({"log.txt": announced}, sender({"log.txt": b"x" * 150}))
    arrivals.drop()
    assert list(tmp_path.iterdir()) == []


def test_damaged_results_do_not_take_their_place(tmp_path: Path) -> None:
    packed = io.BytesIO()
    np.savez(packed, labels=np.ones((4, 4), np.int32))
    entry = {"image": "a", "box": [0, 0, 4, 4], "candidates": []}
    good = {
        "model.safetensors": b"m",
        "results/0.npz": packed.getvalue(),
        "results/index.json": json.dumps({"regions": [{**entry, "file": "0.npz"}]}).encode(),
    }
    bad = {**good, "results/index.json": b'{"regions": [{"file": "../../0.npz", "box": [0]}]}'}
    arrivals = Arrivals(tmp_path)
    arrivals.fetch({name: len(data) for name, data in bad.items()}, sender(bad))
    with pytest.raises(NoisySegError, match="cannot be read"):
        arrivals.settle_results()
    assert not (tmp_path / "results").exists()
    arrivals.fetch({name: len(data) for name, data in good.items()}, sender(good))
    arrivals.settle_results()
    assert (tmp_path / "results" / "0.npz").read_bytes() == good["results/0.npz"]


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "", "a\\b", ".."])
def test_a_worker_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    worker = SimpleNamespace(local_directory=str(tmp_path))
    with pytest.raises(NoisySegError, match="leaves"):
        far.put("0123456789abcdef/run", name, 0, b"x", worker)
    with pytest.raises(NoisySegError, match="names no run"):
        far.put("../../run", "a", 0, b"x", worker)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_at_home_is_no_lost_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("napari_noisyseg.worker.cluster.arrivals.writing", full)
    with pytest.raises(JobError, match="No space left"):
        Arrivals(tmp_path).fetch({"log.txt": 1}, sender({"log.txt": b"x"}))


def test_a_lost_connection_is_no_full_disk(tmp_path: Path) -> None:
    def cut(name: str, at: int) -> bytes:
        raise LostError("gone")

    with pytest.raises(LostError):
        Arrivals(tmp_path).fetch({"log.txt": 1}, cut)
