"""What to train, for how long and on what: chosen already, to be changed by who wants to."""

from __future__ import annotations

import shutil
import sys

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_noisyseg import registry
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.controllers.runspec import Choice
from napari_noisyseg.gui.widgets.forms import ConfigForm
from napari_noisyseg.gui.widgets.parts import More
from napari_noisyseg.method import PRESET_WORDS, Needs, Preset
from napari_noisyseg.training.plan import automatic_preset

MINUTES = (1, 2, 5, 10)
DEFAULT_MINUTES = 2
DEVICES = {
    "auto": "the fastest available",
    "cpu": "the processor (CPU)",
    "cuda": "a graphics card (CUDA)",
    "mps": "Apple's graphics (MPS)",
}


COMPARATORS = frozenset({"finetune", "spatial-reweighting", "mcpm", "jocor", "coteaching"})
"""methods that the papers compare with; last in the menu"""


def likely_preset(device: str, seconds: float | None) -> Preset:
    """Which defaults a run will start from, guessed without torch, for the form to show.

    seconds: how long it is to train; None where it goes by epochs.
    """
    if device == "auto":
        seen = shutil.which("nvidia-smi") is not None
        device = "cuda" if seen and sys.platform != "darwin" else "cpu"
    return automatic_preset(device, seconds)[0]


def menu_words(title: str, preset: Preset) -> str:
    """A method's name and what the preset makes of it, short enough for the closed menu."""
    return f"{title.partition(': ')[0]}, {PRESET_WORDS[preset]}"


def aim(title: str) -> str:
    """What a method does, the second part of its title, as a sentence."""
    what = title.partition(": ")[2]
    return f"{what[:1].upper()}{what[1:]}. " if what else ""


def needs_words(needs: Needs) -> str:
    """What a method must be given, as a sentence."""
    wants = {
        "points": "points in a field where every nucleus is marked",
        "rough": "rough masks",
        "clean": "accepted nuclei",
        "masks": "rough masks or accepted nuclei",
    }
    named = [words for name, words in wants.items() if getattr(needs, name, False)]
    return f"Needs {' and '.join(named)}." if named else "Needs no annotation."


ROOM = 12
"""px on either side of the words in the open menu"""
FIRST = "scnet"
"""the method for points alone: what a person starts with"""


class TrainOptions(QWidget):  # type: ignore[misc]
    """Method, length and device in the open; the method's own settings under “Settings”."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.method = QComboBox()
        for name in sorted(registry.names(), key=lambda name: (name in COMPARATORS, name)):
            self.method.addItem(registry.describe(name).title, name)
        # a scroll bar would lie over the ends of the words
        self.method.setMaxVisibleItems(self.method.count())
        # until the project's annotation has been looked at
        self.method.setCurrentIndex(max(0, self.method.findData(FIRST)))
        self.why = QLabel(wordWrap=True)
        self.why.setProperty("role", "quiet")
        self.length = QComboBox()
        for minutes in MINUTES:
            self.length.addItem(f"{minutes} minute{'s' if minutes > 1 else ''}", minutes * 60.0)
        self.length.addItem("a number of epochs", None)
        self.length.setCurrentIndex(MINUTES.index(DEFAULT_MINUTES))
        self.epochs = QLineEdit("100")
        self.epochs.setToolTip("How often the training goes through all tiles")
        self.device = QComboBox()
        for name, words in DEVICES.items():
            self.device.addItem(words, name)
        for box in (self.method, self.length, self.device):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.form: ConfigForm | None = None
        self._chosen_by_hand = False
        self._build()
        self._show_method()
        self._show_length()

    def _build(self) -> None:
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        rows = QFormLayout()
        rows.setVerticalSpacing(4)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        rows.addRow("Method", self.method)
        rows.addRow("", self.why)
        rows.addRow("Train for", self.length)
        rows.addRow("", self.epochs)
        rows.addRow("On", self.device)
        self._rows = rows
        box.addLayout(rows)
        self._place = QWidget()
        place = QVBoxLayout(self._place)
        place.setContentsMargins(16, 0, 0, 0)
        self.more = More(self._place, title="Settings of the method")
        box.addWidget(self.more)
        self.method.activated.connect(self._pick)
        self.method.currentIndexChanged.connect(lambda _: self._show_method())
        self.length.currentIndexChanged.connect(lambda _: self._show_length())
        self.device.currentIndexChanged.connect(lambda _: self._follow_plan())

    def recommend(self, method: str, why: str, have: str = "") -> None:
        """Choose this method, unless a person has chosen one; say why, and what there is."""
        self._why, self._have = why, have
        self._recommended = method
        if not self._chosen_by_hand:
            self.method.setCurrentIndex(self.method.findData(method))
        self._say_why()

    _why = ""
    _have = ""
    _recommended = ""

    def choice(self) -> Choice:
        """What was chosen; raises NoisySegError naming a setting that cannot be."""
        seconds: float | None = self.length.currentData()
        return Choice(
            method=self.method.currentData(),
            config=self.form.changes() if self.form is not None else {},
            epochs=None if seconds else self._epochs(),
            seconds=seconds,
            device=self.device.currentData(),
            by_hand=self._chosen_by_hand,
        )

    def _epochs(self) -> int:
        text = self.epochs.text().strip()
        if not text.isdecimal() or not 1 <= int(text) <= 100_000:
            raise NoisySegError(f"epochs: {text!r} is not a whole number from 1 to 100000")
        return int(text)

    def _pick(self) -> None:
        self._chosen_by_hand = True
        self._say_why()

    def _say_why(self) -> None:
        name = self.method.currentData()
        if name is None:
            return
        described = registry.describe(name)
        needs = f"{aim(described.title)}{needs_words(described.needs)} {self._have}"
        # what is recommended comes with words of its own on what it does
        self.why.setText(self._why if name == self._recommended else needs.strip())

    def _show_length(self) -> None:
        self._rows.setRowVisible(self.epochs, self.length.currentData() is None)
        self._follow_plan()
        self.changed.emit()

    def _follow_plan(self) -> None:
        """Where and how long a run trains decide what it starts from."""
        if self.form is not None:
            self.form.set_automatic(self._likely())

    def _likely(self) -> Preset:
        return likely_preset(self.device.currentData(), self.length.currentData())

    def _show_method(self) -> None:
        name = self.method.currentData()
        if name is None:
            return
        described = registry.describe(name)
        self.method.setToolTip(described.paper)
        form = ConfigForm(
            described.schema,
            presets={str(key): values for key, values in described.presets.items()},
            hidden=("epochs",),
            automatic=self._likely(),
            reasons={str(key): why for key, why in described.reasons.items()},
        )
        form.changed.connect(self.changed)
        form.changed.connect(self._name_methods)
        self._swap(form)
        self._name_methods()
        self._say_why()
        self.changed.emit()

    def _name_methods(self) -> None:
        """The menu says what would run: a paper, or what a preset makes of it."""
        shown = self.form.shown_preset() if self.form is not None else None
        preset: Preset = next((p for p in PRESET_WORDS if p == shown), "paper")
        for k in range(self.method.count()):
            title = registry.describe(self.method.itemData(k)).title
            self.method.setItemText(k, menu_words(title, preset))
            self.method.setItemData(k, title, Qt.ItemDataRole.ToolTipRole)
        view = self.method.view()
        view.setMinimumWidth(view.sizeHintForColumn(0) + 2 * ROOM)

    def _swap(self, form: ConfigForm) -> None:
        old, self.form = self.form, form
        place = self._place.layout()
        if old is not None:
            place.removeWidget(old)
            old.deleteLater()
        place.addWidget(form)
