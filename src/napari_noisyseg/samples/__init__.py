"""The bundled samples: real tissue whose licences allow it (ATTRIBUTION.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import NoisySegError
from ..exchange.importing import import_points
from ..regular_file import advice
from ..slides import Box, read_labels
from ..store import Project
from ..store.durable import write_atomically

FOLDER = Path(__file__).resolve().parent
FIELD = FOLDER / "tnbc_08_1.png"
FIELD_POINTS = FOLDER / "tnbc_08_1.csv"
FIELD_NUCLEI = FOLDER / "tnbc_08_1_nuclei.tif"
SLIDE = FOLDER / "CMU-1-Small-Region.svs"
FIELD_MPP = 0.25


def demo_project(folder: Path) -> Path:
    """The demo's project in `folder`: the bundled field, marked as a whole by its points.

    Made when it is not there; what was done in it before is kept. NoisySegError where the folder
    cannot be made.
    """
    path = folder / "tnbc.noisyseg"
    if path.exists():
        return path
    _make_folder(folder)
    with Project.create(path) as project:
        record = project.add_image(FIELD, mpp=FIELD_MPP)
        project.nuclei.add_field(record.name, Box(0, 0, record.height, record.width))
        import_points(project, record.name, FIELD_POINTS)
    return path


def _make_folder(folder: Path) -> None:
    """Make a folder, with those above it. NoisySegError where something else is in the way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file has this name" if folder.is_file() else advice(error)
        raise NoisySegError(
            f"cannot make the folder {folder}: {reason}; name another one"
        ) from error


def true_nuclei() -> NDArray[np.int32]:
    """The nuclei of the bundled field as experts drew them, int32 (512, 512), 0 background."""
    return read_labels(FIELD_NUCLEI)


def copy_to(folder: Path) -> list[Path]:
    """Copy the samples into a folder, with where they come from; the files.

    Raises NoisySegError, with nothing copied, where a file of such a name is there.
    """
    files = [FIELD, FIELD_POINTS, FIELD_NUCLEI, SLIDE, FOLDER / "ATTRIBUTION.md"]
    targets = [folder / file.name for file in files]
    if there := [target for target in targets if target.exists()]:
        raise NoisySegError(f"{there[0]} is there already: name another folder")
    _make_folder(folder)
    for file, target in zip(files, targets, strict=True):
        write_atomically(target, file.read_bytes())
    return targets
