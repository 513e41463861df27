"""The command line as a person runs it, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from one_field import real_field

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
    return real_field(tmp_path, *tnbc)
