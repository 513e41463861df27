"""Step 1: fields, points and rough masks."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from napari.layers import Labels, Points
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QSlider,
)

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.change import ANNOTATION, FRONT, What
from napari_noisyseg.gui.docks import StepDock
from napari_noisyseg.gui.docks.annotate.classrow import ClassRow
from napari_noisyseg.gui.docks.annotate.fieldlist import FieldList
from napari_noisyseg.gui.docks.annotate.suggestrow import SuggestRow
from napari_noisyseg.gui.docks.toggles import ShownKinds
from napari_noisyseg.gui.keys import Binding, shown
from napari_noisyseg.gui.kinds import MARKS
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.summary import Mark, Summary
from napari_noisyseg.gui.tools.kit import Kit, kit_of
from napari_noisyseg.gui.tools.suggesting import SuggestTool
from napari_noisyseg.gui.widgets.parts import More, button, column, label, line, offer, tool
from napari_noisyseg.store.project import Project

HINTS = {
    "points": "Click each nucleus once. Drag moves a point, right click removes it.",
    "field": "Drag a rectangle on the image. You promise to mark every nucleus in it.",
    "paint": "Paint over a nucleus. A new stroke on bare tissue starts a new nucleus.",
    "erase": "Erase what is not nucleus.",
    "look": "Pan and zoom; nothing is changed.",
}


class AnnotateDock(StepDock):
    """Draw fields, click nuclei, paint rough masks; everything is saved as it is done."""

    step: ClassVar[str] = "annotate"
    title: ClassVar[str] = "Annotate"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.kit: Kit = kit_of(session)
        self._build()
        self._bind_keys()
        self._deaf = session.on(ANNOTATION | FRONT | What.VIEW | What.LAYERS, self.refresh)
        self.refresh()

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        box = column(self)
        box.addLayout(self._tools())
        self.hint = label(role="quiet", wrap=True)
        self.hint.setMinimumHeight(32)
        box.addWidget(self.hint)
        self.brush = QSlider(Qt.Orientation.Horizontal, minimum=2, maximum=80, value=24)
        self.brush.setToolTip("Diameter of the brush, in quarters of a µm")
        self.brush.valueChanged.connect(self._set_brush)
        self.brush_row = label("Brush", "quiet")
        for part in (self.brush_row, self.brush):
            policy = part.sizePolicy()
            policy.setRetainSizeWhenHidden(True)  # nothing jumps when a tool is changed
            part.setSizePolicy(policy)
        box.addLayout(line(self.brush_row, self.brush))
        self.classes = ClassRow(self.kit)
        self.classes.changed.connect(self.refresh)
        box.addWidget(self.classes)
        self.fields = FieldList(self.kit)
        box.addWidget(self.fields)
        self.shown = ShownKinds(self.session, MARKS)
        box.addWidget(self.shown)
        self.suggest = SuggestRow(SuggestTool(self.session))
        box.addWidget(self.suggest)
        self.undo = button("Undo", "Take back the last action", self.session.undo)
        self.redo = button("Redo", "Do it again", self.session.redo)
        self.counts = label(role="quiet")
        box.addLayout(line(self.counts, 1, self.undo, self.redo))
        box.addWidget(self._more())
        box.addStretch(1)

    def _tools(self) -> Any:
        self.tools = QButtonGroup(self)
        self.tool_buttons = {}
        row = line(spacing=2)
        for name, words, tip in (
            ("points", "Points", "Click nuclei (P)"),
            ("field", "Field", "Draw a rectangle in which you mark every nucleus (F)"),
            ("paint", "Brush", "Paint rough masks (B)"),
            ("erase", "Eraser", "Erase rough masks (E)"),
            ("look", "Look", "Only pan and zoom (V)"),
        ):
            made = tool(words, tip, partial(self.use, name))
            self.tools.addButton(made)
            self.tool_buttons[name] = made
            row.addWidget(made)
        return row

    def _more(self) -> More:
        self.others = QComboBox(toolTip="Layers of points or labels that are open in napari")
        self.take = button("Use", "Add them to the project", self._take_layer)
        return More(
            label("Use a napari layer as points or rough masks", "quiet", wrap=True),
            line(self.others, self.take),
        )

    def _bind_keys(self) -> None:
        self.session.keys.bind(
            self.step,
            Binding("P", "points", lambda: self.use("points")),
            Binding("F", "field", lambda: self.use("field")),
            Binding("B", "brush", lambda: self.use("paint")),
            Binding("E", "eraser", lambda: self.use("erase")),
            Binding("V", "look", lambda: self.use("look")),
            Binding("Space", "pan while held", self.kit.hand.loosen, self.kit.hand.tighten),
            Binding("C", "field complete or not", self.fields.flip, footer=False),
            Binding("Del", "remove chosen", self._delete),
            Binding("Backspace", "remove chosen", self._delete, footer=False),
            *self.suggest.bindings(),
        )

    # --- what it shows -------------------------------------------------------------------------

    def summary(self) -> Summary:
        """How many nuclei in how many fields."""
        project = self.session.project
        if project is None:
            image = self.session.image_layer()
            return Summary("click a nucleus to begin" if image is not None else "open an image")
        counts = project.nuclei.counts()
        # masks and accepted nuclei need no field
        undecided = counts.nuclei > counts.accepted
        if not counts.fields and not undecided and self._rough_masks(project):
            accepted = f" · {counts.accepted} accepted" if counts.accepted else ""
            return Summary(f"rough masks{accepted}", "done")
        nuclei = "1 nucleus" if counts.nuclei == 1 else f"{counts.nuclei:,} nuclei"
        if counts.fields == 0:
            return Summary(f"{nuclei} · no field yet", "warn" if undecided else "todo")
        fields = "1 field" if counts.fields == 1 else f"{counts.fields} fields"
        if counts.complete < counts.fields:
            fields = f"{counts.complete} of {fields} complete"
        mark: Mark = "done" if counts.complete else "warn"
        return Summary(f"{nuclei} · {fields}", mark if counts.nuclei else "todo")

    def _rough_masks(self, project: Project) -> bool:
        image = self.session.image
        return image is not None and "rough" in project.nuclei.planes(image)

    def refresh(self, event: Any = None) -> None:
        """Bring the controls up to date."""
        self._show_tool()
        self.classes.refresh()
        self.fields.refresh()
        self._show_counts()
        self._show_others()
        self.changed.emit()

    def _show_tool(self) -> None:
        name = self.kit.tool
        self.brush.setValue(round(4 * self.kit.rough.size_um))
        self.tool_buttons[name].setChecked(True)
        self.hint.setText(self._hint(name))
        for part in (self.brush, self.brush_row):
            part.setVisible(name in ("paint", "erase"))

    def _hint(self, name: str) -> str:
        fields = self.kit.fields.fields
        if name == "points" and self.session.project is not None and not fields:
            return "Draw a field (F) or use the whole image. Outside fields nothing is assumed."
        if name == "points" and fields and not any(field.complete for field in fields):
            return "Tick a field when every nucleus in it is marked. The rest is then background."
        return HINTS[name]

    def _show_counts(self) -> None:
        project = self.session.project
        here = len(self.kit.points.nuclei)
        self.counts.setText(f"{here} here" if project is not None else "")
        comes = self.session.undoing.next()
        offer(self.undo, "Take back", comes.undo, shown("Ctrl+Z"))
        offer(self.redo, "Do again", comes.redo, shown("Ctrl+Shift+Z"))

    def _show_others(self) -> None:
        found = [x for x in self.session.viewer.layers if _usable(x)]
        self.others.clear()
        self.others.addItems([layer.name for layer in found])
        self.take.setEnabled(bool(found))
        self.others.setEnabled(bool(found))

    # --- acts ----------------------------------------------------------------------------------

    def use(self, name: str) -> None:
        """Take up a tool: points, field, paint, erase or look."""
        with self.session.guard():
            self.kit.use(name)
        self._show_tool()

    def closing(self) -> None:
        """The window is going."""
        self._deaf()
        self.shown.closing()

    def _set_brush(self, size: int) -> None:
        self.kit.rough.size_um = size / 4
        self.kit.hand.update()

    def _delete(self) -> None:
        """The chosen field where fields are at hand, else the chosen points."""
        kit = self.kit
        if self.window().focusWidget() is self.fields.list or kit.tool == "field":
            self.fields.drop()
        else:
            kit.points.remove(sorted(kit.points.chosen))

    def _take_layer(self) -> None:
        name = self.others.currentText()
        if name in self.session.viewer.layers:
            self.kit.take_layer(self.session.viewer.layers[name])


def _usable(layer: Any) -> bool:
    """Whether a layer of somebody else's can become points or rough masks."""
    return isinstance(layer, Points | Labels) and not layers.tag(layer).get("kind")
