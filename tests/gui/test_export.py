"""The export window: which nuclei, which form, which folder, and what it says of them."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_noisyseg.exchange import exporting, importing
from napari_noisyseg.exchange.formats import FORMATS
from napari_noisyseg.exchange.layers import LAYERS as SOURCES
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.window import files
from napari_noisyseg.gui.window.exportdialog import LAYERS, ExportDialog, counted
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Candidate, Outline

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def reviewed(panel: Panel, tnbc: Any, qtbot: QtBot) -> Panel:
    """Ten refined nuclei of real tissue: three accepted, one rejected."""
    session = panel.session
    with session.guard():
        session.require_image()
    project = session.require_project()
    found = [_candidate(tnbc[1], serial) for serial in np.unique(tnbc[1])[1:11]]
    ids = [c.id for c in project.nuclei.adopt("tissue", "r1", found)]
    project.nuclei.decide(ids[:3], "accepted")
    project.nuclei.decide(ids[3:4], "rejected")
    return panel


def _candidate(labels: Any, serial: int) -> Candidate:
    y, x = (int(v.min()) for v in np.nonzero(labels == serial))
    y1, x1 = (int(v.max()) + 1 for v in np.nonzero(labels == serial))
    outline = Outline(Box(y, x, y1, x1), labels[y:y1, x:x1] == serial)
    middle = (y + y1) / 2, (x + x1) / 2
    return Candidate("", 0, *middle, outline, 0.5, "", "r1", float(outline.mask.sum()) / 16)


def opened(panel: Panel, qtbot: QtBot) -> ExportDialog:
    """The window as the button in the Review step opens it, once it has counted."""
    panel.open_step("review")
    dock: Any = panel.docks["review"]
    qtbot.mouseClick(dock.export_button, LEFT)
    found = next(w for w in QApplication.topLevelWidgets() if isinstance(w, ExportDialog))
    qtbot.waitUntil(lambda: "Counting" not in found.words.text(), timeout=20_000)
    return found


def test_refined_or_accepted_in_words_and_as_files(
    reviewed: Panel, qtbot: QtBot, tmp_path: Path
) -> None:
    said: list[str] = []
    reviewed.session.news.connect(said.append)
    dialog = opened(reviewed, qtbot)
    assert dialog.words.text().startswith("<b>9 nuclei of 1 image.</b> Every nucleus")
    assert Path(dialog.folder.text()).parent == reviewed.session.require_project().path.parent
    qtbot.mouseClick(dialog.layers["accepted"], LEFT)
    assert dialog.words.text().startswith("<b>3 nuclei of 1 image.</b> Only nuclei")
    dialog.format.setCurrentIndex(dialog.format.findData("labels"))
    dialog.folder.setText(str(tmp_path / "hinaus"))
    qtbot.mouseClick(dialog.export, LEFT)
    qtbot.waitUntil(lambda: any("exported" in text for text in said), timeout=20_000)
    labels = tifffile.imread(tmp_path / "hinaus" / "tissue.tif")
    assert len(np.unique(labels)) - 1 == 3
    assert said[-1] == f"exported 3 accepted nuclei: tissue.tif in {tmp_path / 'hinaus'}"
    qtbot.wait(20)
    assert not [w for w in QApplication.topLevelWidgets() if isinstance(w, ExportDialog)]


def test_nothing_to_export_is_said_and_cannot_be_pressed(panel: Panel, qtbot: QtBot) -> None:
    with panel.session.guard():
        panel.session.require_image()
    dialog = opened(panel, qtbot)
    assert "train first" in dialog.words.text()
    assert not dialog.export.isEnabled()
    qtbot.mouseClick(dialog.layers["accepted"], LEFT)
    assert "accept some in the review first" in dialog.words.text()
    qtbot.mouseClick(dialog.layers["outline"], LEFT)
    assert "click nuclei first" in dialog.words.text()
    qtbot.mouseClick(dialog.layers["rough"], LEFT)
    assert "paint or import rough masks first" in dialog.words.text()
    assert not dialog.export.isEnabled()
    qtbot.mouseClick(dialog.cancel, LEFT)


def test_closed_while_it_counts(reviewed: Panel, qtbot: QtBot) -> None:
    """What was counted comes to nobody; nothing is written."""
    dialog = ExportDialog(reviewed.session, reviewed)
    dialog.open()
    dialog.close()
    qtbot.wait(200)
    folder = reviewed.session.require_project().path.parent
    assert not [path for path in folder.iterdir() if "export" in path.name]


def test_a_foreign_file_is_not_replaced(reviewed: Panel, qtbot: QtBot, tmp_path: Path) -> None:
    said: list[str] = []
    reviewed.session.noticed.connect(said.append)
    (tmp_path / "tissue.geojson").write_text("mine")
    dialog = opened(reviewed, qtbot)
    dialog.folder.setText(str(tmp_path))
    qtbot.mouseClick(dialog.export, LEFT)
    qtbot.waitUntil(lambda: any("not of an earlier export" in t for t in said), timeout=20_000)
    assert (tmp_path / "tissue.geojson").read_text() == "mine"


def test_every_layer_has_its_words(reviewed: Panel) -> None:
    assert counted(reviewed.session.require_project()) == {
        "refined": {"tissue": 9}, "accepted": {"tissue": 3}, "outline": {"tissue": 3}, "rough": {},
    }  # fmt: skip
    assert set(LAYERS) <= set(SOURCES)
    assert set(LAYERS) == {"refined", "accepted", "outline", "rough"}


def test_outlines_at_clicks_go_out_without_any_training(
    panel: Panel, qtbot: QtBot, tmp_path: Path
) -> None:
    said: list[str] = []
    panel.session.news.connect(said.append)
    with panel.session.guard():
        panel.session.require_image()
    panel.session.require_project().nuclei.add_many("tissue", [(50, 60), (90, 100)])
    dialog = opened(panel, qtbot)
    qtbot.mouseClick(dialog.layers["outline"], LEFT)
    assert dialog.words.text().startswith("<b>2 nuclei of 1 image.</b> The outline drawn")
    dialog.format.setCurrentIndex(dialog.format.findData("labels"))
    dialog.folder.setText(str(tmp_path))
    qtbot.mouseClick(dialog.export, LEFT)
    qtbot.waitUntil(lambda: any("exported" in text for text in said), timeout=20_000)
    assert said[-1] == f"exported 2 outlined nuclei: tissue.tif in {tmp_path}"
    assert len(np.unique(tifffile.imread(tmp_path / "tissue.tif"))) == 3


def test_only_formats_that_work_are_offered_and_what_they_lose_is_said(
    reviewed: Panel, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = opened(reviewed, qtbot)
    offered = [dialog.format.itemData(k) for k in range(dialog.format.count())]
    assert offered == list(FORMATS)
    dialog.format.setCurrentIndex(dialog.format.findData("hovernet"))
    assert dialog.loses.isVisible()
    assert "Holes are filled" in dialog.loses.text()
    dialog.format.setCurrentIndex(dialog.format.findData("geojson"))
    assert not dialog.loses.isVisible()
    qtbot.mouseClick(dialog.cancel, LEFT)
    monkeypatch.setattr("napari_noisyseg.exchange.formats.format.find_spec", lambda _: None)
    dialog = ExportDialog(reviewed.session, reviewed)
    assert dialog.format.findData("roi") == dialog.format.findData("dicom") == -1
    dialog.close()


def test_annotation_that_is_dropped_comes_into_the_image_in_front(
    reviewed: Panel, qtbot: QtBot, tmp_path: Path
) -> None:
    said: list[str] = []
    reviewed.session.news.connect(said.append)
    project = reviewed.session.require_project()

    def drop(path: Path) -> None:
        said.clear()
        reviewed.session.viewer.open(str(path), plugin="napari-noisyseg")
        qtbot.waitUntil(lambda: any(t.startswith("imported") for t in said), timeout=20_000)

    for form in ("geojson", "imagescope"):
        (path,) = exporting.export(project, tmp_path / form, form)
        drop(path)
        assert said[0] == f"importing {path.name} …"
        assert said[-1].startswith("imported 9 rough masks into tissue; undo")
        assert len(np.unique(project.nuclei.painted("tissue"))) == 10
        reviewed.session.undo()
        assert not project.nuclei.painted("tissue").any()
    (tmp_path / "points.geojson").write_text('{"type": "Point", "coordinates": [9.5, 7.5]}')
    drop(tmp_path / "points.geojson")
    assert said[-1].startswith("imported 1 point into")
    noticed: list[str] = []
    reviewed.session.noticed.connect(noticed.append)
    (tmp_path / "bad.xml").write_text("<html/>")
    reviewed.session.viewer.open(str(tmp_path / "bad.xml"), plugin="napari-noisyseg")
    qtbot.waitUntil(lambda: bool(noticed), timeout=20_000)
    assert "neither ASAP XML nor Aperio ImageScope XML" in noticed[-1]


def test_files_are_read_out_of_the_way_of_the_window(
    reviewed: Panel,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pace: float,
) -> None:
    """Whatever a file of 100,000 nuclei takes to read, the window does not wait for it."""
    session, threads, measured = reviewed.session, [], threading.Event()
    (path,) = exporting.export(session.require_project(), tmp_path, "geojson")
    for kind in ("points", "rough", "clean"):
        read = getattr(importing, f"import_{kind}")

        def noted(*given: Any, read: Any = read, **more: Any) -> Any:
            threads.append(threading.current_thread())
            assert measured.wait(20)  # else its layer may be drawn while the act is measured
            return read(*given, **more)

        monkeypatch.setattr(importing, f"import_{kind}", noted)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    said: list[str] = []
    session.news.connect(said.append)
    for act in (files.import_rough, files.import_clean):
        said.clear()
        measured.clear()
        session.sync()  # what earlier acts left to be drawn, and to be collected, is theirs
        gc.collect()
        before = time.thread_time()
        act(session, reviewed)
        assert time.thread_time() - before < 10 * pace
        measured.set()
        qtbot.waitUntil(lambda: any(t.startswith("imported") for t in said), timeout=20_000)
    assert said[-1].startswith("imported 6 trusted masks into tissue")
    assert len(threads) == 2
    assert threading.main_thread() not in threads


def test_the_window_that_asks_opens_at_once(reviewed: Panel, qtbot: QtBot, pace: float) -> None:
    opened(reviewed, qtbot).close()  # what is loaded once is loaded now
    took = []
    for _ in range(3):
        before = time.thread_time()
        files.export(reviewed.session, reviewed)
        took.append(time.thread_time() - before)
        for one in QApplication.topLevelWidgets():
            if isinstance(one, ExportDialog):
                one.close()
        qtbot.wait(20)
    assert np.median(took) < 10 * pace, took
