"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import thread_time

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("NOISYSEG_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture
def pace() -> float:
    """Processor seconds of a fixed piece of work, here and now: some 5 ms on a laptop.

    How long something may take is told in it, so that a slow machine is no failure.
    """

    def once() -> float:
        began = thread_time()
        for n in range(100_000):
            str(n)
        return thread_time() - began

    return median(once() for _ in range(5))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real tissue; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no data at {DATA}: set NOISYSEG_DATA to the folder of real tissue")
    return DATA


@pytest.fixture(scope="session")
def tnbc() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bundled field of real tissue, RGB (512, 512, 3), and its nuclei, int32 (512, 512)."""
    samples = REPOSITORY / "src" / "napari_noisyseg" / "samples"
    rgb = np.asarray(Image.open(samples / "tnbc_08_1.png").convert("RGB"))
    labels = tifffile.imread(samples / "tnbc_08_1_nuclei.tif").astype(np.int32)
    return rgb, labels


@pytest.fixture
def many(tmp_path: Path, tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> Iterator[Project]:
    """150 square finds of one run in real tissue, the least sure first."""
    side = 8
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_array(tnbc[0], "i", 0.5)
        finds = []
        for n in range(150):
            y, x = 10 * (n // 20), 10 * (n % 20)
            outline = Outline(Box(y, x, y + side, x + side), tnbc[1][:side, :side] >= 0)
            finds.append(Candidate("", 0, y, x, outline, (n + 1) / 200, "", "", 16.0))
        made.nuclei.adopt("i", "r", finds)
        yield made
