"""What new users ran into with several images: each a test, with a real mouse and real keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hand import CONTROL, SHIFT, Hand, near, places
from numpy.typing import NDArray
from PIL import Image
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_noisyseg.gui.canvas import layers, tissue
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline

Z = Qt.Key.Key_Z


@pytest.fixture
def biopsy(tmp_path: Path, tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> Path:
    """Another piece of tissue, of another size, at 0.5 µm per pixel."""
    path = tmp_path / "biopsy.tif"
    rgb = np.ascontiguousarray(np.rot90(tnbc[0])[40:360, 60:480])
    per_cm = (20_000, 20_000)
    tifffile.imwrite(path, rgb, resolution=per_cm, resolutionunit="CENTIMETER", photometric="rgb")
    return path


def said(panel: Panel) -> str:
    return "\n".join(panel.notes.texts())


class TestTwoImages:
    @pytest.fixture
    def both(self, hand: Hand, biopsy: Path, monkeypatch: pytest.MonkeyPatch) -> Hand:
        """A project with a field and a nucleus in the first image; the second is in front."""
        hand.click((100, 120))
        hand.key(Qt.Key.Key_F)
        hand.drag((50, 50), (250, 300))
        hand.add_images(monkeypatch, biopsy)
        return hand

    def test_canvas_panel_and_disk_have_the_same_image_in_front(
        self, both: Hand, panel: Panel
    ) -> None:
        assert both.shows("biopsy")
        assert not panel.docks["annotate"].kit.fields.fields  # type: ignore[attr-defined]
        both.choose("tissue")
        assert both.shows("tissue")
        assert ("tissue", "fields") in both.seen()
        both.press(panel.docks["annotate"].tool_buttons["points"])  # type: ignore[attr-defined]
        both.click((200, 220))
        both.choose("biopsy")
        assert both.shows("biopsy")
        for place in ((60, 70), (160, 240), (300, 400)):
            both.click(place)
        assert near(places(panel, "biopsy"), [(60, 70), (160, 240), (300, 400)])
        assert near(places(panel, "tissue"), [(100, 120), (200, 220)])
        assert both.shows("biopsy")

    def test_undo_goes_back_through_both_and_shows_each(self, both: Hand, panel: Panel) -> None:
        both.choose("tissue")
        both.click((200, 220))
        both.choose("biopsy")
        both.click((60, 70))
        both.click((160, 240))
        for image, left in (
            ("biopsy", [(60, 70)]), ("biopsy", []), ("tissue", [(100, 120)]),
        ):  # fmt: skip
            both.key(Z, CONTROL)
            assert both.shows(image)
            assert near(places(panel), left)
        both.key(Z, CONTROL)  # the second image itself
        assert both.session.front.names() == ["tissue"]
        assert both.shows("tissue")
        both.key(Z, CONTROL)  # the field
        both.key(Z, CONTROL)  # the nucleus
        assert places(panel) == []
        assert both.shows("tissue")
        for _ in range(4):
            both.key(Z, CONTROL | SHIFT)
        assert both.shows("tissue")
        both.key(Z, CONTROL | SHIFT)
        assert both.shows("biopsy")
        both.key(Z, CONTROL | SHIFT)
        assert near(places(panel, "biopsy"), [(60, 70), (160, 240)])
        assert near(places(panel, "tissue"), [(100, 120), (200, 220)])
        assert said(panel) == ""

    def test_accepted_nuclei_of_the_other_one_need_no_field(
        self, hand: Hand, panel: Panel, biopsy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session, mask = panel.session, np.ones((20, 20), np.int32)
        with session.acting():
            nuclei, name = session.require_project().nuclei, session.require_image().name
            nuclei.paint(name, Box(40, 40, 60, 60), 0 * mask, mask)
            nuclei.add_outlined(name, 110.0, 110.0, Outline(Box(100, 100, 120, 120), mask > 0))
        hand.add_images(monkeypatch, biopsy)
        assert hand.shows("biopsy")
        row = panel.docks["annotate"].summary
        assert row() == ("1 nucleus · no field yet", "todo", None)
        hand.click((60, 70))
        assert row() == ("2 nuclei · no field yet", "warn", None)
        hand.choose("tissue")
        assert row() == ("2 nuclei · no field yet", "warn", None)
        hand.key(Z, CONTROL)
        hand.choose("tissue")
        assert row() == ("rough masks · 1 accepted", "done", None)

    @pytest.mark.long
    def test_it_is_seen_whole_at_first_and_then_as_it_was_left(
        self, both: Hand, panel: Panel, qtbot: QtBot
    ) -> None:
        camera = both.session.viewer.scene.camera
        for corner in ((2, 2), (317, 417)):
            assert both.canvas.rect().contains(both.at(corner))
        assert both.canvas.width() < 3 * (both.at((0, 419)).x() - both.at((0, 0)).x())
        camera.zoom *= 3
        camera.center = (0.0, 60.0, 80.0)
        left = (camera.zoom, tuple(camera.center))
        both.choose("tissue")
        assert camera.zoom != left[0]
        both.choose("biopsy")
        assert (camera.zoom, tuple(camera.center)) == left

    @pytest.mark.long
    def test_the_eye_of_another_image_brings_it_to_the_front(
        self, both: Hand, panel: Panel, qtbot: QtBot
    ) -> None:
        layer: Any = layers.find(both.session.viewer, "tissue", "image")
        layer.visible = True
        qtbot.waitUntil(lambda: both.session.image == "tissue", timeout=3000)
        assert both.shows("tissue")

    @pytest.mark.long
    def test_reordered_and_renamed_layers_break_nothing(self, both: Hand, panel: Panel) -> None:
        viewer = both.session.viewer
        both.click((60, 70))
        viewer.layers.reverse()
        for number, layer in enumerate(viewer.layers):
            layer.name = f"mine {number}"
        both.click((160, 240))
        assert both.shows("biopsy")
        both.choose("tissue")
        both.click((200, 220))
        assert near(places(panel), [(100, 120), (200, 220)])

    @pytest.mark.long
    def test_a_resolution_is_that_of_one_image(
        self, hand: Hand, panel: Panel, png: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both are assumed to have 0.25 at first; the layers of both lie at that scale."""
        hand.click((100, 120))
        second = png.with_name("second.png")
        Image.fromarray(np.rot90(np.asarray(Image.open(png)))[:400]).save(second)
        hand.add_images(monkeypatch, second)
        hand.click((60, 70))
        field = panel.header.mpp
        hand.press(field)
        field.selectAll()
        hand.type("0.4")
        hand.key(Qt.Key.Key_Return)
        assert hand.shows("second")
        viewer = hand.session.viewer
        for image, mpp in (("second", 0.4), ("tissue", 0.25)):
            for layer in layers.of_image(viewer, image):
                assert layer.scale[-1] == pytest.approx(mpp), layer.name
        hand.click((160, 240))
        assert near(places(panel), [(60, 70), (160, 240)])
        hand.choose("tissue")
        hand.click((200, 220))
        assert near(places(panel), [(100, 120), (200, 220)])


@pytest.mark.long
class TestOpenedInNapari:
    @pytest.fixture
    def beside(self, hand: Hand, biopsy: Path, qtbot: QtBot) -> Any:
        """The layer of an image that was opened by File ▸ Open while a project is open."""
        hand.click((100, 120))
        (layer,) = hand.session.viewer.open(str(biopsy), plugin="napari")
        qtbot.wait(100)
        return layer

    def test_it_lies_in_micrometres_at_a_size_like_the_rest(self, hand: Hand, beside: Any) -> None:
        assert tissue.layer_mpp(beside) == pytest.approx(0.25)
        assert hand.session.viewer.layers.extent.units is not None

    def test_it_is_offered_and_takes_no_clicks(self, hand: Hand, panel: Panel, beside: Any) -> None:
        assert panel.header.offer.isVisible()
        assert "biopsy" in panel.header.offered.text()
        hand.click((200, 250), layer=beside)
        assert "is not in this project: press Add" in said(panel)
        assert near(places(panel, "tissue"), [(100, 120)])
        assert hand.session.image == "tissue"

    def test_add_takes_it_in_once_and_in_front(
        self, hand: Hand, panel: Panel, beside: Any, monkeypatch: pytest.MonkeyPatch, biopsy: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        hand.click((200, 250), layer=beside)
        hand.press(panel.header.add)
        assert hand.shows("biopsy")
        assert said(panel) == ""
        assert not panel.header.offer.isVisible()
        assert layers.find(hand.session.viewer, "biopsy", "image") is beside
        assert str(beside.units[0]) == "micrometer"
        hand.click((200, 250))
        assert near(places(panel, "biopsy"), [(200, 250)])
        hand.add_images(monkeypatch, biopsy)
        assert "is in the project already" in said(panel)
        assert len(layers.images(hand.session.viewer)) == 2
        assert hand.session.front.names() == ["tissue", "biopsy"]
        assert hand.shows("biopsy")
        assert "Inconsistent units" not in capsys.readouterr().out
        # its own file's resolution, not that of the image it was laid beside
        assert hand.session.require_image().mpp == pytest.approx(0.5)
        assert tissue.layer_mpp(layers.find(hand.session.viewer, "tissue", "image")) == 0.25

    def test_add_images_takes_the_layer_that_lies_there(
        self, hand: Hand, panel: Panel, beside: Any, monkeypatch: pytest.MonkeyPatch, biopsy: Path
    ) -> None:
        hand.add_images(monkeypatch, biopsy)
        assert hand.shows("biopsy")
        assert len(layers.images(hand.session.viewer)) == 2
        assert not panel.header.offer.isVisible()

    def test_the_project_s_own_is_a_click_away(self, hand: Hand, panel: Panel, beside: Any) -> None:
        hand.choose("tissue")
        assert hand.shows("tissue")
        hand.click((200, 220))
        assert near(places(panel, "tissue"), [(100, 120), (200, 220)])


class TestImageGone:
    @pytest.mark.long
    def test_the_only_image_is_deleted_and_chosen_again(
        self, hand: Hand, panel: Panel, qtbot: QtBot
    ) -> None:
        hand.click((100, 120))
        hand.key(Qt.Key.Key_F)
        hand.drag((50, 50), (250, 300))
        hand.press_layer(hand.session.image_layer())
        hand.press(hand.layer_buttons().deleteButton)
        qtbot.waitUntil(lambda: not hand.session.viewer.layers, timeout=3000)
        header = panel.header
        qtbot.waitUntil(header.images.isEnabled, timeout=3000)
        assert header.images.currentText() == ""
        hand.choose("tissue")
        assert hand.shows("tissue")
        assert ("tissue", "fields") in hand.seen()
        hand.click((200, 220))
        assert near(places(panel), [(100, 120), (200, 220)])


class TestProjects:
    @pytest.mark.long
    def test_two_projects_with_images_of_the_same_name(
        self, hand: Hand, panel: Panel, tmp_path: Path, tnbc: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hand.click((100, 120))
        first = hand.session.require_project().path
        other = tmp_path / "other" / "tissue.noisyseg"
        rgb = np.ascontiguousarray(np.rot90(tnbc[0])[:300, :400])
        with Project.create(other) as project:
            project.add_array(rgb, "tissue", 0.4)
            project.nuclei.add("tissue", 30, 40)
        for path, shape, wanted in (
            (other, (300, 400), [(30, 40)]),
            (first, (512, 512), [(100, 120)]),
            (other, (300, 400), [(30, 40)]),
        ):
            monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, p=path: str(p))
            hand.menu("Open project")
            assert hand.shows("tissue")
            assert tissue.level0(hand.session.image_layer()).shape[:2] == shape
            assert near(places(panel), wanted)
        assert len(layers.images(hand.session.viewer)) == 2
        hand.click((200, 220))
        assert near(places(panel), [(30, 40), (200, 220)])
        with Project.open(first, write=False) as project:
            assert len(project.nuclei.of("tissue")) == 1

    def test_what_another_holds_is_read_and_refuses_clicks(
        self, hand: Hand, panel: Panel, qtbot: QtBot
    ) -> None:
        hand.click((100, 120))
        session, path = hand.session, hand.session.require_project().path
        session.close()
        with Project.open(path):
            session.open(path)
            assert "Opened read-only" in said(panel)
            qtbot.waitUntil(lambda: panel.header.saved.text() == "read only", timeout=3000)
            qtbot.waitUntil(lambda: ("tissue", "outline") in hand.seen(), timeout=5000)
            before = hand.seen()
            hand.click((200, 220))
            assert "read" in panel.notes.texts()[0]
            hand.key(Qt.Key.Key_F)
            hand.drag((50, 50), (250, 300))
            hand.key(Z, CONTROL)
            assert near(places(panel), [(100, 120)])
            assert hand.seen() - {("tissue", "fields")} == before
            fields: Any = layers.find(session.viewer, "tissue", "fields")
            assert fields.nshapes == 0
            points: Any = layers.find(session.viewer, "tissue", "points")
            assert len(points.data) == 1
            session.close()

    def test_closed_and_opened_again_in_the_same_window(
        self, hand: Hand, panel: Panel, biopsy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hand.click((100, 120))
        hand.add_images(monkeypatch, biopsy)
        hand.click((60, 70))
        session, path = hand.session, hand.session.require_project().path
        session.close()
        assert not hand.seen()
        session.open(path)
        hand.choose("tissue")
        assert hand.shows("tissue")
        hand.click((200, 220))
        hand.choose("biopsy")
        assert hand.shows("biopsy")
        assert near(places(panel), [(60, 70)])
        assert near(places(panel, "tissue"), [(100, 120), (200, 220)])
