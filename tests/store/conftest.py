"""Projects to test on, and a child process that is given a script."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store import Candidate, Outline, Project

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project in a folder whose name holds a space and a letter beyond ASCII."""
    with Project.create(tmp_path / "fäll 17.noisyseg") as made:
        yield made


@pytest.fixture
def tissue(project: Project, tnbc: Tissue) -> Project:
    """A project with one real image, `tissue`, 512 x 512 at 0.25 µm per pixel."""
    project.add_array(tnbc[0], "tissue", 0.25)
    return project


def outline(y: int, x: int, size: int = 10) -> Outline:
    """A square nucleus whose box begins at (y, x)."""
    return Outline(Box(y, x, y + size, x + size), np.ones((size, size), bool))


def candidate(y: int, x: int, size: int = 10, id: str = "", score: float = 0.5) -> Candidate:
    """A square find of a run."""
    half = size / 2
    return Candidate(id, 0, y + half, x + half, outline(y, x, size), score, "small", "", 0.0)


@pytest.fixture
def child() -> Callable[..., subprocess.Popen[str]]:
    """Starts a Python script (with arguments) as a process of its own; its output is piped."""

    def start(script: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            **options,
        )

    return start
