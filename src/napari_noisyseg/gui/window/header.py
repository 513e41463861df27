"""The panel's header: which project, saved when, which image at which resolution, and the menu."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import tissue
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.widgets.elided import Elided
from napari_noisyseg.gui.widgets.parts import MARGIN, button, label, line
from napari_noisyseg.gui.window import files
from napari_noisyseg.gui.window.lists import flip_lists

ASSUMED_MPP = 0.25


class Header(QWidget):  # type: ignore[misc]
    """Reads the session; its acts go to `gui.files`."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.name = Elided("title")
        self.saved = label(role="quiet")
        self.menu_button = QToolButton(text="⋯", toolTip="Project, images, import, export")
        self.menu_button.setProperty("role", "menu")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu_button.setMenu(self._menu())
        self.lists = QToolButton(text="☰", toolTip="Show or hide napari's own list of layers (L)")
        self.lists.setProperty("role", "menu")
        self.lists.clicked.connect(lambda: flip_lists(session.viewer))
        self.images = QComboBox(toolTip="The image that you work on")
        self.images.activated.connect(self._choose_image)
        self.mpp = self._mpp_box()
        self.assumed = label(role="warn")
        box = QVBoxLayout(self)
        box.setContentsMargins(MARGIN, 4, MARGIN, 6)
        box.setSpacing(4)
        top = line(self.name, self.saved, self.lists, self.menu_button)
        top.setStretch(0, 1)
        box.addLayout(top)
        box.addLayout(line(self.images, self.assumed, self.mpp, label("µm/px", "quiet")))
        box.addWidget(self._offer())
        self.images.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.images.setMinimumWidth(60)
        self.refresh()

    def _mpp_box(self) -> QLineEdit:
        box = QLineEdit()
        box.setFixedWidth(56)
        box.setAlignment(Qt.AlignmentFlag.AlignRight)
        box.setToolTip("Resolution in µm per pixel. Set it if the file does not say it")
        box.editingFinished.connect(self._set_mpp)
        box.installEventFilter(self)
        return box

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt: Escape leaves the resolution as it was."""
        if event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
            self.mpp.setModified(False)
            self.mpp.clearFocus()
            self._show_mpp()
            return True
        return bool(super().eventFilter(watched, event))

    def _offer(self) -> QWidget:
        """One press takes in an image that was opened in napari."""
        self.offer = QWidget()
        self.offered = label(role="warn", wrap=True)
        self.add = button("Add", "", self._add_offered)
        self.add.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        row = line(self.offered, self.add)
        row.setStretch(0, 1)
        self.offer.setLayout(row)
        self.offer.hide()
        return self.offer

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for entry in files.MENU:
            if entry is None:
                menu.addSeparator()
                continue
            words, tip, act = entry
            action = menu.addAction(words)
            action.setToolTip(tip)
            action.triggered.connect(lambda _=False, act=act: act(self.session, self))
        return menu

    # --- what it shows -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring it up to date with the session."""
        project = self.session.project
        if project is None:
            self.name.setText("No project yet")
            self.name.setToolTip(f"Your first click creates {self.session.proposed_path()}")
            self.saved.setText("auto-saved")
        else:
            self.name.setText(project.path.name, short=project.path.stem)
            self.name.setToolTip(str(project.path))
            self.saved.setText(self._saved() if project.writable else "read only")
        self._show_images()
        self._show_offer()
        self._show_mpp()

    def _saved(self) -> str:
        at = self.session.saved_at
        return f"saved {at:%H:%M}" if at is not None else "saved"

    def _show_images(self) -> None:
        front = self.session.front
        names, active = front.names(), self.session.image
        layer = self.session.image_layer()
        if not names and layer is not None:
            names, active = [layer.name], layer.name
        if names != [self.images.itemText(i) for i in range(self.images.count())]:
            self.images.clear()
            self.images.addItems(names)
        self.images.setPlaceholderText("choose an image" if names else "no image open")
        self.images.setCurrentIndex(names.index(active) if active in names else -1)
        # the only one, too, where it is not in front or something else lies over it
        hidden = active is None or bool(front.offered())
        self.images.setEnabled(len(names) > 1 or (bool(names) and hidden))

    def _show_offer(self) -> None:
        """An image that was opened in napari lies in the window, not in the project."""
        offered = self.session.front.offered()
        self.offer.setVisible(bool(offered))
        if offered:
            name = offered[-1].name
            self.offered.setText(f"“{name}” is open, but not in this project")
            self.add.setToolTip(f"Add “{name}” to the project and show it")

    def _show_mpp(self) -> None:
        record, layer = self.session.record(), self.session.image_layer()
        stated = tissue.own_mpp(layer) if layer is not None else None
        unsure = layer is not None and stated is None
        if record is not None:
            stated, unsure = record.mpp, record.mpp_assumed
        self.assumed.setText("assumed" if unsure else "")
        self.assumed.setToolTip("The file does not say its resolution; set it if you know it")
        self.mpp.setEnabled(layer is not None)
        if not (self.mpp.hasFocus() and self.mpp.isModified()):  # nobody is typing in it
            self.mpp.setText(f"{stated or ASSUMED_MPP:.4g}")

    # --- acts ----------------------------------------------------------------------------------

    def _choose_image(self, index: int) -> None:
        name = self.images.itemText(index)
        if self.session.project is not None:
            with self.session.guard():
                self.session.show_image(name)

    def _add_offered(self) -> None:
        offered = self.session.front.offered()
        if offered:
            with self.session.acting():
                self.session.front.adopt(offered[-1])

    def _set_mpp(self) -> None:
        if not self.mpp.isModified():
            return
        self.mpp.setModified(False)
        with self.session.guard():
            self.session.set_mpp(_number(self.mpp.text()))
        self.refresh()


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise NoisySegError(f"“{text}” is no number of µm per pixel: write it like 0.25") from None
