"""Results of runs as the project stores them, read for the canvas; out of the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_noisyseg.gui.canvas.drawing import Drawn, of_results
from napari_noisyseg.gui.kinds import OF_RUN, is_labels
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project

LARGEST = 32_000_000
"""pixels above which a label image is shown lazily, level by level"""


def read_results(project: Project, image: str, kinds: Sequence[str] = OF_RUN) -> dict[str, Any]:
    """An image's adopted results by kind, as layers take them: arrays, or levels where large."""
    stored, record = project.labels.kinds(image), project.image(image)
    lazily = record.height * record.width > LARGEST
    found = {}
    for kind in (kind for kind in kinds if kind in stored):
        levels = project.labels.levels(image, kind) if lazily else []
        found[kind] = _whole(project, image, kind) if len(levels) < 2 else levels
    return found


def traced(project: Project, image: str, found: dict[str, Any]) -> Drawn | None:
    """The outlines of what was read, traced out of the way; None where there are none."""
    refined = found.get("refined")
    return of_results(project, image, refined) if isinstance(refined, np.ndarray) else None


def _whole(project: Project, image: str, kind: str) -> Any:
    data = project.labels.read(image, kind)
    if kind == "refined" and data is not None:
        return project.nuclei.settled(image, Box(0, 0, *data.shape), data)
    if is_labels(kind):
        return data
    return np.asarray(data, dtype=np.float32)
