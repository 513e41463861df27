"""Superpixels of the image in front, on or off, at a size: what relabelling decides as one."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QVBoxLayout, QWidget

from napari_noisyseg.coarse.project import SUPERPIXEL, derive_superpixels
from napari_noisyseg.coarse.superpixels import SIZE_UM
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.widgets.parts import label, line
from napari_noisyseg.store.project import Project


class SuperpixelView(QWidget):  # type: ignore[misc]
    """A box and a size in µm; superpixels are cut once for a size, in the background, and kept."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._jobs = session, jobs
        self.check = QCheckBox("Superpixels")
        self.check.setToolTip(
            "Patches of similar colour, relabelled as a whole by superpixel learning"
        )
        self.check.clicked.connect(self._clicked)
        self.size = QDoubleSpinBox(minimum=1.0, maximum=20.0, singleStep=0.2, decimals=1)
        self.size.setValue(SIZE_UM)
        self.size.setSuffix(" µm")
        self.size.setToolTip("Side of a superpixel")
        self.size.setKeyboardTracking(False)
        self.size.valueChanged.connect(lambda _: self._resized())
        self.words = label("", "quiet")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(line(self.check, self.size, self.words, 1, spacing=10))

    def refresh(self) -> None:
        """Follow the layer, whoever shows or hides it."""
        self.check.setChecked(self._session.view.shows(SUPERPIXEL))
        self.setEnabled(self._session.project is not None)

    def _layer(self) -> Any:
        image = self._session.image
        return layers.find(self._session.viewer, image, SUPERPIXEL) if image else None

    def _clicked(self, wanted: bool) -> None:
        self._session.toggle(SUPERPIXEL, wanted)
        if wanted and self._layer() is None:
            self._cut()

    def _resized(self) -> None:
        if self._layer() is not None:
            self._cut()

    def _cut(self) -> None:
        project, image = self._session.project, self._session.image
        if project is None or image is None:
            return
        self.words.setText("cutting …")
        work = partial(_superpixels, project, image, self.size.value())
        self._jobs.do(work, partial(self._show, project, image), self._failed)

    def _show(self, project: Project, image: str, data: Any) -> None:
        self.words.setText("")
        if project is not self._session.project or data is None:
            return
        record, viewer = project.image(image), self._session.viewer
        layers.show_labels(viewer, record, SUPERPIXEL, data)
        self.refresh()

    def _failed(self, error: BaseException) -> None:
        self.words.setText("")
        self.refresh()
        with self._session.guard():
            raise error


def _superpixels(project: Project, image: str, size_um: float) -> Any:
    """The kept superpixels of that size, cut first where there are none."""
    kept = project.labels.source(image, SUPERPIXEL).get("superpixel_um")
    if kept != size_um and project.writable:
        derive_superpixels(project, image, size_um)
    return project.labels.read(image, SUPERPIXEL)
