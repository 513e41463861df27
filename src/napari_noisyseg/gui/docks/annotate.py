"""Step 1: fields, points and rough masks."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from napari.layers import Labels, Points
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QInputDialog,
    QListWidget,
    QListWidgetItem,
    QSlider,
)

from napari_noisyseg.gui import layers
from napari_noisyseg.gui.docks import StepDock, Summary
from napari_noisyseg.gui.keys import Binding
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.kit import Kit, kit_of
from napari_noisyseg.gui.widgets import More, button, column, label, line, tool

HINTS = {
    "points": "Click each nucleus once. Drag moves a point, right click removes it.",
    "field": "Drag a rectangle on the image. You promise to mark every nucleus in it.",
    "paint": "Paint over a nucleus. A new stroke on bare tissue starts a new nucleus.",
    "erase": "Paint away what does not belong.",
    "look": "Pan and zoom; nothing is changed.",
}
COLOURS = ("#35d0ff", "#ff9f1c", "#b7ff5a", "#e377c2", "#ffffff", "#d55e00", "#8c9eff")


class AnnotateDock(StepDock):
    """Draw fields, click nuclei, paint rough masks; everything is saved as it is done."""

    step: ClassVar[str] = "annotate"
    title: ClassVar[str] = "Annotate"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.kit: Kit = kit_of(session)
        self._build()
        self._bind_keys()
        for signal in (session.annotation_changed, session.project_changed, session.image_changed):
            signal.connect(self.refresh, max_args=0)
        session.viewer.layers.events.inserted.connect(self.refresh)
        session.viewer.layers.events.removed.connect(self.refresh)
        self.refresh()

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        box = column(self)
        box.addLayout(self._tools())
        self.hint = label(role="quiet", wrap=True)
        self.hint.setMinimumHeight(32)
        box.addWidget(self.hint)
        self.brush = QSlider(Qt.Orientation.Horizontal, minimum=1, maximum=80, value=12)
        self.brush.setToolTip("Brush size in pixels")
        self.brush.valueChanged.connect(self._set_brush)
        self.brush_row = label("Brush", "quiet")
        for part in (self.brush_row, self.brush):
            policy = part.sizePolicy()
            policy.setRetainSizeWhenHidden(True)  # nothing jumps when a tool is changed
            part.setSizePolicy(policy)
        box.addLayout(line(self.brush_row, self.brush))
        box.addLayout(self._field_head())
        self.fields = QListWidget()
        self.fields.setToolTip("Double click shows a field; Delete removes it, its points stay")
        self.fields.itemDoubleClicked.connect(lambda item: self.kit.show_field(item.data(ROLE)))
        self.fields.setFixedHeight(76)
        box.addWidget(self.fields)
        self.undo = button("Undo", "Take back the last action (Ctrl+Z)", self.session.undo)
        self.redo = button("Redo", "Do it again (Ctrl+Shift+Z)", self.session.redo)
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
            ("look", "Look", "Just pan and zoom (V)"),
        ):
            made = tool(words, tip, partial(self.use, name))
            self.tools.addButton(made)
            self.tool_buttons[name] = made
            row.addWidget(made)
        return row

    def _field_head(self) -> Any:
        self.whole = button(
            "Whole image", "The whole image is one field: you mark every nucleus in it",
            self.kit.fields.add_whole,
        )  # fmt: skip
        self.remove_field = button(
            "Remove", "Remove the chosen field; its points stay", self._drop_field
        )
        return line(label("Fields", "title"), 1, self.whole, self.remove_field)

    def _more(self) -> More:
        self.classes = QComboBox(toolTip="Class of the points that you click next")
        self.classes.activated.connect(self._choose_class)
        self.others = QComboBox(toolTip="Points or labels that lie in napari already")
        self.take = button("Use", "Take them into the project", self._take_layer)
        return More(
            line(label("Class"), self.classes),
            label("Use a layer of napari as points or rough masks", "quiet", wrap=True),
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
            Binding("Del", "remove chosen", self._delete),
            Binding("Backspace", "remove chosen", self._delete, footer=False),
        )

    # --- what it shows -------------------------------------------------------------------------

    def summary(self) -> Summary:
        """How many nuclei in how many fields."""
        project = self.session.project
        if project is None:
            image = self.session.image_layer()
            return Summary("click a nucleus to begin" if image is not None else "open an image")
        counts = project.nuclei.counts()
        nuclei = "1 nucleus" if counts.points == 1 else f"{counts.points} nuclei"
        if counts.fields == 0:
            return Summary(f"{nuclei} · no field yet", "warn" if counts.points else "todo")
        fields = "1 field" if counts.fields == 1 else f"{counts.fields} fields"
        return Summary(f"{nuclei} · {fields}", "done" if counts.points else "todo")

    def refresh(self, event: Any = None) -> None:
        """Bring the controls up to date."""
        self._show_tool()
        self._show_fields()
        self._show_counts()
        self._show_classes()
        self._show_others()
        self.changed.emit()

    def _show_tool(self) -> None:
        name = self.kit.tool
        self.tool_buttons[name].setChecked(True)
        self.hint.setText(self._hint(name))
        for part in (self.brush, self.brush_row):
            part.setVisible(name in ("paint", "erase"))

    def _hint(self, name: str) -> str:
        if name == "points" and self.session.project is not None and not self.kit.fields.fields:
            return "Draw a field (F) or take the whole image: outside fields nothing is assumed."
        return HINTS[name]

    def _show_fields(self) -> None:
        chosen = self.fields.currentRow()
        self.fields.clear()
        record = self.session.record()
        for number, field in enumerate(self.kit.fields.fields, 1):
            mpp = record.mpp if record is not None else 1.0
            inside = sum(field.box.contains(n.y, n.x) for n in self.kit.points.nuclei.values())
            size = f"{field.box.width * mpp:.0f} × {field.box.height * mpp:.0f} µm"
            item = QListWidgetItem(f"{number}   {size}   {inside} nuclei")
            item.setData(ROLE, field.id)
            self.fields.addItem(item)
        self.fields.setCurrentRow(min(chosen, self.fields.count() - 1))
        self.remove_field.setEnabled(self.fields.count() > 0)
        self.whole.setEnabled(self.session.image_layer() is not None)

    def _show_counts(self) -> None:
        project = self.session.project
        here = len(self.kit.points.nuclei)
        self.counts.setText(f"{here} here" if project is not None else "")
        self.undo.setEnabled(project is not None)
        self.redo.setEnabled(project is not None)

    def _show_classes(self) -> None:
        project = self.session.project
        names = [c.name for c in project.nuclei.classes()] if project is not None else []
        self.classes.clear()
        self.classes.addItems(["no class", *names, "new class…"])
        self.classes.setCurrentText(self.kit.points.class_name or "no class")

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
        self.brush.setValue(self.kit.brush_size())
        self._show_tool()

    def enter(self) -> None:
        """The step is open: its tool works."""
        super().enter()
        self.kit.resume()

    def leave(self) -> None:
        """The step is closed: the canvas is napari's again."""
        self.kit.rest()
        super().leave()

    def _set_brush(self, size: int) -> None:
        self.kit.set_brush_size(size)

    def _delete(self) -> None:
        if self.fields.hasFocus():
            self._drop_field()
        else:
            self.kit.points.remove(self.kit.points.selected())

    def _drop_field(self) -> None:
        item = self.fields.currentItem()
        if item is not None:
            self.kit.fields.remove(item.data(ROLE))

    def _choose_class(self, index: int) -> None:
        name: str | None = self.classes.itemText(index)
        if index == self.classes.count() - 1:
            name = self._new_class()
        elif index == 0:
            name = None
        self.kit.points.class_name = name
        self.kit.points.set_class(self.kit.points.selected(), name)
        self._show_classes()

    def _new_class(self) -> str | None:
        name, ok = QInputDialog.getText(self, "New class", "Name")
        if not ok or not name.strip():
            return None
        with self.session.acting():
            nuclei = self.session.require_project().nuclei
            colour = COLOURS[len(nuclei.classes()) % len(COLOURS)]
            nuclei.add_class(name.strip(), colour)
            return str(name.strip())
        return None

    def _take_layer(self) -> None:
        name = self.others.currentText()
        if name in self.session.viewer.layers:
            self.kit.take_layer(self.session.viewer.layers[name])


ROLE = Qt.ItemDataRole.UserRole


def _usable(layer: Any) -> bool:
    """Whether a layer of somebody else's can become points or rough masks."""
    return isinstance(layer, Points | Labels) and not layers.tag(layer).get("kind")
