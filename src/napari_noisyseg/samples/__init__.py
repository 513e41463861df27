"""The bundled samples: real tissue whose licences allow it (ATTRIBUTION.md)."""

from __future__ import annotations

from pathlib import Path

from ..exchange.importing import import_points
from ..slides import Box
from ..store import Project

FOLDER = Path(__file__).resolve().parent
FIELD = FOLDER / "tnbc_08_1.png"
FIELD_POINTS = FOLDER / "tnbc_08_1.csv"
FIELD_NUCLEI = FOLDER / "tnbc_08_1_nuclei.tif"
SLIDE = FOLDER / "CMU-1-Small-Region.svs"
FIELD_MPP = 0.25


def demo_project(folder: Path) -> Path:
    """The demo's project in `folder`: the bundled field, marked as a whole by its points.

    Made when it is not there; what was done in it before is kept.
    """
    path = folder / "tnbc.noisyseg"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with Project.create(path) as project:
        record = project.add_image(FIELD, mpp=FIELD_MPP)
        project.nuclei.add_field(record.name, Box(0, 0, record.height, record.width))
        import_points(project, record.name, FIELD_POINTS)
    return path
