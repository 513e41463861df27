"""Which nuclei the review goes through: choices that narrow it down, each by what there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QSizePolicy, QSpinBox, QVBoxLayout, QWidget

from napari_noisyseg.gui.widgets.parts import button, line
from napari_noisyseg.review.filters import BY_HAND, NO_CLASS, Filter, kinds
from napari_noisyseg.review.queue import ReviewQueue
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project

STATES = (("not judged", "unreviewed"), ("accepted", "accepted"), ("rejected", "rejected"),
          ("unsure", "unsure"))  # fmt: skip
LARGEST = 9999
"""µm²"""
SEEN = 20_000
"""nuclei, the first of the queue, whose reasons and runs are listed"""
Choices = Sequence[tuple[str, Any]]


class FilterRow(QWidget):  # type: ignore[misc]
    """`changed(Filter)` when a person chooses; what is listed is what the project has."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.filter = Filter()
        self._listed: Any = None
        self._fields_of = ""
        self.boxes: dict[str, QComboBox] = {}
        grid = QGridLayout()
        grid.setSpacing(4)
        names = ("image", "field", "state", "class_name", "reason", "run")
        for at, name in enumerate(names):
            box = self.boxes[name] = QComboBox()
            box.setToolTip(f"Only nuclei of this {name.split('_')[0]}")
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.activated.connect(self._chosen)
            grid.addWidget(box, at // 2, at % 2)
            grid.setColumnStretch(at % 2, 1)
        self.smallest, self.largest = _area("smallest area"), _area("largest area")
        for at, spin in enumerate((self.smallest, self.largest)):
            spin.editingFinished.connect(self._chosen)
            grid.addWidget(spin, len(names) // 2, at)
        self.clear_button = button("All nuclei", "Show all nuclei again", self.clear)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addLayout(grid)
        box.addLayout(line(1, self.clear_button))

    def list_choices(self, project: Project | None, queue: ReviewQueue | None, image: str) -> None:
        """Offer what there is now."""
        if project is None or queue is None:
            return
        version = (id(queue), len(queue), image, project.nuclei.version(), self.filter)
        if version == self._listed:
            return
        self._listed = version
        nuclei, seen = project.nuclei, queue.items[:SEEN]
        names = [record.name for record in project.images()]
        self._fields_of = self.filter.image or image
        fields = nuclei.fields(self._fields_of) if image else []
        runs = sorted({item.candidate.run for item in seen}, reverse=True)
        offered: dict[str, tuple[str, Choices]] = {
            "image": ("every image", [(name, name) for name in names]),
            "field": ("every field", [(f"field {n}", f.box) for n, f in enumerate(fields, 1)]),
            "state": ("every state", STATES),
            "class_name": (
                "every class", [("no class", NO_CLASS), *((c.name, c.name) for c in
                                                         nuclei.classes())],
            ),
            "reason": ("every reason", [(f"{k} ({n})", k) for k, n in kinds(seen)]),
            "run": ("every run", [("drawn by hand" if r == BY_HAND else r, r) for r in runs]),
        }  # fmt: skip
        for name, (every, choices) in offered.items():
            _fill(self.boxes[name], every, choices, getattr(self.filter, name))

    def clear(self) -> None:
        """Let all pass again."""
        for box in self.boxes.values():
            box.setCurrentIndex(0)
        for spin in (self.smallest, self.largest):
            spin.setValue(0)
        self._chosen()

    def set_filter(self, wanted: Filter) -> None:
        """Show what is in force (another project is open, say)."""
        if wanted != self.filter:
            self.filter, self._listed = wanted, None
            if not wanted.active:
                for spin in (self.smallest, self.largest):
                    spin.setValue(0)

    def _chosen(self, _: Any = None) -> None:
        values = {name: box.currentData() for name, box in self.boxes.items()}
        # a field is a part of one image: it is chosen with it, and goes with it
        if values["field"] != self.filter.field:
            values["image"] = self._fields_of if values["field"] else values["image"]
        elif values["image"] != self._fields_of:
            values["field"] = None
        wanted = Filter(
            **values, smallest=self.smallest.value() or None, largest=self.largest.value() or None
        )
        if wanted != self.filter:
            self.filter = wanted
            self.changed.emit(wanted)


def _area(words: str) -> QSpinBox:
    spin = QSpinBox(minimum=0, maximum=LARGEST, specialValueText=words, suffix=" µm²")
    spin.setPrefix("from " if words.startswith("smallest") else "up to ")
    spin.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    spin.setToolTip(f"The {words} of the nuclei to review, in µm²")
    return spin


def _fill(box: QComboBox, every: str, choices: Choices, chosen: Any) -> None:
    """Offer these; what was chosen stays, also where nothing has it any more."""
    values = [value for _, value in choices]
    if chosen is not None and chosen not in values:
        gone = "a field that is gone" if isinstance(chosen, Box) else str(chosen)
        choices = [*choices, (gone, chosen)]
        values.append(chosen)
    with QSignalBlocker(box):
        box.clear()
        box.addItem(every, None)
        for words, value in choices:
            box.addItem(words, value)
        box.setCurrentIndex(0 if chosen is None else values.index(chosen) + 1)
