"""What the walks through the tutorial share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt

from napari_noisyseg import noise
from napari_noisyseg.exchange.outlines import trace

SECONDS = 40.0


def qupath_file(path: Path, labels: NDArray[np.int32]) -> Path:
    """The masks as QuPath exports detections."""
    features = []
    for label in noise.ids_of(labels):
        ((ring, *_), *_) = trace(labels == label)
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [np.asarray(ring).tolist()]},
                "properties": {"objectType": "detection"},
            }
        )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return path


def train(panel: Any, qtbot: Any, method: str | None) -> None:
    """Press Train with this method (None: the one that is recommended) and wait for its results."""
    panel.open_step("train")
    dock, session = panel.docks["train"], panel.session
    options = dock.options
    if method is not None:
        options.method.setCurrentIndex(options.method.findData(method))
        options.method.activated.emit(options.method.currentIndex())
    options.length.addItem("a moment", SECONDS)
    options.length.setCurrentIndex(options.length.count() - 1)
    project = session.project
    adopted = project.nuclei.adopted_run(session.image) if project is not None else None
    qtbot.mouseClick(dock.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(dock.follower.living), timeout=60_000)
    qtbot.waitUntil(lambda: not dock.follower.living, timeout=180_000)
    qtbot.waitUntil(
        lambda: session.project.nuclei.adopted_run(session.image) != adopted, timeout=60_000
    )
