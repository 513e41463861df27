"""The Labels dock: kinds come when wanted, sizes of the cluster label in µm, nothing blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from scipy.ndimage import center_of_mass

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.docks.coarse.dock import CoarseDock
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Candidate, Outline

LEFT = Qt.MouseButton.LeftButton
PATIENCE = 60_000


@pytest.fixture
def dock(panel: Panel, tnbc: Any, qtbot: QtBot) -> CoarseDock:
    """Real nuclei in one field, their labels made, the step open."""
    found: Any = panel.docks["coarse"]
    session = panel.session
    with session.acting():
        name = session.require_image().name
        nuclei = session.require_project().nuclei
        serials = np.unique(tnbc[1])[1:30]
        nuclei.add_many(name, center_of_mass(tnbc[1] > 0, tnbc[1], serials))
    found.kit.fields.add_whole()
    panel.open_step("coarse")
    settled(found, qtbot)
    assert isinstance(found, CoarseDock)
    return found


def settled(dock: CoarseDock, qtbot: QtBot) -> None:
    qtbot.wait(20)
    qtbot.waitUntil(lambda: not dock.kit.live.busy, timeout=PATIENCE)


def plane(dock: CoarseDock, kind: str) -> Any:
    layer = layers.find(dock.session.viewer, "tissue", kind)
    return None if layer is None or not layer.visible else np.array(layer.data)


def enter(dock: CoarseDock, qtbot: QtBot, name: str, text: str) -> None:
    """Type a size over what stands there."""
    edit = dock.sizes.edits[name]
    edit.selectAll()
    qtbot.keyClick(edit, Qt.Key.Key_Delete)
    qtbot.keyClicks(edit, text)
    qtbot.keyClick(edit, Qt.Key.Key_Return)


def test_a_kind_is_made_out_of_the_way_when_first_wanted(dock: CoarseDock, qtbot: QtBot) -> None:
    assert plane(dock, "cluster") is None
    qtbot.mouseClick(dock.shown["cluster"], LEFT)
    assert dock.kit.live.busy
    assert plane(dock, "cluster") is None
    settled(dock, qtbot)
    assert set(np.unique(plane(dock, "cluster"))) == {0, 1, 2}
    qtbot.mouseClick(dock.shown["cluster"], LEFT)
    assert plane(dock, "cluster") is None
    qtbot.mouseClick(dock.shown["cluster"], LEFT)
    assert not dock.kit.live.busy
    assert plane(dock, "cluster") is not None


def test_outlines_are_seen_and_the_untrained_ones_once_they_are_wanted(
    dock: CoarseDock, qtbot: QtBot
) -> None:
    assert dock.shown["outline"].isChecked()
    assert set(np.unique(plane(dock, "outline"))) == {0, *dock.kit.points.nuclei}
    assert not dock.shown["local"].isChecked()
    assert layers.find(dock.session.viewer, "tissue", "local") is None
    qtbot.mouseClick(dock.shown["local"], LEFT)
    settled(dock, qtbot)
    assert set(np.unique(plane(dock, "local"))) == {0, *dock.kit.points.nuclei}
    assert (plane(dock, "local") != plane(dock, "outline")).any()


def test_all_kinds_are_kept_in_the_project(dock: CoarseDock, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: dock.summary().text == "up to date", timeout=PATIENCE)
    labels = dock.session.require_project().labels
    assert {"outline", "voronoi", "cluster", "local"} <= set(labels.kinds("tissue"))
    kept, live = labels.read("tissue", "outline"), dock.kit.live.labels
    assert live is not None
    np.testing.assert_array_equal(kept, live.outline)


def test_the_nucleus_radius_is_set_kept_and_measured_again(dock: CoarseDock, qtbot: QtBot) -> None:
    labels = dock.session.require_project().labels
    qtbot.mouseClick(dock.shown["cluster"], LEFT)
    settled(dock, qtbot)
    before, edit = plane(dock, "cluster"), dock.sizes.edits["radius_um"]
    measured = float((labels.fit("tissue") or {})["radius"]) * 0.25
    assert edit.text() == ""
    assert edit.placeholderText() == f"{measured:.1f} measured"
    enter(dock, qtbot, "radius_um", "8,0")
    assert dock.kit.live.busy
    settled(dock, qtbot)
    after, fit = plane(dock, "cluster"), labels.fit("tissue") or {}
    assert (fit["radius_um"], fit["radius"]) == (8.0, 32.0)
    assert (after == 1).sum() > 1.2 * (before == 1).sum()
    qtbot.mouseClick(dock.refit, LEFT)
    settled(dock, qtbot)
    assert (labels.fit("tissue") or {})["radius"] == 32.0
    enter(dock, qtbot, "radius_um", "")
    settled(dock, qtbot)
    np.testing.assert_array_equal(plane(dock, "cluster"), before)


def test_a_size_shows_the_cluster_label_and_what_is_kept_follows(
    dock: CoarseDock, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: dock.summary().text == "up to date", timeout=PATIENCE)
    enter(dock, qtbot, "smallest_um2", "15")
    settled(dock, qtbot)
    assert plane(dock, "cluster") is not None
    assert dock.shown["cluster"].isChecked()
    qtbot.waitUntil(lambda: dock.summary().text == "up to date", timeout=PATIENCE)
    kept = dock.session.require_project().labels.read("tissue", "cluster")
    np.testing.assert_array_equal(kept, plane(dock, "cluster"))


def test_a_size_that_cannot_be_is_refused_in_words(dock: CoarseDock, qtbot: QtBot) -> None:
    said: list[str] = []
    dock.session.noticed.connect(said.append)
    for count, text in enumerate(("-3", "many", "1000"), start=1):
        enter(dock, qtbot, "radius_um", text)
        assert len(said) == count, text
        assert "give a number from 0.5 to 20 µm" in said[-1]
        assert dock.sizes.edits["radius_um"].text() == ""
        assert dock.kit.live.parameters() == {}


def test_opacity_of_one_kind(dock: CoarseDock, qtbot: QtBot) -> None:
    dock.kit.live.want("voronoi", True)
    qtbot.waitUntil(
        lambda: layers.find(dock.session.viewer, "tissue", "voronoi") is not None, timeout=PATIENCE
    )
    dock.opacity["voronoi"].setValue(30)
    found: Any = layers.find(dock.session.viewer, "tissue", "voronoi")
    other: Any = layers.find(dock.session.viewer, "tissue", "outline")
    assert found.opacity == pytest.approx(0.3)
    assert other.opacity == pytest.approx(0.9)


def test_labels_that_are_out_of_sight_follow_as_well(dock: CoarseDock, qtbot: QtBot) -> None:
    session = dock.session
    session.toggle("outline", False)
    record, nuclei = session.require_image(), session.require_project().nuclei
    with session.acting():
        nuclei.remove([n.id for n in nuclei.of(record.name)][:5])  # more than follow one by one
    settled(dock, qtbot)
    session.toggle("outline", True)
    live = dock.kit.live.labels
    assert live is not None
    np.testing.assert_array_equal(plane(dock, "outline"), live.outlines)


def test_another_scale_makes_the_labels_anew(dock: CoarseDock, qtbot: QtBot) -> None:
    before = plane(dock, "outline")
    dock.session.set_mpp(0.4)
    settled(dock, qtbot)
    live = dock.kit.live.labels
    assert live is not None
    assert live.scale == pytest.approx(0.25 / 0.4)
    assert (plane(dock, "outline") != before).any()
    np.testing.assert_array_equal(plane(dock, "outline"), live.outlines)


@pytest.mark.long
def test_nothing_is_said_of_labels_made_anew_while_reviewing(
    dock: CoarseDock, panel: Panel, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: dock.summary().text == "up to date", timeout=PATIENCE)
    panel.open_step("review")
    nucleus = panel.session.require_project().nuclei.of(str(panel.session.image))[0]
    with panel.session.acting():
        panel.session.require_project().nuclei.move(nucleus.id, nucleus.y + 2, nucleus.x)
    assert dock.kit.live.busy or dock.deriver.left or dock._settle.isActive()
    assert dock.summary().text == "up to date"
    panel.open_step("coarse")
    assert dock.summary().text == "working …"
    qtbot.waitUntil(lambda: dock.summary().text == "up to date", timeout=PATIENCE)


def test_finds_that_were_accepted_have_labels_without_any_click(
    panel: Panel, tnbc: Any, qtbot: QtBot
) -> None:
    dock: Any = panel.docks["coarse"]
    session = panel.session
    nuclei, image = session.require_project().nuclei, session.require_image().name
    mask = tnbc[1] == tnbc[1][tnbc[1] > 0][0]
    ((y, x),) = center_of_mass(mask, mask, [1])
    outline = Outline(Box(0, 0, *mask.shape), mask)
    found = Candidate("", 0, y, x, outline, 0.9, "", "run-1", float(mask.sum()) / 16)
    with session.acting():
        (named,) = nuclei.adopt(image, "run-1", [found])
        nuclei.decide([named.id], "accepted", "run-1")
    dock.kit.fields.add_whole()
    panel.open_step("coarse")
    qtbot.waitUntil(lambda: dock.summary().text == "up to date", timeout=PATIENCE)
    assert "outline" in session.require_project().labels.kinds(image)
