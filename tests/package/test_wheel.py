"""The wheel: what is in it, what the index would say of it, and that it works where it is alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import napari_noisyseg as ns

ROOT = Path(__file__).resolve().parents[2]
WANTED = (
    "py.typed", "napari.yaml", "methods.json", "models/outline.onnx",
    "models/centres.safetensors", "models/first.safetensors", "samples/tnbc_08_1.png",
    "samples/ATTRIBUTION.md",
)  # fmt: skip
USE = """
import sys
import numpy as np
import napari_noisyseg as ns
image = ns.samples.FIELD
labels = ns.outline(image, [(100, 100), (200, 210)], mpp=0.25)
assert labels.max() == 2
assert ns.predict(image, mpp=0.25).max() > 50
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: make install")
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(out)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return out


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


def test_the_wheel_has_all_that_it_needs_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"napari_noisyseg-{ns.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"napari_noisyseg/{name}" for name in WANTED} <= names
    roots = {name.split("/")[0] for name in names}
    assert roots == {"napari_noisyseg", f"napari_noisyseg-{ns.__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".log", ".pt"))]
    assert wheel.stat().st_size <= 15_000_000


def test_on_the_index_links_and_pictures_lead_to_the_repository(
    dist: Path, wheel: Path, tmp_path: Path
) -> None:
    place = "https://example.org/lab/noisyseg"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
        env={**os.environ, "NOISYSEG_REPOSITORY": place, "NOISYSEG_REF": "v1.2.3"},
    )  # fmt: skip
    (there,) = tmp_path.glob("*.whl")
    plain, led = (page_of(path) for path in (wheel, there))
    assert "](docs/tutorial.md)" in plain
    assert f"]({place}/blob/v1.2.3/docs/tutorial.md)" in led
    assert f"]({place}/raw/v1.2.3/docs/images/panel.jpg)" in led
    links = re.findall(r"\]\(([^)]+)\)", led)
    assert links
    assert all(link.startswith(("https:", "#")) for link in links)
    assert f"Project-URL: Source, {place}\n" in led
    assert "Project-URL: Homepage" in plain


def page_of(wheel: Path) -> str:
    """What the index shows of a wheel."""
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (n for n in packed.namelist() if n.endswith(".dist-info/METADATA"))
        return packed.read(name).decode("utf-8")


def test_the_index_would_take_both(dist: Path) -> None:
    if find_spec("twine") is None:
        pytest.skip("twine is not installed: make install")
    files = [str(path) for path in dist.iterdir() if path.suffix in (".whl", ".gz")]
    assert len(files) == 2
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)  # pip fetches up to a gigabyte
@pytest.mark.parametrize("extra", ["", "[train]", "[all]"])
def test_the_wheel_works_where_it_is_alone(wheel: Path, extra: str, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    folder = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pinned = ["-c", str(ROOT / "constraints.txt")]
    _run(folder / "python", "-m", "pip", "install", "-q", *pinned, f"{wheel}{extra}", at=tmp_path)
    _run(folder / "python", "-c", USE, at=tmp_path)
    _run(folder / "noisyseg", "samples", "tissue", at=tmp_path)
    picture = "tissue/tnbc_08_1.png"
    _run(folder / "noisyseg", "create", "a", "--images", picture, "--points",
         "tissue/tnbc_08_1.csv", "--mpp", "0.25", at=tmp_path)  # fmt: skip
    _run(folder / "noisyseg", "export", "a", "a.geojson", "--layer", "outline", at=tmp_path)
    if extra:
        _run(folder / "noisyseg", "train", "a", "--method", "scnet", "--epochs", "1", "--set",
             "preset=small", "--set", "width=16", at=tmp_path)  # fmt: skip
    if extra == "[all]":
        _run(folder / "npe2", "validate", "napari-noisyseg", at=tmp_path)
    assert (tmp_path / "a.geojson").stat().st_size > 1000


def _run(*words: object, at: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(list(map(str, words)), cwd=at, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
