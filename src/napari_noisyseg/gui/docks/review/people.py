"""Who judges, a second person who judges blind, and what two people see differently."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QLineEdit, QVBoxLayout, QWidget

from napari_noisyseg.gui.controllers.people import People
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.widgets.parts import button, label, line

TITLE = "Reviewer"


class TwoPeople(QWidget):  # type: ignore[misc]
    """Draws a `People`; `title()` is the line that it is folded behind."""

    def __init__(self, people: People, review: ReviewController) -> None:
        super().__init__()
        self._people, self._review = people, review
        self.name = QLineEdit(placeholderText="Your name")
        self.name.setToolTip("Saved with each of your decisions; press Return to set it")
        self.name.editingFinished.connect(self._named)
        self.blind = QCheckBox("Review blind, as a second person")
        self.blind.setToolTip(
            "You judge the nuclei that others judged, as they were found and in a random order, "
            "without seeing their decisions. Their decisions stay; yours are saved beside them."
        )
        self.blind.clicked.connect(review.who.be_second)
        self.words = label(role="quiet", wrap=True)
        self.through = button(
            "", "Show them one by one, with what each of you said", people.go_through
        )
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        box.addLayout(line(label("Name"), self.name))
        for part in (self.blind, self.words, self.through):
            box.addWidget(part)
        people.changed.connect(self.show_it)
        self.show_it()

    def title(self) -> str:
        """Who judges, in a line."""
        named = self._review.who.name or "no name"
        return f"{TITLE}: {named}{', blind' if self._review.who.blind else ''} · two people"

    def _named(self) -> None:
        self._review.who.be(self.name.text())
        self.name.setText(self._review.who.name)

    def show_it(self) -> None:
        """Draw it again; a name that is being typed stays."""
        people, review = self._people, self._review
        if not self.name.hasFocus():
            self.name.setText(review.who.name)
        self.blind.setChecked(review.who.blind)
        self.words.setText(people.words)
        count = len(people.different)
        self.through.setText(
            "Back to all nuclei"
            if people.through
            else f"Go through those seen differently ({count})"
        )
        self.through.setVisible((count > 0 or people.through) and not review.who.blind)
