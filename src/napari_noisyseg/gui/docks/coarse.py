"""Step 2: coarse labels, made from the points."""

from __future__ import annotations

from typing import Any, ClassVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QSlider

from napari_noisyseg.coarse.project import derive_image
from napari_noisyseg.gui import layers, looks
from napari_noisyseg.gui.docks import StepDock, Summary
from napari_noisyseg.gui.keys import Binding
from napari_noisyseg.gui.legend import Legend
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.kit import Kit, kit_of
from napari_noisyseg.gui.tools.live import KINDS
from napari_noisyseg.store.records import Aspect
from napari_noisyseg.gui.widgets import More, button, column, label, line

WORDS = {
    "voronoi": ("Voronoi", "Cell borders are background, the marked spot is nucleus"),
    "cluster": ("Cluster", "Pixels grouped by colour and distance to the points"),
    "local": ("Local", "An outline grown around each point"),
}


class CoarseDock(StepDock):
    """Which coarse labels to see, how they look, and whether the saved ones are up to date."""

    step: ClassVar[str] = "coarse"
    title: ClassVar[str] = "Labels"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.kit: Kit = kit_of(session)
        self._build()
        session.keys.bind(
            self.step,
            Binding("1", "Voronoi", lambda: self._flip("voronoi")),
            Binding("2", "cluster", lambda: self._flip("cluster")),
            Binding("3", "local", lambda: self._flip("local")),
            Binding("H", "hide while held", self._hide, self._unhide),
        )
        for signal in (session.annotation_changed, session.labels_changed, session.image_changed):
            signal.connect(self.refresh, max_args=0)
        self._hidden: list[Any] = []
        self.refresh()

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        box = column(self)
        self.state = label(wrap=True)
        box.addWidget(self.state)
        self.shown: dict[str, QCheckBox] = {}
        self.opacity: dict[str, QSlider] = {}
        box.addLayout(self._kinds())
        self.look = QComboBox(toolTip="How nuclei are drawn")
        self.look.addItems(["Filled", "Contour"])
        self.look.activated.connect(lambda index: self._set_look(index == 1))
        box.addLayout(line(label("Draw"), self.look, 1))
        box.addWidget(Legend())
        self.refit = button("Refit", "Fit the cluster label to the points of now", self.kit.live.refit)
        self.refit_words = label("The cluster fit is older than a fifth of the points.", "warn", wrap=True)
        box.addLayout(line(self.refit_words, self.refit))
        self.derive = button(
            "Save labels", "Write the coarse labels of all images to the project", self.derive_all,
            role="primary",
        )  # fmt: skip
        box.addWidget(self.derive)
        box.addWidget(More(self._always()))
        box.addStretch(1)

    def _kinds(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        for row, kind in enumerate(KINDS):
            words, tip = WORDS[kind]
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

    def _always(self) -> Any:
        again = button("Refit now", "Fit the cluster label anew", self.kit.live.refit)
        return line(label("Cluster fit", "quiet"), 1, again)

    # --- what it shows -------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Whether the labels are those of the points of now."""
        if self.kit.live.busy or self._deriving:
            return Summary("working …", "busy")
        if not self.kit.points.nuclei:
            return Summary("come with the first points")
        if not self.kit.fields.fields:
            return Summary("need a field", "warn")
        if self.kit.live.stale:
            return Summary("cluster fit is old", "stale")
        return Summary("up to date", "done") if self._saved() else Summary("live, not saved", "stale")

    _deriving = False

    def _saved(self) -> bool:
        """Whether the project holds labels of the active image's annotation of now."""
        project, image = self.session.project, self.session.image
        if project is None or image is None:
            return False
        kinds = [kind for kind in self.kit.live.kinds if kind in project.labels.kinds(image)]
        if not kinds:
            return False
        last = project.nuclei.version(image, Aspect.POINTS | Aspect.FIELDS)
        sources = (project.labels.source(image, kind) for kind in kinds)
        return all(source.get("annotation_version", -1) >= last for source in sources)

    def refresh(self, event: Any = None) -> None:
        """Bring the controls up to date."""
        state = self.summary()
        self.state.setText(f"Labels: {state.text}")
        for kind, check in self.shown.items():
            check.setChecked(self.kit.live.is_shown(kind))
        has_points = bool(self.kit.points.nuclei and self.kit.fields.fields)
        self.derive.setEnabled(has_points and self.session.writable and not self._deriving)
        for part in (self.refit, self.refit_words):
            part.setVisible(self.kit.live.stale)
        self.changed.emit()

    # --- acts ----------------------------------------------------------------------------------

    def derive_all(self) -> None:
        """Write the labels of every image with points to the project."""
        project = self.session.project
        if project is None:
            return
        with self.session.guard():
            for record in project.images():
                derive_image(project, record.name, self.kit.live.kinds)
                for kind in self.kit.live.kinds:
                    self.session.labels_changed.emit(record.name, kind)

    def _want(self, kind: str, shown: bool) -> None:
        with self.session.guard():
            self.kit.live.want(kind, shown)
        self.refresh()

    def _flip(self, kind: str) -> None:
        self._want(kind, not self.kit.live.is_shown(kind))

    def _layers(self) -> list[Any]:
        image = self.session.image
        found = [layers.find(self.session.viewer, image, kind) for kind in KINDS] if image else []
        return [layer for layer in found if layer is not None]

    def _set_opacity(self, kind: str, value: int) -> None:
        image = self.session.image
        layer = layers.find(self.session.viewer, image, kind) if image else None
        if layer is not None:
            layer.opacity = value / 100

    def _set_look(self, contour: bool) -> None:
        for layer in self._layers():
            looks.draw(layer, contour)

    def _hide(self) -> None:
        self._hidden = [layer for layer in self._layers() if layer.visible]
        for layer in self._hidden:
            layer.visible = False

    def _unhide(self) -> None:
        for layer in self._hidden:
            layer.visible = True
        self._hidden = []
