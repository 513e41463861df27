"""“Run on another machine”: folded away and off, until somebody wants it."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QCheckBox, QLineEdit

from napari_noisyseg.gui import settings
from napari_noisyseg.gui.controllers.elsewhere import ASKING, Elsewhere
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.widgets.parts import More, button, label, line

TITLE = "Run on another machine"
WHY = (
    "Training runs on a faster computer of your lab, and its results come back. The marked parts "
    "of the images are sent there. “Find nuclei” shares its tiles out among the computers there, "
    "which must find the image under the same path as this one. napari may be closed meanwhile; "
    "this computer must stay on."
)
GROUP, KEY = "cluster", "address"


class ElsewhereView(More):
    """Draws `Elsewhere`; device: what is chosen to train on, for the test."""

    def __init__(self, device: Callable[[], str]) -> None:
        # its own thread: a machine that does not answer holds up nothing else
        self.jobs = Jobs()
        self.elsewhere = Elsewhere(self.jobs.do)
        self.use = QCheckBox("Train and find nuclei there")
        self.address = QLineEdit(settings.setting(GROUP, KEY, ""))
        self.address.setPlaceholderText("tls://computer:8786")
        self.address.setToolTip("Ask the person who runs that computer for this address")
        self.test = button("Test", "Check whether it answers and can train", self._test)
        self.said = label("", "quiet", wrap=True)
        self._device = device
        parts = (label(WHY, "quiet", wrap=True), self.use, line(self.address, self.test), self.said)
        super().__init__(*parts, title=TITLE)
        self.said.hide()
        self.elsewhere.name(self.address.text())
        self.elsewhere.changed.connect(self._draw)
        self.address.textChanged.connect(self.elsewhere.name)
        self.use.toggled.connect(self._want)

    def _want(self, wanted: bool) -> None:
        self.elsewhere.wanted = wanted
        # seen also while it is folded away
        self.toggle.setText(f"{TITLE}: yes" if wanted else TITLE)

    def _test(self) -> None:
        self.elsewhere.test(self._device())

    def _draw(self) -> None:
        answer = self.elsewhere.answer
        self.said.setText(answer.words)
        self.said.setVisible(bool(answer.words))
        self.said.setProperty("role", "warn" if answer.mark == "warn" else "quiet")
        self.said.style().unpolish(self.said)
        self.said.style().polish(self.said)
        self.test.setEnabled(answer.words != ASKING)
        if answer.mark == "good":
            settings.keep(GROUP, KEY, self.elsewhere.address)

    def closing(self) -> None:
        """The window is going."""
        self.elsewhere.changed.disconnect(self._draw)
        self.jobs.close()
