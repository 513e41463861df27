"""Boxes of what is shown: what an earlier run left says so."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_noisyseg.gui.change import What
from napari_noisyseg.gui.docks.toggles import ROOM, ShownKinds
from napari_noisyseg.gui.session import Session
from napari_noisyseg.store.columns import Columns


def adopt(session: Session, run: str, method: str, *kinds: str) -> None:
    """Results of a run as the window takes them in: its nuclei, and maps of these kinds."""
    project, record = session.require_project(), session.require_image()
    image = record.name
    empty = np.zeros((record.height, record.width), np.uint8)
    source = {"run": run, "method": method}
    for kind in kinds:
        values = empty.astype(np.float32) if kind.startswith("weights") else empty
        project.labels.write(image, kind, values, source)
    project.nuclei.adopt_columns(image, run, Columns.together([]))
    session.tell(What.CANDIDATES, image)  # the window may look before the outlines are laid
    project.labels.write(image, "refined", empty, source)
    session.tell(What.CANDIDATES, image)


def test_what_an_earlier_run_left_says_so(bare: Session, qtbot: Any) -> None:
    made = ShownKinds(bare)
    qtbot.addWidget(made)
    made.show()
    adopt(bare, "1", "superpixel", "corrected", "changes")
    assert made.boxes["corrected"].text() == "corrected"
    adopt(bare, "2", "mlbseg", "weights", "weights_pseudo")
    assert made.boxes["corrected"].text() == "corrected (old)"
    assert "earlier run (superpixel)" in made.boxes["changes"].toolTip()
    assert made.boxes["weights"].text() == "weights"
    assert made.boxes["weights_pseudo"].isVisible()
    assert made.sizeHint().width() <= ROOM
    adopt(bare, "3", "mmc", "corrected", "changes", "weights")
    assert made.boxes["corrected"].text() == "corrected"
    assert "earlier" not in made.boxes["corrected"].toolTip()
    assert made.boxes["weights_pseudo"].text() == "weights (pseudo) (old)"
    made.closing()
