"""The command line as a person runs it, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_noisyseg.cli import run


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def noisyseg(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def call(*words: object) -> Done:
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return call


@pytest.fixture
def field(tmp_path: Path, tnbc: tuple[np.ndarray, np.ndarray]) -> Path:
    """A folder with one real field, `field.png` (256x256), and its points, `field.csv`."""
    rgb, labels = tnbc
    folder = tmp_path / "a folder with ünïcode"
    folder.mkdir()
    Image.fromarray(rgb[:256, :256]).save(folder / "field.png")
    points = inner_points(labels[:256, :256])
    (folder / "field.csv").write_text("x,y\n" + "".join(f"{x:g},{y:g}\n" for y, x in points))
    return folder


def inner_points(labels: np.ndarray) -> list[tuple[float, float]]:
    from napari_noisyseg.benchmarks.tissue import inner_points as find

    return [tuple(point) for point in find(labels)]
