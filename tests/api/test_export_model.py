"""Models that leave: ONNX as torch computes it, packages that the zoo's own tools accept."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import napari_noisyseg as ns
from napari_noisyseg.coarse import starter

ZOO = Path(os.environ.get("NOISYSEG_BIO_PYTHON", "nowhere"))
"""A Python that has bioimageio.core, which cannot be installed beside napari."""
CHECK = """
import json, sys
from bioimageio.core import test_description
print(json.dumps([test_description(path, weight_format="onnx").status for path in sys.argv[1:]]))
"""


def _input(package: Path) -> np.ndarray:
    with zipfile.ZipFile(package) as file, file.open("test_input.npy") as array:
        return np.load(array, allow_pickle=False)


@pytest.mark.parametrize("network", ["centres", "outline"])
def test_the_starter_leaves_as_it_is_and_agrees_with_torch(tmp_path, network) -> None:
    found = ns.export_model("starter", tmp_path / "a.onnx", network=network)
    assert found.difference is not None
    assert found.difference < 1e-4
    assert found.path.read_bytes() == starter.model(network)


def test_what_a_project_learned_leaves(tmp_path) -> None:
    weights = {k: v * np.float32(1.01) for k, v in starter.model_weights("outline").items()}
    with ns.Project.create(tmp_path / "a.noisyseg") as project:
        project.learned.keep("outline", starter.packed(weights, {}), {"nuclei": 8})
        found = ns.export_model(project, tmp_path / "a.onnx", network="outline")
    assert found.difference is not None
    assert found.difference < 1e-4
    assert found.path.read_bytes() == starter.with_weights(starter.model("outline"), weights)
    assert found.path.read_bytes() != starter.model("outline")


def test_a_package_says_what_goes_in_and_comes_out(tmp_path) -> None:
    ns.export_model("starter", tmp_path / "a.zip", "bioimageio")
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        described = json.loads(file.read("rdf.yaml"))
        session = ort.InferenceSession(file.read("weights.onnx"))
        with file.open("test_output.npy") as array:
            expected = np.load(array, allow_pickle=False)
    logits = session.run(None, {"x": _input(tmp_path / "a.zip")})[0]
    assert np.allclose(1 / (1 + np.exp(-logits)), expected, atol=1e-5)
    channels = described["inputs"][0]["axes"][1]["channel_names"]
    assert len(channels) == _input(tmp_path / "a.zip").shape[1]
    ns.export_model("starter", tmp_path / "b.zip", "bioimageio")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_nothing_is_replaced_and_authors_are_named(tmp_path) -> None:
    (tmp_path / "a.onnx").write_text("mine")
    with pytest.raises(ns.NoisySegError, match="exists already"):
        ns.export_model("starter", tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").read_text() == "mine"
    with ns.Project.create(tmp_path / "a.noisyseg") as project:
        with pytest.raises(ns.NoisySegError, match="--author"):
            ns.export_model(project, tmp_path / "a.zip", "bioimageio")
        with pytest.raises(ns.NoisySegError, match="no folder"):
            ns.export_model(project, tmp_path / "no" / "a.onnx")
    with pytest.raises(ns.NoisySegError, match="there is no model"):
        ns.export_model(tmp_path / "nothing", tmp_path / "b.onnx")
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.slow
def test_the_zoo_validates_and_runs_the_packages(tmp_path) -> None:
    if not ZOO.is_file():
        pytest.skip("no Python with bioimageio.core: say which in NOISYSEG_BIO_PYTHON")
    packages = [tmp_path / "centres.zip", tmp_path / "outline.zip"]
    for path in packages:
        ns.export_model("starter", path, "bioimageio", network=path.stem)
    done = subprocess.run(
        [ZOO, "-c", CHECK, *packages],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.strip().splitlines()[-1]) == ["passed", "passed"]
