"""The overview of a large image: what it shows, where it leads, and that it waits for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt
from scipy import ndimage as ndi

from napari_noisyseg.gui.canvas import dots, looks
from napari_noisyseg.gui.canvas.closeup import centre
from napari_noisyseg.gui.controllers import overview
from napari_noisyseg.gui.controllers.overview import Frame, Searched
from napari_noisyseg.gui.window.overview import Overview
from napari_noisyseg.slides import Box, open_image
from napari_noisyseg.store import Candidate, Outline, Project
from napari_noisyseg.whole.plan import make_plan
from napari_noisyseg.whole.stitch import PLAN, mark
from napari_noisyseg.worker.adoption.tiles import ADOPTED

MPP = 0.499
sides = st.integers(50, 120_000)


@pytest.fixture(scope="module")
def cmu(data_dir: Path) -> Path:
    """A small real slide as a pyramid."""
    return data_dir / "slides" / "CMU-1-Small-Region_pyramid_DERIVED.ome.tif"


# --- where things are ----------------------------------------------------------------------------


@given(sides, sides, st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_a_place_on_the_map_is_the_place_in_the_image(
    height: int, width: int, down: float, right: float
) -> None:
    frame = Frame.of((height, width), (168, 168))
    assert max(frame.size) <= 168
    y, x = frame.place(right * frame.size[1], down * frame.size[0])[::1]
    assert 0 <= y <= height - 1
    assert 0 <= x <= width - 1
    back = frame.rect((y + 0.5, x + 0.5, y + 0.5, x + 0.5))
    # a pixel's middle lies in it, so that the outermost half pixels are beside all places
    assert back.x == pytest.approx(right * frame.size[1], abs=0.51 * frame.scale[1] + 1e-6)
    assert back.y == pytest.approx(down * frame.size[0], abs=0.51 * frame.scale[0] + 1e-6)


@given(st.tuples(*[st.floats(-2e5, 2e5)] * 4))
@settings(max_examples=100, deadline=None)
def test_the_frame_of_a_view_stays_on_the_map_and_can_be_seen(edges: tuple[float, ...]) -> None:
    frame = Frame.of((80_000, 100_000), (168, 168))
    (y0, y1), (x0, x1) = sorted(edges[:2]), sorted(edges[2:])
    found = frame.view((y0, x0, y1, x1))
    assert found.x >= 0
    assert found.y >= 0
    assert found.x + found.width <= frame.size[1] + 1e-6
    assert found.y + found.height <= frame.size[0] + 1e-6
    assert min(found.width, found.height) >= overview.SMALLEST - 1e-6


def test_a_view_of_everything_is_the_whole_map() -> None:
    frame = Frame.of((2967, 2220), (168, 168))
    assert frame.size == (168, 126)
    assert frame.view((0, 0, 2967, 2220)) == (0, 0, 126, 168)
    x, y, width, height = frame.view((0, 0, 2967 / 2, 2220 / 2))
    assert (x, y) == (0, 0)
    assert (width, height) == pytest.approx((63, 84))


def test_a_map_is_of_use_where_the_image_is_many_times_the_screen() -> None:
    assert overview.of_use((2967, 2220), (740, 900))
    assert overview.of_use((80_000, 100_000), (1000, 1800))
    assert not overview.of_use((512, 512), (740, 900))
    assert not overview.of_use((1000, 1000), (740, 900))


# --- what it looks like --------------------------------------------------------------------------


def test_the_small_picture_is_the_whole_slide(cmu: Path) -> None:
    with open_image(cmu) as slide:
        frame = Frame.of(slide.shape, (168, 168))
        small = overview.small_picture(slide.levels, frame.size)
        assert small is not None
        assert small.shape == (*frame.size, 3)
        whole = np.asarray(slide.levels[0][:], np.float32)
    for y, x in ((20, 30), (84, 63), (150, 100)):
        part = whole[int(y * 17.66) : int((y + 1) * 17.66), int(x * 17.62) : int((x + 1) * 17.62)]
        assert np.abs(part.mean(axis=(0, 1)) - small[y, x]).max() < 20


def test_a_level_too_large_to_be_read_in_a_moment_is_not_read(
    cmu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "READABLE", 1000)
    with open_image(cmu) as slide:
        assert overview.small_picture(slide.levels, (168, 126)) is None
    plain = overview.composed(None, Frame((2967, 2220), (168, 126)), Searched(), np.empty((0, 2)),
                              dots.shades)  # fmt: skip
    assert (plain == overview.GROUND).all()


def test_what_was_searched_is_tinted_and_nuclei_stand_out(
    tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]],
) -> None:
    rgb, labels = tnbc
    frame = Frame.of((512, 512), (128, 128))
    small = rgb.reshape(128, 4, 128, 4, 3).mean(axis=(1, 3)).astype(np.uint8)
    places = np.array(ndi.center_of_mass(labels > 0, labels, np.unique(labels)[1:]))
    left = Searched((Box(0, 0, 512, 256),), 0.5)
    bare = overview.composed(small, frame, Searched(), places[:0], dots.shades)
    tinted = overview.composed(small, frame, left, places[:0], dots.shades)
    assert np.array_equal(bare, small)
    assert np.array_equal(tinted[:, 64:], small[:, 64:])
    moved = tinted[:, :64].astype(int) - small[:, :64]
    towards = np.array(overview.TINT, int) - small[:, :64]
    assert (moved * towards >= 0).all()
    assert np.abs(moved).mean() > 5
    dense = overview.composed(small, frame, Searched(), places, dots.shades)
    change = np.abs(dense.astype(int) - small).sum(axis=2)
    at = tuple(np.floor(places / 4).astype(int).T)
    assert change[at].mean() > 3 * change.mean() / 2


class Model:
    """What a plan asks of a model."""

    side, key = 1024, "starter"

    def mpp(self, mpp: float) -> float:
        return mpp

    def measure(self, rgb: Any, mpp: float) -> dict[str, Any]:
        return {}


def find(place: tuple[float, float]) -> Candidate:
    y, x = place
    box = Box(int(y) - 6, int(x) - 6, int(y) + 6, int(x) + 6)
    return Candidate("", 0, y, x, Outline(box, np.ones((12, 12), bool)), 0.9, "", "", 20.0)


def predict(project: Project, image: str, tiles: int) -> list[Box]:
    """A run that has taken in so many tiles; where they are."""
    record = project.image(image)
    with project.pixels(image) as slide:
        plan = make_plan(slide, record.mpp, record.sha, Model())
    with project.runs.making() as run:
        spec = {"method": "starter", "slides": [{"image": image, "regions": None}]}
        run.write_spec(spec)
        folder = run.dir / "slides" / "0"
        folder.mkdir(parents=True)
        (folder / PLAN).write_text(plan.text(), "utf-8")
    run = project.runs.list()[-1]
    done = list(plan.tiles())[:tiles]
    for tile in done:
        mark(run.dir / "slides" / "0" / ADOPTED, tile.index)
    middles = [((b.y0 + b.y1) / 2, (b.x0 + b.x1) / 2) for b in (t.core for t in done)]
    project.nuclei.adopt(image, run.id, [find(place) for place in middles])
    return [tile.core for tile in done]


@pytest.fixture
def project(tmp_path: Path, cmu: Path, tnbc: Any) -> Path:
    """A slide, and a field that fits on the screen."""
    with Project.create(tmp_path / "slide.noisyseg") as made:
        made.add_image(cmu, name="slide")
        made.add_array(tnbc[0], "field", 0.25)
        return made.path


def test_searched_are_the_tiles_that_came_in(project: Path) -> None:
    with Project.open(project) as opened:
        assert overview.searched(opened, "slide") == Searched()
        boxes = predict(opened, "slide", 2)
        found = overview.searched(opened, "slide")
        assert list(found.boxes) == boxes
        assert 0 < found.share < 1
        (plan,) = project.glob(f"runs/*/slides/0/{PLAN}")
        plan.write_text("{", "utf-8")
        assert overview.searched(opened, "slide") == Searched()
        # a training reads all of an image
        opened.nuclei.adopt("field", "trained", [find((100, 100))])
        assert overview.searched(opened, "field") == Searched((Box(0, 0, 512, 512),), 1.0)


# --- in the window -------------------------------------------------------------------------------


@pytest.fixture
def panel(make_napari_viewer: Any, project: Path, qtbot: Any) -> Any:
    """The panel in a real window, with the slide in front."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    _, found = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
    found.session.open(project)
    found.session.show_image("slide")
    qtbot.waitUntil(lambda: there(found).map.pictured, timeout=20_000)
    return found


def there(panel: Any) -> Overview:
    found: Overview = panel.session.__dict__["overview"]
    return found


def middle(panel: Any) -> tuple[float, float]:
    """What is seen in the middle of the canvas, level-0 pixels."""
    session = panel.session
    y, x = session.image_layer().world_to_data(session.viewer.scene.camera.center[-2:])
    return float(y), float(x)


def on_map(panel: Any, place: tuple[float, float]) -> QPoint:
    """Where a place of the slide lies on the map's widget."""
    small = there(panel).map
    frame = Frame((2967, 2220), (round(small.place().height()), round(small.place().width())))
    rect = frame.rect((*place, *place))
    return QPoint(round(small.place().x() + rect.x), round(small.place().y() + rect.y))


@pytest.mark.gui
def test_a_press_and_a_drag_on_the_map_move_the_view(hand: Any, panel: Any, qtbot: Any) -> None:
    small, session = there(panel).map, panel.session
    assert small.isVisible()
    record = session.require_image()
    centre(session.viewer, record, (300, 300), 200.0)
    zoom = session.viewer.scene.camera.zoom
    points = len(session.require_project().nuclei.of("slide"))
    for place in ((2000.0, 1500.0), (700.0, 400.0)):
        qtbot.mouseClick(small, Qt.MouseButton.LeftButton, pos=on_map(panel, place))
        qtbot.wait(30)
        assert middle(panel) == pytest.approx(place, abs=20)
    assert session.viewer.scene.camera.zoom == zoom
    seen = small.view
    assert seen is not None
    qtbot.mousePress(small, Qt.MouseButton.LeftButton, pos=on_map(panel, (500.0, 500.0)))
    for share in (0.2, 0.6, 1.0):
        qtbot.mouseMove(small, on_map(panel, (500 + share * 2000, 500 + share * 1000)))
        qtbot.wait(20)
    assert middle(panel) == pytest.approx((2500, 1500), abs=20)
    assert small.view != seen
    # out of the map the view stays at the image's edge
    qtbot.mouseMove(small, on_map(panel, (9000.0, 1500.0)))
    qtbot.wait(20)
    assert middle(panel)[0] == pytest.approx(2966, abs=1)
    qtbot.mouseRelease(small, Qt.MouseButton.LeftButton, pos=on_map(panel, (2500.0, 1500.0)))
    # nothing was clicked on the tissue under the map
    assert len(session.require_project().nuclei.of("slide")) == points


@pytest.mark.gui
def test_the_map_comes_by_itself_and_goes_by_key_and_button(
    hand: Any, panel: Any, qtbot: Any
) -> None:
    small, session = there(panel).map, panel.session
    assert small.isVisible()
    hand.key(Qt.Key.Key_O)
    assert not small.isVisible()
    hand.key(Qt.Key.Key_O)
    assert small.isVisible()
    hand.press(small.close_button)
    assert not small.isVisible()
    hand.menu("Overview")
    assert small.isVisible()
    # there and back again is no wish for a map of small images
    assert session.view.overview is None
    hand.choose("field")
    qtbot.waitUntil(lambda: not small.isVisible(), timeout=3000)
    hand.choose("slide")
    qtbot.waitUntil(small.isVisible, timeout=3000)
    # whoever wants it sees it for a small image too, with that image's picture
    hand.choose("field")
    hand.key(Qt.Key.Key_O)
    assert small.isVisible()
    assert small.place().width() == small.place().height()
    qtbot.waitUntil(lambda: small.pictured, timeout=5000)


@pytest.mark.gui
def test_of_two_slides_of_one_size_each_has_its_own_picture_and_words(
    panel: Any, cmu: Path, qtbot: Any
) -> None:
    small, session = there(panel).map, panel.session
    with session.acting():
        predict(session.require_project(), "slide", 2)
        session.require_project().add_image(cmu, name="second")
    qtbot.waitUntil(lambda: any("found" in line.words for line in small.lines), timeout=10_000)
    session.show_image("second")
    assert not small.pictured
    assert not small.lines
    qtbot.waitUntil(lambda: small.pictured, timeout=10_000)
    assert not small.lines
    session.show_image("slide")
    assert not small.pictured
    qtbot.waitUntil(lambda: any("found" in line.words for line in small.lines), timeout=10_000)
    assert small.pictured


@pytest.mark.gui
def test_fields_searched_tiles_and_nuclei_are_on_the_map(hand: Any, panel: Any, qtbot: Any) -> None:
    small, session = there(panel).map, panel.session
    assert not small.lines
    with session.acting():
        field = session.require_project().nuclei.add_field("slide", Box(500, 400, 1000, 1200))
    frame = Frame.of((2967, 2220), (168, 168))
    (drawn,) = small.outlined
    assert drawn.color == looks.FIELD
    assert drawn.rect == pytest.approx(frame.rect(field.box), abs=0.6)
    assert [line.words for line in small.lines] == ["1 field"]
    session.undo()
    assert not small.outlined
    with session.acting():
        predict(session.require_project(), "slide", 2)

    def said() -> bool:
        words = [line.words for line in small.lines]
        return len(words) > 1 and words[0].startswith("searched: ") and words[1] == "2 nuclei found"

    qtbot.waitUntil(said, timeout=10_000)
    panel.open_step("train")
    session.front.fit()
    qtbot.waitUntil(lambda: bool(session.view.afar), timeout=10_000)
    assert "zoom in to see outlines" in [line.words for line in small.lines]


@pytest.mark.gui
def test_what_follows_the_view_takes_a_moment(panel: Any, qtbot: Any) -> None:
    import time

    session, longest = panel.session, 0.0
    record = session.require_image()
    for n in range(30):
        centre(session.viewer, record, (100.0 + 80 * n, 300.0 + 40 * n), 150.0 + 10 * n)
        began = time.thread_time()
        there(panel)._on_camera()
        there(panel).refresh()
        longest = max(longest, time.thread_time() - began)
    assert longest < 0.05


@pytest.mark.gui
def test_a_map_is_there_after_a_restart_and_the_image_removed_has_none(
    panel: Any, project: Path, qtbot: Any
) -> None:
    small, session = there(panel).map, panel.session
    session.close()
    qtbot.waitUntil(lambda: not small.isVisible(), timeout=3000)
    session.open(project)
    session.show_image("slide")
    qtbot.waitUntil(lambda: small.isVisible() and small.pictured, timeout=10_000)
    with session.acting():
        session.front.remove()
    qtbot.waitUntil(lambda: not small.isVisible(), timeout=3000)
    session.undo()
    qtbot.waitUntil(small.isVisible, timeout=3000)


@pytest.mark.gui
def test_a_slide_that_is_in_no_project_yet_has_a_map_too(
    make_napari_viewer: Any, cmu: Path, qtbot: Any
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    viewer.open(str(cmu), plugin="napari-noisyseg")
    _, panel = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
    small = there(panel).map
    qtbot.waitUntil(lambda: small.isVisible() and small.pictured, timeout=20_000)
    qtbot.mouseClick(small, Qt.MouseButton.LeftButton, pos=on_map(panel, (2000.0, 1500.0)))
    qtbot.waitUntil(lambda: abs(middle(panel)[0] - 2000) < 20, timeout=3000)
    assert panel.session.project is None
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not small.isVisible(), timeout=3000)
