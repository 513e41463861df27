"""“What is this label worth?” in the Labels dock: what rough masks carry, before any training."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_noisyseg.annotation.worth import Worth, worth
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.docks.coarse.matrixview import MatrixView
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.widgets.parts import button, label, line

NOTHING = "Paint or import rough masks: here you see how useful they are before you train."
OLD = "The masks or decisions have changed since."


class WorthView(QWidget):  # type: ignore[misc]
    """Looks at the rough masks when it is opened and when asked; off the GUI thread."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._jobs = session, jobs
        self._of: Any = None
        self._opened = False
        self.found: Worth | None = None
        self.busy = False
        self.state = label(role="quiet", wrap=True)
        self.lines = label(wrap=True)
        self.matrix = MatrixView()
        self.advice = label(wrap=True)
        self.heat = QCheckBox("Density of the masks")
        self.heat.setToolTip("Layer with the share of nucleus within 8 µm of each pixel")
        self.heat.clicked.connect(self._want_heat)
        self.again = button("Look again", "Compute this again for the current masks", self.look)
        self._build()
        self.refresh()

    def _build(self) -> None:
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        for part in (self.state, self.lines, self.matrix, self.advice):
            box.addWidget(part)
        box.addLayout(line(self.heat, 1, self.again))

    def open(self, opened: bool) -> None:
        """The section was opened (or closed): look, where that was not done yet."""
        self._opened = opened
        if opened and not self.busy and self._of != self._now():
            self.look()

    def look(self) -> None:
        """Work out what the rough masks of the active image are worth."""
        project, image = self._session.project, self._session.image
        if self.busy or project is None or image is None or not self._has_masks():
            self.refresh()
            return
        self.busy = True
        box, now = self._session.region(), self._now()
        self._jobs.do(partial(worth, project, image, box), partial(self._arrived, now), self._no)
        self.refresh()

    def _arrived(self, of: Any, found: Worth) -> None:
        self.busy = False
        if of[:2] == (self._now() or ())[:2]:
            self._of, self.found = of, found
            if self._layer() is not None:
                self._show_heat()
        self.refresh()

    def _no(self, error: BaseException) -> None:
        self.busy = False
        self.refresh()
        self._session.failed(error)

    # --- what it shows -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring everything up to date with the active image."""
        now = self._now()
        here = self.found if self._of and now and self._of[:2] == now[:2] else None
        self.state.setText(self._words(here))
        self.state.setVisible(bool(self.state.text()))
        self.lines.setText("\n".join(here.lines()) if here else "")
        self.advice.setText(here.advice if here else "")
        self.matrix.show_matrix(here.matrix if here else None)
        self.matrix.setVisible(here is not None and here.matrix is not None)
        for part in (self.lines, self.advice, self.heat):
            part.setVisible(here is not None)
        self.again.setVisible(here is not None)
        self.again.setEnabled(not self.busy and self._of != now)
        self.heat.setChecked(self._session.view.shows("density"))

    def _words(self, here: Worth | None) -> str:
        if self.busy:
            return "Looking at the masks …"
        if not self._has_masks():
            return NOTHING
        if here is None:
            return "Not looked at yet." if not self._opened else ""
        return OLD if self._of != self._now() else ""

    def _has_masks(self) -> bool:
        project, image = self._session.project, self._session.image
        return project is not None and image is not None and "rough" in project.nuclei.planes(image)

    def _now(self) -> tuple[Any, str, int] | None:
        """What was looked at, and as of which action."""
        project, image = self._session.project, self._session.image
        if project is None or image is None:
            return None
        return project, image, project.nuclei.version(image)

    # --- the heat map --------------------------------------------------------------------------

    def _layer(self) -> Any | None:
        image = self._session.image
        return layers.find(self._session.viewer, image, "density") if image else None

    def _want_heat(self, wanted: bool) -> None:
        self._session.toggle("density", wanted)
        if wanted:
            self._show_heat()

    def _show_heat(self) -> Any:
        assert self.found is not None
        record = self._session.require_project().image(self.found.image)
        return layers.show_map(
            self._session.viewer, record, "density", self.found.density, self.found.box
        )
