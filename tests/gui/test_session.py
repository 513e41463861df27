"""The session without a window: projects made on the first act, layers and images kept in step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import layers, tissue
from napari_noisyseg.gui.canvas.closeup import Closeup
from napari_noisyseg.gui.canvas.outlines import outline_paths, outlines_of
from napari_noisyseg.gui.session import Session, session_of
from napari_noisyseg.gui.tools.hand import Press
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline


def test_nothing_is_written_before_the_first_act(bare: Session, png: Path) -> None:
    kit_of(bare)
    assert bare.project is None
    assert sorted(p.name for p in png.parent.iterdir()) == ["tissue.png"]


def test_first_point_makes_a_project_beside_the_image(bare: Session, png: Path) -> None:
    kit_of(bare).points.add(20.0, 30.0)
    assert bare.project is not None
    assert bare.project.path == png.with_name("tissue.noisyseg")
    bare.close()
    with Project.open(png.with_name("tissue.noisyseg")) as again:
        (nucleus,) = again.nuclei.of("tissue")
        assert (nucleus.y, nucleus.x) == (20.0, 30.0)


def test_second_session_goes_on_where_the_first_ended(
    bare: Session, png: Path, opened: Callable[[Path], Session]
) -> None:
    kit_of(bare).points.add(20.0, 30.0)
    bare.shut()
    session = opened(png)
    kit_of(session).points.add(40.0, 50.0)
    assert session.project is not None
    assert len(session.project.nuclei.of("tissue")) == 2
    assert len(kit_of(session).points.nuclei) == 2
    session.shut()


def test_folder_that_cannot_be_written_sends_the_project_home(
    bare: Session, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tissue, "may_write", lambda folder: False)
    kit_of(bare).points.add(20.0, 30.0)
    assert bare.project is not None
    assert bare.project.path == own_home / "noisyseg" / "tissue.noisyseg"


def test_layer_without_a_file_is_taken_by_its_pixels(own_home: Path, tnbc: Any) -> None:
    viewer = ViewerModel()
    viewer.add_image(tnbc[0], name="fresh: from / a script", rgb=True)
    session = session_of(viewer)
    record = session.require_image()
    assert session.project is not None
    pixels = session.project.pixels(record.name).read(Box(0, 0, record.height, record.width))
    np.testing.assert_array_equal(pixels, tnbc[0])
    session.shut()


def test_no_image_is_a_notice_and_makes_nothing(own_home: Path) -> None:
    session = session_of(ViewerModel())
    said: list[str] = []
    session.noticed.connect(said.append)
    assert kit_of(session).points.add(1.0, 1.0) is None
    assert session.project is None
    assert "drop" in said[0]
    assert not own_home.exists()
    session.shut()


def test_layers_take_scale_and_units_and_the_view_stays(bare: Session) -> None:
    viewer = bare.viewer
    layer = viewer.layers[0]
    other = viewer.add_labels(np.zeros(layer.data.shape[:2], int), name="of another plugin")
    viewer.scene.camera.center, viewer.scene.camera.zoom = (100.0, 200.0), 2.0
    kit_of(bare).points.add(20.0, 30.0)
    record = bare.record()
    assert record is not None
    assert layer.scale[0] == pytest.approx(record.mpp)
    assert other.scale[0] == pytest.approx(record.mpp)
    assert str(layer.units[0]) == "micrometer"
    assert viewer.scene.camera.zoom == pytest.approx(2.0 / record.mpp)
    assert viewer.scene.camera.center[-1] == pytest.approx(200.0 * record.mpp)
    points = layers.find(viewer, record.name, "points")
    assert points is not None
    assert points.scale[0] == pytest.approx(record.mpp)
    assert points.name == "tissue · points"


def test_layers_are_found_after_they_were_renamed(bare: Session) -> None:
    kit = kit_of(bare)
    kit.points.add(20.0, 30.0)
    for layer in bare.viewer.layers:
        layer.name = "renamed by hand"
    kit.points.add(60.0, 70.0)
    layer = kit.points.layer()
    assert layer is not None
    assert len(layer.data) == 2


def test_deleted_layers_come_back_with_the_next_act(bare: Session) -> None:
    kit = kit_of(bare)
    kit.points.add(20.0, 30.0)
    bare.viewer.layers.remove(kit.points.layer())
    kit.points.add(60.0, 70.0)
    layer = kit.points.layer()
    assert layer is not None
    assert len(layer.data) == 2


def test_stated_resolution_is_used_and_can_be_changed(bare: Session) -> None:
    bare.set_mpp(0.4)
    kit_of(bare).points.add(20.0, 30.0)
    record = bare.record()
    assert record is not None
    assert record.mpp == pytest.approx(0.4)
    assert not record.mpp_assumed
    bare.set_mpp(0.5)
    points = kit_of(bare).points.layer()
    assert points is not None
    assert points.scale[0] == pytest.approx(0.5)


def test_a_stated_resolution_is_of_one_image_alone_and_before_its_file(bare: Session) -> None:
    first = bare.image_layer()
    assert first is not None
    first.scale, first.units = (0.25, 0.25), ("um", "um")
    bare.set_mpp(0.5)
    kit_of(bare).points.add(20.0, 30.0)
    assert bare.require_image().mpp == pytest.approx(0.5)
    other = bare.viewer.add_image(np.full((64, 80, 3), 200, np.uint8), rgb=True, name="other")
    assert bare.front.adopt(other).mpp_assumed


def test_error_becomes_a_notice(bare: Session) -> None:
    said: list[str] = []
    bare.noticed.connect(said.append)
    bare.expects_errors = True  # type: ignore[attr-defined]
    with bare.guard():
        raise NoisySegError("wrong, here, mend it so")
    with bare.guard():
        raise RuntimeError("odd")
    assert said[0] == "wrong, here, mend it so"
    assert "odd" in said[1]


def test_undo_survives_a_restart(bare: Session, png: Path) -> None:
    kit_of(bare).points.add(20.0, 30.0)
    kit_of(bare).points.add(40.0, 50.0)
    bare.close()
    bare.open(png.with_name("tissue.noisyseg"))
    bare.undo()
    assert [(n.y, n.x) for n in kit_of(bare).points.nuclei.values()] == [(20.0, 30.0)]
    layer = kit_of(bare).points.layer()
    assert layer is not None
    assert len(layer.data) == 1


def test_two_images_swap_their_layers(bare: Session, tnbc: Any) -> None:
    kit = kit_of(bare)
    kit.points.add(20.0, 30.0)
    second = bare.viewer.add_image(np.rot90(tnbc[0]).copy(), name="second", rgb=True)
    assert bare.front.offered() == [second]
    bare.front.adopt(second)
    assert bare.front.offered() == []
    kit.points.add(5.0, 6.0)
    assert bare.image == "second"
    bare.show_image("tissue")
    assert layers.find(bare.viewer, "tissue", "points").visible
    assert not layers.find(bare.viewer, "second", "points").visible
    assert [(n.y, n.x) for n in kit.points.nuclei.values()] == [(20.0, 30.0)]
    bare.show_image("second")
    assert layers.find(bare.viewer, "second", "points").visible
    assert [(n.y, n.x) for n in kit.points.nuclei.values()] == [(5.0, 6.0)]


def test_a_project_that_somebody_holds_is_read(
    bare: Session, png: Path, opened: Callable[[Path], Session]
) -> None:
    kit_of(bare).points.add(20.0, 30.0)
    other = opened(png)
    said: list[str] = []
    other.noticed.connect(said.append)
    other.resume()
    assert other.project is not None
    assert not other.writable
    assert "Opened read-only" in said[0]
    assert kit_of(other).points.add(40.0, 50.0) is None
    assert bare.project is not None
    assert len(bare.project.nuclei.of("tissue")) == 1
    other.shut()


def test_the_open_project_opened_again_stays_open(bare: Session) -> None:
    kit_of(bare).points.add(20.0, 30.0)
    project = bare.require_project()
    bare.open(project.path)
    assert bare.project is project
    assert bare.writable
    kit_of(bare).points.add(40.0, 50.0)
    assert len(project.nuclei.of("tissue")) == 2


def test_a_project_whose_lock_or_folder_has_gone_can_be_left(bare: Session, tmp_path: Path) -> None:
    kit_of(bare).points.add(20.0, 30.0)
    path = bare.require_project().path
    (path / "lock.json").unlink()
    bare.open(path)
    assert bare.require_project().held
    other = tmp_path / "other.noisyseg"
    Project.create(other).close()
    path.rename(tmp_path / "moved.noisyseg")
    bare.open(other)
    assert bare.require_project().path == other


def test_an_undo_out_of_sight_is_told(bare: Session) -> None:
    said: list[str] = []
    bare.undoing.told.connect(said.append)
    points = kit_of(bare).points
    for y in (20.0, 40.0):
        points.add(y, 30.0)
    bare.undo()
    assert not any(said)  # the point goes from the canvas
    bare.look(step="review")
    bare.undo()
    bare.redo()
    assert [words for words in said if words] == [
        "Undone: add a point. Ctrl+Shift+Z brings it back.",
        "Done again: add a point.",
    ]
    assert bare.undoing.next() == ("add a point", "add a point")
    points.add(60.0, 30.0)  # nothing is left to bring back
    assert said[-1] == ""


def test_removed_image_comes_back_with_undo(bare: Session) -> None:
    kit_of(bare).points.add(20.0, 30.0)
    bare.front.remove()
    assert bare.project is not None
    assert bare.project.images() == []
    assert layers.shown(bare.viewer) == []
    bare.undo()
    assert bare.image == "tissue"
    assert len(kit_of(bare).points.nuclei) == 1


class TestLargeSlide:
    """Labels and painting are of one field at a time; the rest of the slide stays untouched."""

    @pytest.fixture
    def slide(self, own_home: Path) -> Iterator[Session]:
        from napari_noisyseg.gui.samples import slide

        viewer = ViewerModel()
        ((pixels, keywords, _),) = slide()
        viewer.add_image(pixels, **keywords)
        session = session_of(viewer)
        yield session
        session.shut()

    def test_painting_needs_a_field(self, slide: Session) -> None:
        said: list[str] = []
        slide.noticed.connect(said.append)
        with slide.guard():
            kit_of(slide).use("paint")
        assert "field first" in said[0]

    def test_the_field_at_work_is_painted_and_labelled(self, slide: Session) -> None:
        kit = kit_of(slide)
        kit.live.want("voronoi", True)
        kit.fields.add(Box(200, 300, 500, 700))
        kit.fields.add(Box(1500, 900, 1800, 1200))
        kit.points.add(300.0, 400.0)
        name = slide.image
        assert name is not None
        live = layers.find(slide.viewer, name, "voronoi")
        assert live is not None
        margin = 200 - live.translate[0] / live.scale[0]
        assert margin == pytest.approx(32, abs=1)
        kit.points.add(1600.0, 1000.0)
        live = layers.find(slide.viewer, name, "voronoi")
        assert live is not None
        assert live.translate[0] / live.scale[0] == pytest.approx(1500 - margin)
        assert live.data[int(100 + margin), int(100 + margin)] == 1
        kit.use("paint")
        layer = kit.rough.layer()
        assert layer is not None
        assert layer.data.shape == live.data.shape
        place = (1500 - margin + 60, 900 - margin + 70)
        world = slide.image_layer().data_to_world(place)
        kit.rough.press(Press(world, place, 1.0)).end(place, False)
        assert slide.project is not None
        painted = slide.project.nuclei.painted(name, "rough")
        assert painted[int(1500 - margin) + 60, int(900 - margin) + 70] == 1

    def test_a_field_is_brought_into_view(self, slide: Session) -> None:
        kit = kit_of(slide)
        kit.fields.add(Box(200, 300, 500, 700))
        field = kit.fields.add(Box(1500, 900, 1800, 1200))
        assert field is not None
        kit.show_field(field.id)
        image = slide.image_layer()
        assert image is not None
        y, x = image.world_to_data(slide.viewer.scene.camera.center[-2:])
        assert (y, x) == pytest.approx((1649.5, 1049.5))


def test_layers_of_images_that_were_left_long_ago_go_and_come_again(bare: Any) -> None:
    first, project = bare.require_image().name, bare.require_project()
    kit_of(bare).points.add(100, 120)
    for number in range(4):
        project.add_array(np.full((80, 90, 3), 200, np.uint8), f"image {number}")
        project.nuclei.add(f"image {number}", 10.0, 20.0)
    bare.sync()
    for number in range(4):
        bare.show_image(f"image {number}")
        assert layers.find(bare.viewer, f"image {number}", "points") is not None
    held = [layers.image_name(layer) for layer in bare.viewer.layers]
    assert (
        {"image 1", "image 2", "image 3"} <= set(held) <= {"image 1", "image 2", "image 3", first}
    )
    # the first image is napari's own: it stays, what we drew on it does not
    assert held.count(first) == 1
    assert bare.view.shows("points")
    bare.show_image("image 0")
    assert len(layers.find(bare.viewer, "image 0", "points").data) == 1
    bare.show_image(first)
    assert len(layers.find(bare.viewer, first, "points").data) == 1
    assert bare.image == first


def test_outlines_under_review_are_handed_over_to_another_image(bare: Any) -> None:
    first, project = bare.require_image(), bare.require_project()
    other = project.add_array(np.full((80, 90, 3), 200, np.uint8), "other", mpp=2 * first.mpp)
    bare.sync()
    bare.show_image("other")
    bare.show_image(first.name)
    bare.look(step="review")
    lines = outline_paths(Outline(Box(5, 5, 20, 20), np.ones((15, 15), bool)))
    closeup = Closeup(bare.viewer)
    closeup.show(first, lines, [])
    layer = closeup.layer
    for record in (project.image("other"), first, project.image("other")):
        bare.show_image(record.name)
        closeup.show(record, lines, [])
        assert closeup.layer is layer
        assert layers.image_name(layer) == record.name
        assert layer.visible
        assert layer.name.startswith(record.name)
        assert layer.scale[-1] == pytest.approx(record.mpp)
        above = list(bare.viewer.layers)[bare.viewer.layers.index(layer) :]
        assert not [x for x in above[1:] if layers.image_name(x) == record.name]
    assert other.name == "other"
    # napari's own tools, which never act on our layers, have nothing drawn for them
    assert not layer._overlays["polygon"].visible
    assert not layer._overlays["brush_stroke"].visible
    closeup.clear()
    assert closeup.layer is layer
    assert not outlines_of(layer).paths
