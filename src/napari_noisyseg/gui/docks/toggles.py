"""What is shown, each kind on or off, and what the colours and lines of it mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtWidgets import QCheckBox, QGridLayout, QVBoxLayout, QWidget

from napari_noisyseg.gui.canvas import looks
from napari_noisyseg.gui.canvas.dots import DOTS, SHADES
from napari_noisyseg.gui.canvas.outlines import CALLED, PENS
from napari_noisyseg.gui.change import ANNOTATION, FRONT, Change, What
from napari_noisyseg.gui.kinds import KINDS, TOGGLES
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.widgets.legend import Entry, Legend, Mark, Ramp, Stroke, Swatch

GAP, ROOM = 8, 310
"""px between boxes, and what the narrowest panel has for a row of them"""
NEUTRAL = "#e8e8e8"
"""of a line whose colour says nothing of a decision"""
ALWAYS = ("refined", "probability", "uncertainty", "points", "fields", "outline")
"""boxes that keep their place where there is nothing to show yet"""
COARSE = (Swatch("nucleus", looks.NUCLEUS), Swatch("background", looks.BACKGROUND),
          Swatch("unknown"))  # fmt: skip
STATES = ("untouched", "accepted", "rejected", "unsure")
MEANING: dict[str, tuple[Entry, ...]] = {
    "refined": tuple(Stroke(CALLED.get(state, state), PENS[state]) for state in STATES),
    "corrected": (Stroke("corrected mask", PENS["corrected"]),),
    "rough": (Stroke("rough mask", PENS["rough"]),),
    "outline": (
        Stroke("outline at a click", PENS["outline"]), Stroke("accepted", PENS["accepted"]),
    ),
    "local": (Stroke("untrained outline", PENS["local"]),),
    "voronoi": COARSE,
    "cluster": COARSE,
    # Qt reads eight digits otherwise than napari: the last two are left out
    "changes": tuple(Swatch(words, color[:7]) for words, color in looks.CHANGES.items()),
    "probability": (Ramp("viridis", "sure background", "sure nucleus"),),
    "uncertainty": (Ramp("magma", "networks agree", "they disagree"),),
    "weights": (Ramp("cividis", "mask not trusted", "trusted"),),
    "weights_pseudo": (Ramp("cividis", "pseudo label not trusted", "trusted"),),
    "density": (Ramp("inferno", "no nucleus near", "many"),),
}  # fmt: skip
"""what each kind's colours and lines mean"""
AS_DOTS: dict[str, tuple[Entry, ...]] = {
    "refined": tuple(Mark(CALLED.get(state, state), DOTS[state]) for state in STATES),
    "points": (Mark("point", DOTS["points"]),),
}
"""what the dots mean that stand for nuclei too small for outlines"""
AT_CLICKS = frozenset({"outline", "local"})
"""outlines of clicked nuclei, which are not drawn where dots stand for the clicks"""


class ShownKinds(QWidget):  # type: ignore[misc]
    """One box a kind of layer, and a legend of those that are on."""

    def __init__(self, session: Session, names: Sequence[str] = tuple(TOGGLES)) -> None:
        super().__init__()
        self._session = session
        self.boxes = {name: QCheckBox(KINDS[name].toggle) for name in names}
        self._grid = grid = QGridLayout()
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(4)
        for name, box in self.boxes.items():
            box.setToolTip(KINDS[name].tip)
            box.clicked.connect(lambda wanted, name=name: session.toggle(name, wanted))
        self.legend = Legend(())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(grid)
        column.addWidget(self.legend)
        self._lay_out(list(self.boxes))
        self._deaf = session.on(ANNOTATION | FRONT | What.VIEW | What.LABELS, self._follow)
        self.refresh()

    def _lay_out(self, names: Sequence[str]) -> None:
        """Three in a row, two where words are long: the narrowest panel holds them."""
        widths = [self.boxes[name].sizeHint().width() for name in names]
        columns = [max(widths[k::3], default=0) for k in range(3)]
        laid = list(names), 3 if sum(columns) + 2 * GAP <= ROOM else 2
        if laid == self._laid:
            return
        self._laid = laid
        for box in self.boxes.values():
            self._grid.removeWidget(box)
            box.hide()
        for i, name in enumerate(names):
            self._grid.addWidget(self.boxes[name], *divmod(i, laid[1]))
            self.boxes[name].show()

    _laid: tuple[list[str], int] = ([], 3)

    def closing(self) -> None:
        """The window is going."""
        self._deaf()

    def showEvent(self, event: Any) -> None:
        """Qt: in sight again."""
        super().showEvent(event)
        self.refresh()

    def _follow(self, change: Change) -> None:
        self.refresh()

    def _name(self, name: str, method: str | None) -> None:
        """What an earlier run left says so: nuclei are reviewed beside it."""
        kind, box = KINDS[name], self.boxes[name]
        said = f"\nFrom an earlier run ({method}): the last run has no such map"
        box.setText(kind.toggle if method is None else f"{kind.toggle} (old)")
        box.setToolTip(kind.tip if method is None else kind.tip + said)

    def _meaning(self, name: str) -> tuple[Entry, ...]:
        """What a kind's lines mean; where classes give the colours it is their form alone."""
        if name in AT_CLICKS and "points" in self._session.view.afar:
            return ()
        afar = self._session.view.afar.get(name)
        if afar == "density":
            top = kit_of(self._session).afar.top
            return (Ramp(SHADES, "few nuclei", f"{top:,.0f} per mm²"),)
        entries = MEANING.get(name, ()) if afar is None else AS_DOTS[name]
        if name != "refined" or not self._session.view.by_class:
            return entries
        return tuple(_neutral(entry) for entry in entries)

    def refresh(self, event: Any = None) -> None:
        """Show what is shown; what is out of sight asks nothing of the disk."""
        if not self.isVisible():
            return
        results = kit_of(self._session).results
        there, earlier = results.stored(self.boxes), results.earlier()
        for name, box in self.boxes.items():
            self._name(name, earlier.get(name))
            box.setChecked(self._session.view.shows(name))
            box.setEnabled(name in there)
        self._lay_out([name for name in self.boxes if name in there or name in ALWAYS])
        on = [name for name in there if self._session.view.shows(name)]
        entries = dict.fromkeys(entry for name in on for entry in self._meaning(name))
        self.legend.set_entries(tuple(entries))
        self.legend.setVisible(bool(entries))


def _neutral(entry: Entry) -> Entry:
    """A line or dot in a colour that says nothing: its form alone."""
    if isinstance(entry, Stroke):
        return Stroke(entry.words, replace(entry.pen, color=NEUTRAL))
    return (
        Mark(entry.words, replace(entry.dot, color=NEUTRAL)) if isinstance(entry, Mark) else entry
    )
