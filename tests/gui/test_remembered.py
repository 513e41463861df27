"""What was switched on or off on the canvas is found so again after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import Qt

from napari_noisyseg.gui.window.remembered import KEPT, text_of, toggles_of
from napari_noisyseg.store import Project

places = st.tuples(st.booleans(), st.sampled_from(KEPT))


@given(st.dictionaries(places, st.booleans()))
def test_toggles_are_read_as_they_were_written(toggles: dict[tuple[bool, str], bool]) -> None:
    assert dict(toggles_of(text_of(toggles))) == toggles


@given(st.text("abc ,onf results marking refined", max_size=60))
def test_what_is_odd_in_the_settings_is_left_out(text: str) -> None:
    assert set(toggles_of(text)) <= {(at, kind) for at in (True, False) for kind in KEPT}


def test_a_run_s_maps_and_the_pixels_are_not_kept() -> None:
    assert text_of({(True, "probability"): True, (True, "image"): False}) == ""
    assert not toggles_of("results image off, nowhere refined off, results refined perhaps")


@pytest.mark.gui
def test_overview_and_outlines_are_as_they_were_left(
    make_napari_viewer: Any, data_dir: Path, tmp_path: Path, qtbot: Any
) -> None:
    slide = data_dir / "slides" / "CMU-1-Small-Region_pyramid_DERIVED.ome.tif"
    with Project.create(tmp_path / "slide.noisyseg") as made:
        made.add_image(slide, name="slide")

    def window() -> Any:
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1280, 800)
        _, panel = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
        panel.session.open(tmp_path / "slide.noisyseg")
        return viewer, panel, panel.session.__dict__["overview"].map

    from hand import Hand

    viewer, panel, small = window()
    qtbot.waitUntil(small.isVisible, timeout=5000)
    hand = Hand(panel, qtbot)
    hand.key(Qt.Key.Key_O)
    assert not small.isVisible()
    panel.session.toggle("outline", False)
    panel.open_step("train")
    panel.session.toggle("refined", False)
    viewer.close()

    viewer, panel, small = window()
    qtbot.wait(50)
    assert not small.isVisible()
    view = panel.session.view
    assert not view.shows("outline")
    assert view.shows("points")
    panel.open_step("train")
    assert not panel.session.view.shows("refined")
    Hand(panel, qtbot).key(Qt.Key.Key_O)
    assert small.isVisible()
    panel.session.toggle("refined", True)
    viewer.close()

    _, panel, small = window()
    qtbot.waitUntil(small.isVisible, timeout=5000)
    panel.open_step("review")
    assert panel.session.view.shows("refined")
