"""Step 2: coarse labels, made from the points."""

from __future__ import annotations

from typing import Any, ClassVar

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QSlider

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.change import ANNOTATION, FRONT, Change, What
from napari_noisyseg.gui.docks import StepDock
from napari_noisyseg.gui.docks.coarse.clustersizes import ClusterSizes
from napari_noisyseg.gui.docks.coarse.superpixelview import SuperpixelView
from napari_noisyseg.gui.docks.coarse.worthview import WorthView
from napari_noisyseg.gui.docks.toggles import COARSE as COARSE_COLOURS
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.keys import Binding
from napari_noisyseg.gui.kinds import COARSE, KINDS
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.gui.tools.deriving import Deriver
from napari_noisyseg.gui.tools.kit import Kit, kit_of
from napari_noisyseg.gui.widgets.legend import Legend
from napari_noisyseg.gui.widgets.parts import More, button, column, label, line

CLEAR = "Pixels without colour are unknown: training never takes them for background"
WHY = {
    "come with the first points": "Click nuclei in step 1; each click shows its labels at once.",
    "need a field": "Labels are saved only inside fields: draw one in step 1.",
    "come with a field": "Masks and accepted nuclei are trained on without them. To have labels "
    "made from points too, draw a field in step 1.",
    "up to date": "They follow every click automatically.",
    "working …": "Making labels …",
    "could not be made": "The message below says why. The next click tries again.",
}
WORKING, UP_TO_DATE = Summary("working …", "busy"), Summary("up to date", "done")
SETTLE_MS = 1500
"""quiet after the last click before the project's labels are written again"""


class CoarseDock(StepDock):
    """Which coarse labels to see, how they look, and whether the saved ones are up to date."""

    step: ClassVar[str] = "coarse"
    title: ClassVar[str] = "Labels"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.kit: Kit = kit_of(session)
        self.deriver = Deriver(session)
        self.jobs = Jobs(self)
        self._said = UP_TO_DATE
        self._build()
        session.keys.bind(
            self.step,
            Binding("1", "Voronoi", lambda: self._flip("voronoi")),
            Binding("2", "cluster", lambda: self._flip("cluster")),
            Binding("3", KINDS["local"].toggle, lambda: self._flip("local")),
            Binding("4", KINDS["outline"].toggle, lambda: self._flip("outline")),
            Binding(
                "H", "hide while held",
                lambda: session.look(bare=True), lambda: session.look(bare=False),
            ),
        )  # fmt: skip
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._derive)
        self._deaf = session.on(ANNOTATION | FRONT | What.LABELS | What.VIEW, self._follow)
        self._settle.start()
        self.refresh()

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        box = column(self)
        self.state = label(role="quiet", wrap=True)
        self.state.setMinimumHeight(32)
        box.addWidget(self.state)
        self.shown: dict[str, QCheckBox] = {}
        self.opacity: dict[str, QSlider] = {}
        box.addLayout(self._kinds())
        self.look = QComboBox(toolTip="How nuclei are drawn")
        self.look.addItems(["Filled", "Contour"])
        self.look.setCurrentIndex(int(self.kit.live.contour))
        self.look.activated.connect(lambda index: self.kit.live.draw(contour=index == 1))
        box.addLayout(line(label("Draw"), self.look, 1))
        box.addWidget(Legend(COARSE_COLOURS, CLEAR))
        self.sizes = ClusterSizes(self.kit.live)
        box.addWidget(self.sizes)
        self.refit = button(
            "Refit", "Compute the clusters again from the current points", self.kit.live.refit
        )
        box.addLayout(line(self.refit, 1))
        self.superpixels = SuperpixelView(self.session, self.jobs)
        box.addWidget(self.superpixels)
        self.worth = WorthView(self.session, self.jobs)
        self.section = More(self.worth, title="What is this label worth?")
        self.section.toggle.toggled.connect(self.worth.open)
        box.addWidget(self.section)
        box.addStretch(1)

    def _kinds(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        for row, kind in enumerate(COARSE):
            words, tip = (KINDS[kind].toggle or kind).capitalize(), KINDS[kind].tip
            check = QCheckBox(words)
            check.setToolTip(tip)
            check.clicked.connect(lambda on, kind=kind: self._want(kind, on))
            slider = QSlider(Qt.Orientation.Horizontal, minimum=5, maximum=100, value=45)
            slider.setToolTip(f"Opacity of {words}")
            slider.valueChanged.connect(lambda value, kind=kind: self._set_opacity(kind, value))
            grid.addWidget(check, row, 0)
            grid.addWidget(slider, row, 1)
            self.shown[kind], self.opacity[kind] = check, slider
        grid.setColumnStretch(1, 1)
        return grid

    # --- what it shows -------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Whether the labels are those of the points of now."""
        if not self.kit.points.nuclei:
            return Summary("come with the first points")
        if not self.kit.fields.fields:
            # masks need no field, and one that promises too much would harm them
            clicked = self.kit.points.undecided()
            return Summary("need a field", "warn") if clicked else Summary("come with a field")
        image = self.session.image
        if self.kit.live.busy or self.deriver.left or self._settle.isActive():
            # after each decision of a review they are made again, which is nobody's concern there
            return self._said if self.session.view.step == "review" else WORKING
        done = image is not None and (not self.session.writable or self.deriver.up_to_date(image))
        self._said = UP_TO_DATE if done else Summary("could not be made", "warn")
        return self._said

    def refresh(self, event: Any = None) -> None:
        """Bring the controls up to date."""
        state = self.summary()
        self.state.setText(WHY.get(state.text, ""))
        for kind, check in self.shown.items():
            check.setChecked(self.kit.live.is_shown(kind))
            self._show_opacity(kind)
        self.sizes.refresh()
        self.worth.refresh()
        self.superpixels.refresh()
        self.refit.setEnabled(self.kit.live.labels is not None and not self.kit.live.busy)
        self.changed.emit()

    def closing(self) -> None:
        """The window is going."""
        self._deaf()
        self._settle.stop()
        self.jobs.close()

    def _show_opacity(self, kind: str) -> None:
        image, slider = self.session.image, self.opacity[kind]
        layer = layers.find(self.session.viewer, image, kind) if image else None
        slider.setEnabled(layer is not None)
        if layer is not None and not slider.isSliderDown():
            slider.blockSignals(True)
            slider.setValue(round(layer.opacity * 100))
            slider.blockSignals(False)

    # --- acts ----------------------------------------------------------------------------------

    def _follow(self, change: Change) -> None:
        image = self.session.image
        refitted = change.what & What.LABELS and image is not None and not self.deriver.left
        if change.what & (ANNOTATION | What.PROJECT) or (
            refitted and not self._settle.isActive() and not self.deriver.up_to_date(str(image))
        ):
            self._settle.start()
        self.refresh()

    def _derive(self) -> None:
        """The project's labels follow what was clicked, by themselves."""
        with self.session.guard():
            self.deriver.run()
        self.refresh()

    def _want(self, kind: str, shown: bool) -> None:
        with self.session.guard():
            self.kit.live.want(kind, shown)
        self.refresh()

    def _flip(self, kind: str) -> None:
        self._want(kind, not self.kit.live.is_shown(kind))

    def _set_opacity(self, kind: str, value: int) -> None:
        image = self.session.image
        layer = layers.find(self.session.viewer, image, kind) if image else None
        if layer is not None:
            layer.opacity = value / 100
