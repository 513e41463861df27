"""What the walk may do with the panel: steps, tools, lists, boxes, images, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QSlider

from napari_noisyseg.gui.wander.acts import Did, Do, May
from napari_noisyseg.gui.wander.hands import Hands
from napari_noisyseg.gui.wander.scene import Random


class PanelActs:
    """The mouse on the panel."""

    def __init__(self, hands: Hands) -> None:
        self.hands, self.panel, self.session = hands, hands.panel, hands.session

    def table(self) -> Mapping[Do, float]:
        """Every act with its weight."""
        return {
            self.row: 6, self.control: 14, self.choose_image: 5, self.field: 3, self.mpp: 0.5,
            self.add_offered: 1.5, self.cheat_sheet: 0.3, self.measurement: 1,
            self.focus_canvas: 3,
        }  # fmt: skip

    # --- acts ----------------------------------------------------------------------------------

    def row(self, random: Random) -> Did:
        """Open a step by its row."""
        step = str(random.choice(list(self.panel.rows)))
        self.hands.press(self.panel.rows[step])
        return Did(f"row {step}", "none")

    def control(self, random: Random) -> Did:
        """One of the open step's controls."""
        controls = self._controls()
        name = str(random.choice(list(controls)))
        widget, may = controls[name]
        at = None
        if isinstance(widget, QSlider):
            at = QPoint(int(random.uniform(2, max(3, widget.width() - 2))), widget.height() // 2)
        if isinstance(widget, QComboBox):
            return Did(f"{name}: {self._choose(widget, random)}", may)
        pressed = self.hands.press(widget, at)
        return Did(f"press {name}" + ("" if pressed else " (cannot be)"), may)

    def _controls(self) -> dict[str, tuple[Any, May]]:
        dock: Any = self.panel.docks[self.panel.step]
        return getattr(self, f"_{self.panel.step}")(dock)  # type: ignore[no-any-return]

    def _annotate(self, dock: Any) -> dict[str, tuple[Any, May]]:
        tools: dict[str, tuple[Any, May]] = {
            f"tool {name}": (made, "none") for name, made in dock.tool_buttons.items()
        }
        return tools | {
            "whole image": (dock.fields.whole, "front"),
            "remove field": (dock.fields.remove, "front"),
            "undo": (dock.undo, "travel"),
            "redo": (dock.redo, "travel"),
            "brush": (dock.brush, "none"),
            "class": (dock.classes.choice, "front"),
        }

    def _coarse(self, dock: Any) -> dict[str, tuple[Any, May]]:
        boxes: dict[str, tuple[Any, May]] = {
            f"box {name}": (box, "none") for name, box in dock.shown.items()
        }
        opacity: dict[str, tuple[Any, May]] = {
            f"opacity {name}": (slider, "none") for name, slider in dock.opacity.items()
        }
        return boxes | opacity | {"look": (dock.look, "none"), "refit": (dock.refit, "none")}

    def _train(self, dock: Any) -> dict[str, tuple[Any, May]]:
        return {f"map {name}": (box, "none") for name, box in dock.maps.boxes.items()}

    def _review(self, dock: Any) -> dict[str, tuple[Any, May]]:
        maps: dict[str, tuple[Any, May]] = {
            f"map {name}": (box, "none") for name, box in dock.maps.boxes.items()
        }
        return maps | {
            "accept": (dock.accept_button, "front"),
            "reject": (dock.reject_button, "front"),
            "unsure": (dock.unsure_button, "front"),
            "back": (dock.back_button, "none"),
            "next": (dock.next_button, "none"),
            "edit": (dock.edit_button, "none"),
            "undo": (dock.undo_button, "travel"),
            "hide": (dock.hide_button, "none"),
            **{
                f"tool {mode}": (made, "none")
                for mode, made in dock.repairing.tools.buttons.items()
                if mode != "brush"
            },
            **{
                f"class {n}": (made, "front")
                for n, made in enumerate(dock.repairing.classes.buttons, 1)
            },
            "filter": (dock.filter_more.toggle, "none"),
            "filter state": (dock.filters.boxes["state"], "none"),
            "filter image": (dock.filters.boxes["image"], "none"),
            "all nuclei": (dock.filters.clear_button, "none"),
            "images": (dock.images_more.toggle, "none"),
            "confidence": (dock.above.slider, "none"),
            "accept above": (dock.above.accept, "any"),
            "measurements": (dock.table.toggle, "none"),
        }

    def choose_image(self, random: Random) -> Did:
        """Choose an image at the top of the panel."""
        return Did(f"image: {self._choose(self.panel.header.images, random)}")

    def _choose(self, box: QComboBox, random: Random) -> str:
        """Open a list of choices with the mouse, or go through it with the arrow keys."""
        if not box.count() or not box.isEnabled():
            return "(nothing to choose)"
        if random.random() < 0.4:
            self.hands.press(box)
            self._close_popup(box, int(random.integers(box.count())))
        else:
            box.setFocus(Qt.FocusReason.TabFocusReason)
            QTest.keyClick(box, Qt.Key.Key_Down if random.random() < 0.5 else Qt.Key.Key_Up)
        return str(box.currentText())

    def _close_popup(self, box: QComboBox, row: int) -> None:
        QApplication.processEvents()
        view = box.view()
        if view is None or not view.isVisible():
            return
        QTest.keyClick(view, Qt.Key.Key_Home)
        for _ in range(row):
            QTest.keyClick(view, Qt.Key.Key_Down)
        QTest.keyClick(view, Qt.Key.Key_Return)

    def field(self, random: Random) -> Did:
        """Click a field in the list, its box, or twice."""
        rows: Any = self.panel.docks["annotate"].fields.list
        if self.panel.step != "annotate" or not rows.count():
            return Did("no field to choose")
        number = int(random.integers(rows.count()))
        self.hands.bring(rows)
        rows.scrollToItem(rows.item(number))
        rect = rows.visualItemRect(rows.item(number))
        way = str(random.choice(["row", "tick", "twice"]))
        at = QPoint(rect.left() + 8, rect.center().y()) if way == "tick" else rect.center()
        left = Qt.MouseButton.LeftButton
        QTest.mouseClick(rows.viewport(), left, Qt.KeyboardModifier.NoModifier, at)
        if way == "twice":
            QTest.mouseDClick(rows.viewport(), left, Qt.KeyboardModifier.NoModifier, at)
        return Did(f"field {number + 1}: {way}", "front")

    def mpp(self, random: Random) -> Did:
        """Type a resolution; Return, or the focus goes elsewhere later."""
        box = self.panel.header.mpp
        if not self.hands.press(box):
            return Did("no resolution to type")
        box.selectAll()
        text = str(random.choice(["0.25", "0.5", "0,3", "x"]))
        QTest.keyClicks(box, text)
        if random.random() < 0.7:
            QTest.keyClick(box, Qt.Key.Key_Return)
        return Did(f"resolution {text}", "front")

    def add_offered(self, random: Random) -> Did:
        """Add beside the name of a stranger's image."""
        if not self.hands.press(self.panel.header.add):
            return Did("nothing is offered")
        return Did("press Add", "any")

    def cheat_sheet(self, random: Random) -> Did:
        """F1, and away with it."""
        QTest.keyClick(self.hands.focus, Qt.Key.Key_F1)
        QApplication.processEvents()
        sheet = getattr(self.panel, "_sheet", None)
        if sheet is not None:
            sheet.close()
        return Did("all keys")

    def measurement(self, random: Random) -> Did:
        """A row of the table of measurements."""
        dock: Any = self.panel.docks["review"]
        table = dock.measurements.table
        count = table.model().rowCount()
        self.hands.bring(table)
        if not table.isVisible() or not count:
            return Did("no measurements to choose from")
        index = table.model().index(int(random.integers(count)), 0)
        table.scrollTo(index)
        self.hands.press(table.viewport(), table.visualRect(index).center())
        return Did(f"measurement {index.row()}")

    def focus_canvas(self, random: Random) -> Did:
        """The keys go to the canvas."""
        self.hands.canvas.setFocus(Qt.FocusReason.MouseFocusReason)
        return Did("focus the canvas")
