"""Maps of the adopted run, each on or off: read from the project the first time it is wanted."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QGridLayout, QWidget

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.controllers.adoption import LABELS, read_results
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session

KINDS = {
    "refined": "outlines", "corrected": "corrected", "changes": "changes",
    "probability": "probability", "uncertainty": "uncertainty", "weights": "weights",
}  # fmt: skip
TIPS = {
    "refined": "Nuclei from the network's prediction",
    "corrected": "The rough mask as the method has corrected it",
    "changes": "What was kept of the rough mask, added to it and removed from it",
    "weights": "Where training trusts the rough mask (dark: it does not)",
}


class MapToggles(QWidget):  # type: ignore[misc]
    """One box a map; a box follows its layer, whoever shows or hides that."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._jobs = session, jobs
        self.boxes = {kind: QCheckBox(words) for kind, words in KINDS.items()}
        self._lay_out()
        for kind, box in self.boxes.items():
            box.setToolTip(TIPS.get(kind, f"Show or hide the {KINDS[kind]}"))
            box.clicked.connect(lambda wanted, kind=kind: self._clicked(kind, wanted))
        # layers come, go, and are hidden by hand; asking a few times a second costs nothing
        self._timer = QTimer(self, interval=400)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()
        self.refresh()

    def _lay_out(self) -> None:
        """Three in a row: the narrowest panel holds them."""
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        for i, box in enumerate(self.boxes.values()):
            grid.addWidget(box, i // 3, i % 3)

    def closing(self) -> None:
        """The window is going."""
        self._timer.stop()

    def refresh(self) -> None:
        """Show what is shown."""
        if not self.isVisible():
            return
        image = self._session.image
        for kind, box in self.boxes.items():
            layer = layers.find(self._session.viewer, image, kind) if image else None
            box.setChecked(bool(layer is not None and layer.visible))
            there = layer is not None or self._stored(kind)
            box.setEnabled(there)
            box.setVisible(there or kind not in TIPS or kind == "refined")

    def _stored(self, kind: str) -> bool:
        project, image = self._session.project, self._session.image
        return project is not None and image is not None and kind in self._kinds(project, image)

    def _kinds(self, project: Any, image: str) -> list[str]:
        key = (id(project), image, project.nuclei.adopted_run(image))
        if key != self._key:
            self._key, self._known = key, project.labels.kinds(image)
        return self._known

    _key: Any = None
    _known: list[str]

    def _clicked(self, kind: str, wanted: bool) -> None:
        project, image = self._session.project, self._session.image
        if project is None or image is None:
            return
        layer = layers.find(self._session.viewer, image, kind)
        if layer is not None:
            layer.visible = wanted
        elif wanted:
            work = partial(read_results, project, image, (kind,))
            self._jobs.do(work, partial(self._show, image, kind), self._failed)

    def _show(self, image: str, kind: str, data: Any) -> None:
        project = self._session.project
        if project is None or kind not in data:
            return
        record, viewer = project.image(image), self._session.viewer
        make = layers.show_labels if kind in LABELS else layers.show_map
        make(viewer, record, kind, data[kind]).visible = True

    def _failed(self, error: BaseException) -> None:
        with self._session.guard():
            raise error
