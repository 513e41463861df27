"""Points, fields, rough masks and live labels, each with napari's own tools at work beside ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.gui.canvas import layers, looks
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.kit import Kit, kit_of
from napari_noisyseg.gui.tools.live import shown_of
from napari_noisyseg.slides import Box


@pytest.fixture
def kit(bare: Session) -> Kit:
    return kit_of(bare)


def stored(kit: Kit) -> list[tuple[float, float]]:
    session = kit.session
    assert session.project is not None
    assert session.image is not None
    return sorted((n.y, n.x) for n in session.project.nuclei.of(session.image))


def on_canvas(kit: Kit) -> list[tuple[float, float]]:
    layer = kit.points.layer()
    assert layer is not None
    return sorted((float(y), float(x)) for y, x in layer.data)


class TestPoints:
    def test_the_layer_takes_no_edit_that_came_through_no_tool(self, kit: Kit) -> None:
        kit.points.add(20.0, 30.0)
        layer = kit.points.layer()
        assert layer is not None
        assert not layer.editable
        layer.mode = "add"
        assert layer.mode == "pan_zoom"
        for key in layer.class_keymap:
            layer.keymap[key](layer)
        layer.selected_data = {0}
        assert on_canvas(kit) == stored(kit) == [(20.0, 30.0)]

    def test_a_refused_act_is_not_seen_on_the_canvas(
        self, kit: Kit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kit.points.add(20.0, 30.0)
        project = kit.session.project
        assert project is not None

        def refuse(*args: Any, **kwargs: Any) -> None:
            raise sqlite3.OperationalError("disk is full")

        monkeypatch.setattr(project.nuclei, "add", refuse)
        kit.session.expects_errors = True  # type: ignore[attr-defined]
        assert kit.points.add(70.0, 80.0) is None
        assert on_canvas(kit) == [(20.0, 30.0)]
        assert "disk is full" in kit.session.said[-1]  # type: ignore[attr-defined]

    def test_outside_the_image_nothing_happens(self, kit: Kit) -> None:
        kit.points.add(20.0, 30.0)
        assert kit.points.add(-3.0, 5.0) is None
        assert kit.points.add(5.0, 511.6) is None
        assert stored(kit) == [(20.0, 30.0)]
        assert kit.session.said == []  # type: ignore[attr-defined]

    def test_hit_is_the_nearest_within_reach(self, kit: Kit) -> None:
        first = kit.points.add(20.0, 30.0)
        second = kit.points.add(20.0, 36.0)
        assert first is not None
        assert second is not None
        assert kit.points.hit(20.0, 34.0, 8) == second.serial
        assert kit.points.hit(20.0, 31.0, 8) == first.serial
        assert kit.points.hit(60.0, 31.0, 8) is None

    def test_class_colours_its_points(self, kit: Kit) -> None:
        kit.points.add(20.0, 30.0)
        assert kit.session.project is not None
        kit.session.project.nuclei.add_class("tumour", "#ff0000")
        kit.points.class_name = "tumour"
        kit.points.add(60.0, 70.0)
        layer = kit.points.layer()
        assert layer is not None
        np.testing.assert_allclose(layer.border_color[1], (1, 0, 0, 1))
        assert list(layer.features["class"]) == ["", "tumour"]


def event(kind: str, place: tuple[float, float], pos: tuple[float, float], button: int = 1) -> Any:
    return SimpleNamespace(
        type=kind, position=place, pos=np.array(pos, float), button=button, modifiers=(),
        handled=False,
    )  # fmt: skip


def drag(kit: Kit, path: list[tuple[float, float]], button: int = 1) -> list[Any]:
    """Press, move and release along world places; ten screen pixels a pixel."""
    image = kit.session.image_layer()
    assert image is not None
    events = []
    made = event("mouse_press", tuple(image.data_to_world(path[0])), (0, 0), button)
    steps = kit.hand._drag(kit.session.viewer, made)
    for n, place in enumerate(path):
        if n:
            made.type = "mouse_move"
            made.pos = np.array((10.0 * n, 0.0))
            made.position = tuple(image.data_to_world(place))
        events.append(made)
        next(steps, None)
    made.type = "mouse_release"
    next(steps, None)
    return events


@pytest.fixture
def hand(kit: Kit) -> Kit:
    """The kit with a hand on the mouse; ten screen pixels a pixel."""
    kit.hand.take()
    kit.session.require_image()
    kit.session.viewer.scene.camera.zoom = 40.0
    return kit


class TestHand:
    def test_click_adds_drag_moves_right_click_removes(self, hand: Kit) -> None:
        drag(hand, [(20.0, 30.0)])
        drag(hand, [(100.0, 100.0)])
        assert stored(hand) == [(20.0, 30.0), (100.0, 100.0)]
        drag(hand, [(20.5, 30.5), (25.0, 35.0), (40.0, 50.0)])
        assert stored(hand) == [(40.0, 50.0), (100.0, 100.0)]
        drag(hand, [(40.0, 50.0)], button=2)
        assert stored(hand) == on_canvas(hand) == [(100.0, 100.0)]

    def test_drag_on_bare_tissue_pans(self, hand: Kit) -> None:
        hand.points.add(20.0, 30.0)
        assert not drag(hand, [(200.0, 200.0), (220.0, 200.0)])[-1].handled
        assert stored(hand) == [(20.0, 30.0)]

    def test_fast_second_click_does_not_zoom(self, hand: Kit) -> None:
        def names() -> list[str]:
            return [c.__name__ for c in hand.session.viewer.mouse_double_click_callbacks]

        assert "double_click_to_zoom" not in names()
        hand.hand.loosen()
        assert "double_click_to_zoom" in names()
        hand.hand.tighten()
        hand.session.look(step="train")
        assert "double_click_to_zoom" in names()

    def test_somebody_else_s_layer_that_is_drawn_on_keeps_its_mouse(self, hand: Kit) -> None:
        hand.points.add(20.0, 30.0)
        layer = hand.session.viewer.add_points([[1.0, 2.0]], name="mine")
        layer.mode = "add"
        drag(hand, [(200.0, 200.0)])
        assert stored(hand) == [(20.0, 30.0)]

    @pytest.mark.parametrize("selected", [0, 1, -1])
    def test_napari_s_selection_has_no_say(self, hand: Kit, selected: int) -> None:
        hand.fields.add_whole()
        hand.points.add(20.0, 30.0)
        viewer = hand.session.viewer
        viewer.layers.selection = {viewer.layers[selected]}
        drag(hand, [(200.0, 200.0)])
        assert stored(hand) == [(20.0, 30.0), (200.0, 200.0)]
        hand.use("paint")
        viewer.layers.selection = {viewer.layers[selected]}
        drag(hand, [(300.0, 300.0), (300.0, 310.0)])
        assert hand.rough.layer().data[300, 305] == 1

    def test_beside_the_image_is_refused_in_words(self, hand: Kit) -> None:
        drag(hand, [(-20.0, 30.0)])
        assert "outside the image" in hand.session.said[-1]  # type: ignore[attr-defined]


class TestFields:
    def boxes(self, kit: Kit) -> list[Box]:
        return [field.box for field in kit.fields.fields]

    def test_drawn_rectangles_are_fields_each_and_undo_takes_them(self, hand: Kit) -> None:
        hand.use("field")
        drag(hand, [(9.6, 19.7), (40.0, 80.0), (60.2, 119.8)])
        assert self.boxes(hand) == [Box(10, 20, 61, 120)]
        assert hand.fields.fields[0].complete
        assert hand.tool == "points"
        hand.use("field")
        drag(hand, [(200.0, 200.0), (300.0, 300.0)])
        assert self.boxes(hand) == [Box(10, 20, 61, 120), Box(201, 201, 301, 301)]
        layer = hand.fields.layer()
        assert layer is not None
        assert layer.nshapes == 2
        hand.session.undo()
        hand.session.undo()
        assert hand.fields.fields == []
        assert layer.nshapes == 0

    def test_an_edge_or_a_corner_is_moved_by_a_drag(self, hand: Kit) -> None:
        hand.fields.add(Box(10, 20, 60, 120))
        hand.use("field")
        drag(hand, [(59.6, 119.4), (70.0, 130.0), (79.5, 139.5)])
        assert self.boxes(hand) == [Box(10, 20, 80, 140)]
        drag(hand, [(40.0, 19.6), (40.0, 29.6)])
        assert self.boxes(hand) == [Box(10, 30, 80, 140)]

    def test_a_click_chooses(self, hand: Kit) -> None:
        for box in (Box(10, 20, 60, 120), Box(200, 200, 300, 300)):
            hand.fields.add(box)
        hand.use("field")
        drag(hand, [(30.0, 60.0)])
        assert hand.fields.chosen == hand.fields.fields[0].id
        drag(hand, [(150.0, 150.0)])
        assert hand.fields.chosen is None

    def test_slip_of_the_hand_is_no_field(self, hand: Kit) -> None:
        hand.use("field")
        drag(hand, [(10.0, 10.0), (14.0, 14.0)])
        assert hand.fields.fields == []
        assert hand.fields.layer().nshapes == 0
        assert hand.tool == "field"
        assert "too small" in hand.session.said[-1]  # type: ignore[attr-defined]

    def test_whole_image(self, kit: Kit) -> None:
        field = kit.fields.add_whole()
        assert field is not None
        assert field.box == Box(0, 0, 512, 512)


class TestRough:
    def painted(self, kit: Kit) -> Any:
        assert kit.session.project is not None
        return kit.session.project.nuclei.painted("tissue", "rough")

    def test_stroke_is_kept_when_it_ends_and_undo_takes_it(self, hand: Kit) -> None:
        hand.use("paint")
        drag(hand, [(30.0, 40.0), (30.0, 46.0)])
        layer = hand.rough.layer()
        np.testing.assert_array_equal(self.painted(hand), layer.data)
        assert layer.data[30, 43] == 1
        hand.session.undo()
        assert not layer.data.any()
        hand.session.redo()
        assert layer.data[30, 43] == 1

    def test_the_eraser_takes_away_what_it_touches(self, hand: Kit) -> None:
        hand.use("paint")
        drag(hand, [(30.0, 40.0), (30.0, 80.0)])
        hand.use("erase")
        drag(hand, [(30.0, 60.0)])
        layer = hand.rough.layer()
        assert layer.data[30, 60] == 0
        assert layer.data[30, 40] == layer.data[30, 80] == 1
        np.testing.assert_array_equal(self.painted(hand), layer.data)

    def test_each_nucleus_has_its_number(self, hand: Kit) -> None:
        hand.use("paint")
        for place in ((30.0, 40.0), (90.0, 40.0), (32.0, 41.0)):
            drag(hand, [place])
        layer = hand.rough.layer()
        assert layer.data[30, 40] == 1
        assert layer.data[90, 40] == 2
        assert set(np.unique(layer.data)) == {0, 1, 2}

    def test_two_fields_of_a_large_image_share_no_number(
        self, hand: Kit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("napari_noisyseg.coarse.project.WHOLE_PIXELS", 300 * 300)
        hand.fields.add(Box(0, 0, 200, 200))
        hand.fields.add(Box(300, 300, 500, 500))
        hand.use("paint")
        drag(hand, [(30.0, 40.0)])
        drag(hand, [(330.0, 340.0)])
        drag(hand, [(400.0, 440.0)])
        painted = self.painted(hand)
        assert sorted(np.unique(painted)) == [0, 1, 2, 3]

    def test_a_stroke_that_cannot_be_kept_is_not_shown(
        self, hand: Kit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hand.use("paint")
        project = hand.session.require_project()

        def refuse(*args: Any, **kwargs: Any) -> None:
            raise sqlite3.OperationalError("disk is full")

        monkeypatch.setattr(project.nuclei, "paint", refuse)
        hand.session.expects_errors = True  # type: ignore[attr-defined]
        drag(hand, [(30.0, 40.0), (30.0, 46.0)])
        assert not hand.rough.layer().data.any()

    def test_labels_of_another_plugin(self, kit: Kit, tnbc: Any) -> None:
        layer = kit.session.viewer.add_labels(tnbc[1], name="Cellpose")
        kit.take_layer(layer)
        np.testing.assert_array_equal(self.painted(kit), tnbc[1])
        shown = kit.rough.layer()
        assert shown is not None
        np.testing.assert_array_equal(shown.data, tnbc[1])
        kit.session.undo()
        assert not self.painted(kit).any()

    def test_labels_of_another_size_are_refused(self, kit: Kit) -> None:
        layer = kit.session.viewer.add_labels(np.ones((20, 20), int), name="small")
        kit.take_layer(layer)
        assert "512" in kit.session.said[-1]  # type: ignore[attr-defined]


class TestLive:
    @pytest.fixture
    def places(self, tnbc: Any) -> list[tuple[float, float]]:
        from scipy.ndimage import center_of_mass

        serials = np.unique(tnbc[1])[1:15]
        return [tuple(map(float, p)) for p in center_of_mass(tnbc[1] > 0, tnbc[1], serials)]

    def expected(self, kit: Kit, tnbc: Any) -> CoarseLabels:
        live = kit.live.labels
        assert live is not None
        points = {s: (n.y, n.x) for s, n in kit.points.nuclei.items()}
        record = kit.session.record()
        assert record is not None
        known = np.ones(tnbc[1].shape, bool)
        return CoarseLabels(tnbc[0], points, known, record.mpp, fit=live.fit)

    def beside_another(self, kit: Kit) -> tuple[Any, list[Callable[[], object]]]:
        """Two nuclei that touch; what comes after the second click waits in the list."""
        kit.points.add(226.6, 84.5)
        waiting: list[Callable[[], object]] = []
        kit.session.later = waiting.append
        kit.points.add(228.9, 68.9)
        return layers.find(kit.session.viewer, "tissue", "outline"), waiting

    def test_layers_follow_every_click(
        self, kit: Kit, tnbc: Any, places: list[tuple[float, float]]
    ) -> None:
        kit.fields.add_whole()
        kit.live.want("voronoi", True)
        kit.live.want("local", True)
        for place in places:
            kit.points.add(*place)
        serials = list(kit.points.nuclei)
        kit.points.move(serials[3], 300.0, 300.0)
        kit.points.remove(serials[:2])
        kit.session.undo()
        for kind in ("voronoi", "outline", "local"):
            layer = layers.find(kit.session.viewer, "tissue", kind)
            assert layer is not None, kind
            np.testing.assert_array_equal(layer.data, shown_of(self.expected(kit, tnbc), kind))
            drawn = np.array(layer._slice.image.view)
            layer.refresh()
            np.testing.assert_array_equal(drawn, layer._slice.image.view)

    def test_outside_fields_all_is_unknown(self, kit: Kit) -> None:
        kit.fields.add(Box(0, 0, 100, 100))
        kit.live.want("voronoi", True)
        kit.points.add(50.0, 50.0)
        layer = layers.find(kit.session.viewer, "tissue", "voronoi")
        assert layer is not None
        assert (layer.data[100:] == 2).all()
        assert (layer.data[:100, :100] == 1).any()

    def test_a_kind_taken_from_the_viewer_stays_away_until_wanted(self, kit: Kit) -> None:
        kit.fields.add_whole()
        kit.points.add(50.0, 50.0)
        kit.session.viewer.layers.remove(layers.find(kit.session.viewer, "tissue", "outline"))
        kit.points.add(90.0, 50.0)
        kit.live.refit()
        assert layers.find(kit.session.viewer, "tissue", "outline") is None
        kit.live.want("outline", True)
        assert layers.find(kit.session.viewer, "tissue", "outline") is not None

    def test_an_outline_comes_with_the_first_click_without_a_field(
        self, kit: Kit, tnbc: Any, places: list[tuple[float, float]]
    ) -> None:
        kit.points.add(*places[0])
        layer = layers.find(kit.session.viewer, "tissue", "outline")
        assert layer is not None
        assert layer.visible
        assert layer.data[tuple(np.round(places[0]).astype(int))] == 1
        assert layers.find(kit.session.viewer, "tissue", "local") is None
        np.testing.assert_array_equal(layer.data, self.expected(kit, tnbc).outlines)

    def test_a_click_is_outlined_at_once_and_its_neighbours_follow(
        self, kit: Kit, tnbc: Any
    ) -> None:
        layer, waiting = self.beside_another(kit)
        assert not (layer.data == 2).any()
        waiting.pop(0)()
        assert layer.data[229, 69] == 2
        expected = self.expected(kit, tnbc).outlines
        assert (layer.data != expected).any()
        (neighbours,) = waiting
        neighbours()
        np.testing.assert_array_equal(layer.data, expected)

    def test_neighbours_that_wait_follow_though_another_image_came_to_the_front(
        self, kit: Kit, tnbc: Any
    ) -> None:
        layer, waiting = self.beside_another(kit)
        waiting.pop(0)()
        expected = self.expected(kit, tnbc).outlines
        kit.session.look(image=None)
        waiting.pop(0)()
        np.testing.assert_array_equal(layer.data, expected)

    def test_many_points_at_once_are_outlined_out_of_the_way(
        self, kit: Kit, tnbc: Any, places: list[tuple[float, float]]
    ) -> None:
        kit.points.add(*places[0])
        work: list[Any] = []
        kit.session.submit = lambda act, done, failed=None: work.append((act, done))
        with kit.session.acting():
            kit.session.require_project().nuclei.add_many("tissue", places[1:10])
        assert kit.live.busy
        kit.points.add(*places[10])
        while work:
            act, done = work.pop(0)
            done(act())
        layer = layers.find(kit.session.viewer, "tissue", "outline")
        assert layer is not None
        np.testing.assert_array_equal(layer.data, self.expected(kit, tnbc).outlines)

    def test_why_outlines_are_untrained_is_said_once(
        self, png: Path, tnbc: Any, opened: Callable[[Path], Session]
    ) -> None:
        Image.fromarray((255 - tnbc[0]) // 4).save(png)
        session, said = opened(png), list[str]()
        session.news.connect(said.append)
        kit = kit_of(session)
        for place in ((50.0, 50.0), (90.0, 50.0), (200.0, 200.0)):
            kit.points.add(*place)
        kit.live.refit()
        (words,) = said
        assert words.startswith("“tissue”: this image is dark like fluorescence")
        layer, labels = layers.find(session.viewer, "tissue", "outline"), kit.live.labels
        assert layer is not None
        assert labels is not None
        np.testing.assert_array_equal(layer.data, labels.instances)
        session.shut()


class TestOthersLayers:
    def test_points_of_another_layer(self, kit: Kit) -> None:
        image = kit.session.image_layer()
        assert image is not None
        others = kit.session.viewer.add_points([[10.0, 20.0], [30.0, 40.0]], name="from elsewhere")
        kit.take_layer(others)
        assert stored(kit) == [(10.0, 20.0), (30.0, 40.0)]
        assert not others.visible
        kit.session.undo()
        assert stored(kit) == []


def test_a_decision_draws_no_point_anew(bare: Session) -> None:
    project, record = bare.require_project(), bare.require_image()
    one, two = project.nuclei.add_many(record.name, [(20.0, 30.0), (60.0, 70.0)])
    kit_of(bare)
    bare.sync()
    layer = layers.find(bare.viewer, record.name, "points")
    assert layer is not None
    told: list[str] = []
    for name in ("data", "face_color", "border_color"):
        getattr(layer.events, name).connect(lambda _, name=name: told.append(name))
    project.nuclei.decide([one.id], "unsure")
    bare.sync()
    assert kit_of(bare).points.nuclei[one.serial].state == "unsure"
    assert told == []
    project.nuclei.add_class("tumour", "#d55e00")
    project.nuclei.set_class([two.id], "tumour")
    bare.sync()
    assert "border_color" in told
    assert "data" not in told


def test_a_layer_whose_nuclei_are_lines_has_clear_pixels(bare: Session) -> None:
    data = np.zeros((8, 8), np.int32)
    record = bare.require_image()
    refined = layers.show_labels(bare.viewer, record, "refined", data)
    rough = layers.show_labels(bare.viewer, record, "rough", data)
    assert looks.is_clear(refined)
    assert not looks.is_clear(rough)
    refined.contour = 1
    assert not looks.is_clear(refined)
