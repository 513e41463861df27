"""What a person may set of the cluster label: sizes in µm, each measured or given."""

from __future__ import annotations

from typing import NamedTuple

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLineEdit, QVBoxLayout, QWidget

from napari_noisyseg.coarse.cluster import PAPER_MPP, SMALL
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.tools.live import LiveLabels
from napari_noisyseg.gui.widgets.parts import label


class Size(NamedTuple):
    """One size: what it is called, its unit, its bounds."""

    words: str
    unit: str
    low: float
    high: float
    tip: str


SIZES = {
    "radius_um": Size(
        "Nucleus radius", "µm", 0.5, 20.0,
        "How far a nucleus reaches from its point in the cluster label.\n"
        "If empty, it is measured from the outlines at your points.",
    ),
    "smallest_um2": Size(
        "Smallest nucleus", "µm²", 0.0, 300.0,
        "Spots with a smaller area do not count as nuclei in the cluster label.",
    ),
}  # fmt: skip


class ClusterSizes(QWidget):  # type: ignore[misc]
    """A line for each size; an empty one is measured. A change is kept and seen at once."""

    def __init__(self, live: LiveLabels) -> None:
        super().__init__()
        self.live = live
        self.edits: dict[str, QLineEdit] = {}
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        for row, (name, size) in enumerate(SIZES.items()):
            self.edits[name] = edit = self._edit(name, size)
            words = label(size.words)
            words.setToolTip(size.tip)
            for column, part in enumerate((words, edit, label(size.unit, "quiet"))):
                grid.addWidget(part, row, column)
        grid.setColumnStretch(3, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        box.addWidget(label("Sizes of the cluster label", "title"))
        box.addLayout(grid)

    def _edit(self, name: str, size: Size) -> QLineEdit:
        edit = QLineEdit()
        edit.setFixedWidth(110)
        edit.setAlignment(Qt.AlignmentFlag.AlignRight)
        edit.setToolTip(size.tip)
        edit.setAccessibleName(f"{size.words} in {size.unit}")
        edit.editingFinished.connect(lambda: self._edited(name))
        return edit

    def refresh(self) -> None:
        """Show what was set, and faintly what is taken where nothing is set."""
        chosen, radius = self.live.parameters(), self.live.measured_radius_um()
        measured = "measured" if radius is None else f"{radius:.1f} measured"
        self.edits["radius_um"].setPlaceholderText(measured)
        self.edits["smallest_um2"].setPlaceholderText(f"{SMALL * PAPER_MPP**2:.1f}")
        for name, edit in self.edits.items():
            edit.setEnabled(self.live.session.image is not None and self.live.session.writable)
            if not (edit.hasFocus() and edit.isModified()):
                edit.setText(f"{chosen[name]:g}" if name in chosen else "")

    def _edited(self, name: str) -> None:
        edit = self.edits[name]
        if not edit.isModified():
            return
        edit.setModified(False)
        with self.live.session.guard():
            self.live.set_parameter(name, _read(edit.text(), SIZES[name]))
        self.refresh()


def _read(text: str, size: Size) -> float | None:
    """A size as it was typed; None for an empty line."""
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not size.low <= value <= size.high:
        raise NoisySegError(
            f"{size.words} “{text}”: give a number from {size.low:g} to {size.high:g} {size.unit}, "
            "or leave it empty"
        )
    return value
