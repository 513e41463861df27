"""The panel in a real window, used with a real mouse and real keys."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand import RIGHT, Hand, near, places
from napari.settings import get_settings
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QScrollArea

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.docks.annotate.suggestrow import SuggestRow
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.tools.suggesting import SuggestTool


def test_click_drag_right_click_and_keys(hand: Hand, panel: Panel, qtbot: QtBot) -> None:
    hand.click((100, 120))
    hand.click((200, 220))
    assert near(places(panel), [(100, 120), (200, 220)])
    hand.drag((100, 120), (130, 160))
    qtbot.waitUntil(lambda: near(places(panel), [(130, 160), (200, 220)]), timeout=5000)
    hand.click((200, 220), RIGHT)
    assert near(places(panel), [(130, 160)])
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert near(places(panel), [(130, 160), (200, 220)])
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert near(places(panel), [(100, 120), (200, 220)])
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert near(places(panel), [(130, 160), (200, 220)])
    qtbot.waitUntil(lambda: "2 nuclei" in panel.rows["annotate"].state.text, timeout=3000)


def test_plain_keys_are_ours_even_on_a_labels_layer(hand: Hand, panel: Panel) -> None:
    """napari's Labels layer takes 1, 2, 3, E, P and Ctrl+Z for itself."""
    annotate = panel.docks["annotate"]
    hand.click((100, 120))
    hand.key(Qt.Key.Key_B)
    rough: Any = layers.find(panel.session.viewer, "tissue", "rough")
    assert panel.session.view.tool == "paint"
    hand.drag((300, 300), (300, 320))
    assert rough.data[300, 310] == 1
    hand.key(Qt.Key.Key_E)
    assert panel.session.view.tool == "erase"
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not rough.data.any()
    hand.key(Qt.Key.Key_P)
    assert annotate.kit.tool == "points"  # type: ignore[attr-defined]


def test_field_is_drawn_and_labels_come(hand: Hand, panel: Panel, qtbot: QtBot) -> None:
    hand.key(Qt.Key.Key_F)
    hand.drag((50, 50), (250, 300))
    project = panel.session.project
    assert project is not None
    (field,) = project.nuclei.fields("tissue")
    assert np.abs(np.subtract(field.box, (50, 50, 250, 300))).max() <= 2
    hand.key(Qt.Key.Key_P)
    hand.click((100, 120))
    hand.click((120, 220))
    panel.open_step("coarse")
    hand.key(Qt.Key.Key_1)

    def shown() -> bool:
        layer = layers.find(panel.session.viewer, "tissue", "voronoi")
        return layer is not None and bool((layer.data[60:240, 60:290] == 0).any())

    qtbot.waitUntil(shown, timeout=20_000)
    # nobody asks for it: what the project keeps follows by itself
    qtbot.waitUntil(lambda: panel.rows["coarse"].state.text == "up to date", timeout=20_000)
    kept = project.labels.read("tissue", "voronoi")
    assert kept is not None
    shown_now: Any = layers.find(panel.session.viewer, "tissue", "voronoi")
    np.testing.assert_array_equal(kept, shown_now.data)


def test_hiding_renaming_deleting_layers_breaks_nothing(hand: Hand, panel: Panel) -> None:
    hand.click((100, 120))
    viewer = panel.session.viewer
    viewer.layers.remove(layers.find(viewer, "tissue", "points"))
    for layer in viewer.layers:
        layer.name = "mine"
    hand.click((200, 220))
    assert near(places(panel), [(100, 120), (200, 220)])
    points: Any = layers.find(viewer, "tissue", "points")
    points.visible = False
    hand.click((300, 320))
    assert layers.find(viewer, "tissue", "points").visible
    assert len(layers.find(viewer, "tissue", "points").data) == 3
    viewer.layers.clear()
    for step in panel.docks:
        panel.open_step(step)
    panel.refresh()


def test_the_tools_rest_while_another_step_is_open(hand: Hand, panel: Panel) -> None:
    hand.click((100, 120))
    panel.open_step("train")
    hand.click((200, 220))
    panel.open_step("annotate")
    hand.click((300, 320))
    assert near(places(panel), [(100, 120), (300, 320)])


def test_footer_names_the_keys_that_work(panel: Panel, qtbot: QtBot) -> None:
    panel.open_step("review")
    assert "accept" in panel.footer.text()
    panel.open_step("annotate")
    assert "accept" not in panel.footer.text()
    assert "undo" in panel.footer.text()


def test_cheat_sheet_opens_with_f1(hand: Hand, panel: Panel, qtbot: QtBot) -> None:
    hand.key(Qt.Key.Key_F1)
    sheet = panel._sheet
    assert sheet.isVisible()
    # the whole of it is seen on a small laptop's screen
    assert sheet.minimumSizeHint().width() <= 1280
    assert sheet.minimumSizeHint().height() <= 760
    for key in sheet.buttons.values():
        assert key.width() >= key.sizeHint().width()
    qtbot.keyClick(sheet, Qt.Key.Key_F1)
    assert not sheet.isVisible()


def test_it_follows_napari_s_theme_and_fits_a_small_screen(
    panel: Panel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SuggestTool, "teachable", True)
    panel.findChild(SuggestRow).refresh()
    for theme in ("light", "dark"):
        get_settings().appearance.theme = theme
        qtbot.wait(50)
        for step in panel.docks:
            panel.open_step(step)
            assert panel.minimumSizeHint().width() <= 360, step
            for area in panel.findChildren(QScrollArea):
                # a scroll bar of 15 px takes its share; what is wider is cut off without a word
                if area.isVisible() and area.widget() is not None:
                    assert area.widget().minimumSizeHint().width() <= 345, step
        assert panel.rows["annotate"].palette_.dark == (theme == "dark")


def test_resolution_can_be_set_before_the_first_click(panel: Panel, qtbot: QtBot) -> None:
    header: Any = panel.header
    assert header.assumed.text() == "assumed"
    header.mpp.selectAll()
    qtbot.keyClicks(header.mpp, "0,5")
    qtbot.keyClick(header.mpp, Qt.Key.Key_Return)
    panel.docks["annotate"].kit.points.add(20.0, 30.0)  # type: ignore[attr-defined]
    record = panel.session.record()
    assert record is not None
    assert record.mpp == pytest.approx(0.5)
    panel._refresh_now()
    assert header.assumed.text() == ""


@pytest.mark.parametrize("name", ["Annotate", "Coarse labels", "Train", "Review"])
def test_each_dock_works_alone(make_napari_viewer: Callable[..., Any], name: str) -> None:
    viewer = make_napari_viewer()
    _, panel = viewer.window.add_plugin_dock_widget("napari-noisyseg", name)
    (dock,) = panel.docks.values()
    assert dock.summary().text
    assert not panel.rows[dock.step].isVisibleTo(panel)


def test_panel_and_a_dock_alone_share_the_session(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    _, panel = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
    _, alone = viewer.window.add_plugin_dock_widget("napari-noisyseg", "Annotate")
    assert panel.session is alone.session


SCRIPT = """
    import sys
    {before}
    import napari
    from napari_noisyseg import samples
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.open(str(samples.FIELD), plugin="napari")
    _, panel = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
    kit = panel.docks["annotate"].kit
    kit.fields.add_whole()
    for place in ((20, 30), (60, 90), (200, 220)):
        assert kit.points.add(*map(float, place)) is not None
    for step in panel.docks:
        panel.open_step(step)
    assert panel.session.project is not None
    assert len(panel.session.project.nuclei.of(panel.session.image)) == 3
    assert not [name for name in sys.modules if name.split(".")[0] == "torch"]
    viewer.close()
    print("fine")
"""


BLOCK = """
    from importlib.machinery import PathFinder
    found = PathFinder.find_spec
    def without_torch(name, path=None, target=None):
        return None if name.split(".")[0] == "torch" else found(name, path, target)
    PathFinder.find_spec = without_torch
"""


@pytest.mark.gui
@pytest.mark.parametrize("before", ["", BLOCK], ids=["there", "blocked"])
@pytest.mark.long
def test_annotating_needs_no_torch(before: str, own_home: Path) -> None:
    script = textwrap.dedent(SCRIPT).format(before=textwrap.dedent(before))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip().endswith("fine"), done.stderr[-2000:]


def test_window_that_closes_ends_the_session(
    make_napari_viewer: Callable[..., Any], png: Path, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer()
    viewer.open(str(png), plugin="napari")
    _, panel = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
    panel.docks["annotate"].kit.points.add(20.0, 30.0)
    path = panel.session.project.path
    assert (path / "lock.json").exists()
    viewer.close()
    qtbot.waitUntil(lambda: not (path / "lock.json").exists(), timeout=5000)


def test_hidden_panel_leaves_the_canvas_to_napari(hand: Hand, panel: Panel) -> None:
    hand.click((100, 120))
    panel.parent().hide()
    hand.click((200, 220))
    panel.parent().show()
    hand.click((300, 320))
    assert near(places(panel), [(100, 120), (300, 320)])
