"""What goes out, in which form, to which folder: asked in one window and said in plain words."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange import exporting
from napari_noisyseg.exchange.formats import written
from napari_noisyseg.exchange.layers import LAYERS as SOURCES
from napari_noisyseg.exchange.layers import Layer
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.widgets.parts import button, line
from napari_noisyseg.store.project import Project


class Words(NamedTuple):
    """What a layer is called, what is in it, and what its nuclei are."""

    name: str
    holds: str
    kind: str


LAYERS: dict[Layer, Words] = {
    "refined": Words(
        "All refined nuclei",
        "Every nucleus that the newest run found, without those you rejected. If you "
        "accepted or edited an outline, your outline is exported.",
        "refined",
    ),
    "accepted": Words(
        "Accepted nuclei only",
        "Only nuclei that you accepted in the review, with the outlines as you accepted them.",
        "accepted",
    ),
    "outline": Words(
        "Outlines at your clicks",
        "The outline drawn at each click, without any training. If you accepted or edited one, "
        "your outline is exported. Rejected nuclei are left out.",
        "outlined",
    ),
    "rough": Words(
        "Rough masks",
        "The rough masks as you painted or imported them.",
        "rough",
    ),
}
ROW = 28
"""height of a line of the form; a layout that runs short of room would cut the words"""
Counts = dict[Layer, dict[str, int]]


def counted(project: Project) -> Counts:
    """How many nuclei of each image each layer would send out; images without any are left out."""
    records = project.images()
    every = {
        layer: {record.name: SOURCES[layer].count(project, record) for record in records}
        for layer in LAYERS
    }
    return {layer: {name: n for name, n in counts.items() if n} for layer, counts in every.items()}


class ExportDialog(QDialog):  # type: ignore[misc]
    """Counts in the background what would go out; Export writes it in the background too."""

    def __init__(self, session: Session, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Export nuclei")
        self.setMinimumWidth(460)
        self.session = session
        self.project = session.require_project()
        self._counts: Counts | None = None
        self._closed = False
        self._build()
        self._show()
        session.submit(partial(counted, self.project), self._counted)

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        box = QVBoxLayout(self)
        box.setContentsMargins(20, 16, 20, 16)
        box.setSpacing(10)
        self.layers: dict[Layer, QRadioButton] = {}
        for layer, words in LAYERS.items():
            self.layers[layer] = QRadioButton(words.name)
            self.layers[layer].toggled.connect(self._show)
            box.addWidget(self.layers[layer])
        self.layers["refined"].setChecked(True)
        self.words = QLabel(wordWrap=True)
        self.words.setMinimumHeight(3 * self.fontMetrics().lineSpacing())
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        box.addWidget(self.words)
        box.addLayout(self._form())
        box.addLayout(self._buttons())

    def _form(self) -> QFormLayout:
        form = QFormLayout()
        self.format = QComboBox()
        for name, known in written().items():
            self.format.addItem(f"{known.title}: {known.holds}", name)
        self.format.setCurrentIndex(max(0, self.format.findData("geojson")))
        self.format.currentIndexChanged.connect(self._show)
        self.loses = QLabel(wordWrap=True)
        self.images = QComboBox()
        self.images.addItem("All images of the project", None)
        for record in self.project.images():
            self.images.addItem(record.name, record.name)
        self.images.currentIndexChanged.connect(self._show)
        beside = self.project.path
        self.folder = QLineEdit(str(beside.with_name(f"{beside.stem} export")))
        self.folder.setToolTip("One file for each image is written here; the folder may be new")
        browse = button("Browse…", "Choose another folder", self._browse)
        for part in (self.format, self.images, self.folder, browse):
            part.setMinimumHeight(ROW)
        form.addRow("Format", self.format)
        form.addRow(self.loses)
        form.addRow("Images", self.images)
        form.addRow("Folder", line(self.folder, browse))
        return form

    def _buttons(self) -> QHBoxLayout:
        self.cancel = QPushButton("Cancel", autoDefault=False)
        self.cancel.clicked.connect(self.reject)
        self.export = QPushButton("Export", default=True)
        self.export.setProperty("role", "primary")
        self.export.clicked.connect(self.accept)
        return line(1, self.cancel, self.export)

    # --- what it shows -------------------------------------------------------------------------

    @property
    def layer(self) -> Layer:
        """Which nuclei are to go out."""
        return next(layer for layer, choice in self.layers.items() if choice.isChecked())

    def _counted(self, counts: Counts) -> None:
        if not self._closed:
            self._counts = counts
            self._show()

    def _show(self) -> None:
        if not hasattr(self, "export"):  # still being built
            return
        self.words.setText(f"{self._how_many()} {LAYERS[self.layer].holds}")
        self.export.setEnabled(self._number() > 0)
        loses = written()[self.format.currentData()].loses
        self.loses.setText(loses)
        self.loses.setVisible(bool(loses))

    def _chosen(self) -> dict[str, int]:
        counts = (self._counts or {}).get(self.layer, {})
        image = self.images.currentData()
        return {name: n for name, n in counts.items() if image in (None, name)}

    def _number(self) -> int:
        return sum(self._chosen().values())

    def _how_many(self) -> str:
        if self._counts is None:
            return "Counting …"
        number, images = self._number(), len(self._chosen())
        if not number:
            return f"<b>Nothing to export yet: {SOURCES[self.layer].missing}.</b>"
        nuclei_ = "1 nucleus" if number == 1 else f"{number:,} nuclei"
        return f"<b>{nuclei_} of {'1 image' if images == 1 else f'{images} images'}.</b>"

    # --- acts ----------------------------------------------------------------------------------

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Export into folder", self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def accept(self) -> None:
        """Write the files out of the way; what came of it is said."""
        with self.session.guard():
            if not self.folder.text().strip():
                raise NoisySegError("no folder is given: choose one to export into")
            folder, layer = Path(self.folder.text().strip()).expanduser(), self.layer
            form, image = self.format.currentData(), self.images.currentData()
            write = partial(exporting.export, self.project, folder, form, layer, image)
            number, session = self._number(), self.session
            session.submit(write, lambda files: session.say(_written(files, number, layer)))
            super().accept()

    def done(self, result: int) -> None:
        """Qt: closed, one way or the other."""
        self._closed = True
        super().done(result)

    def closeEvent(self, event: Any) -> None:
        """Qt: closed by its frame."""
        self._closed = True
        super().closeEvent(event)


def _written(files: list[Path], number: int, layer: Layer) -> str:
    what = files[0].name if len(files) == 1 else f"{len(files)} files"
    kind = LAYERS[layer].kind
    nuclei_ = f"1 {kind} nucleus" if number == 1 else f"{number:,} {kind} nuclei"
    return f"exported {nuclei_}: {what} in {files[0].parent}"
