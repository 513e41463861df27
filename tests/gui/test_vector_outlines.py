"""Outlines as lines: traced from masks, kept by nucleus, drawn with one width at every zoom."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from numpy.typing import NDArray
from skimage.draw import disk, polygon2mask

from napari_noisyseg.gui.canvas.outlines import PENS, STEP, OutlinesOverlay, outlines_of, paths_of
from napari_noisyseg.gui.canvas.strips import COLUMNS, SIDE, strips_of
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Box

SQUARE = np.array([(99.5, 99.5), (99.5, 299.5), (299.5, 299.5), (299.5, 99.5), (99.5, 99.5)])
RNG = np.random.default_rng(3)


def enclosed(paths: list[NDArray[Any]]) -> float:
    """Pixels inside closed paths, holes taken off."""
    turned = [p[:-1, 1] * p[1:, 0] - p[:-1, 0] * p[1:, 1] for p in paths]
    return float(sum(t.sum() for t in turned)) / 2


# --- tracing -------------------------------------------------------------------------------------


def test_every_nucleus_has_closed_paths_of_its_area(
    tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]],
) -> None:
    _, labels = tnbc
    found = paths_of(labels)
    sizes = np.bincount(labels.ravel())
    assert set(found) == set(np.unique(labels)) - {0}
    for serial, paths in found.items():
        assert all(np.array_equal(p[0], p[-1]) for p in paths)
        assert enclosed(paths) == pytest.approx(sizes[serial], rel=0.1)


def test_outlines_lie_on_their_masks_and_are_no_staircase() -> None:
    labels = np.zeros((80, 80), np.int32)
    labels[disk((40, 38), 25)] = 7
    (path,) = paths_of(labels)[7]
    radius = np.hypot(*(path - (40, 38)).T)
    assert radius.min() > 24
    assert radius.max() < 25.6
    steps = np.diff(path, axis=0)
    turns = np.diff(np.unwrap(np.arctan2(*steps.T)))
    assert np.abs(turns).max() < 0.5
    mask = polygon2mask(labels.shape, path)
    assert (mask & (labels == 7)).sum() / (mask | (labels == 7)).sum() > 0.97


def test_touching_nuclei_holes_pieces_and_the_edge_of_the_image() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[0:20, 0:20], labels[0:20, 20:40] = 1, 2
    labels[5:15, 5:15] = 0
    labels[30:38, 2:10], labels[30:38, 40:48] = 3, 3
    labels[25, 55] = labels[26, 56] = 4
    found = paths_of(labels)
    assert [len(found[serial]) for serial in (1, 2, 3, 4)] == [2, 1, 2, 2]
    assert enclosed(found[1]) == pytest.approx(300, rel=0.02)
    assert sorted(np.sign(enclosed([p])) for p in found[1]) == [-1, 1]
    assert found[1][0][:, 1].max() == pytest.approx(19.5, abs=0.2)
    assert found[2][0][:, 1].min() == pytest.approx(19.5, abs=0.2)
    assert found[1][0].min() == pytest.approx(-0.5, abs=0.2)
    assert all(np.abs(p - p.mean(axis=0)).max() < 1.1 for p in found[4])
    assert paths_of(np.zeros((5, 5), np.uint8)) == {}


def test_of_a_part_in_the_coordinates_of_the_whole() -> None:
    labels = np.zeros((90, 90), np.int32)
    labels[disk((60, 50), 10)] = 5
    labels[disk((10, 10), 8)] = 6
    part = paths_of(labels, Box(45, 35, 75, 65))
    assert list(part) == [5]
    assert part[5][0] == pytest.approx(paths_of(labels)[5][0])


def test_a_thousand_nuclei_are_traced_quickly() -> None:
    labels = np.zeros((1000, 1000), np.int32)
    for serial in range(1, 1001):
        at = np.array(divmod(serial - 1, 32)) * 31 + 15
        labels[disk(at, RNG.uniform(9, 14), shape=labels.shape)] = serial
    # of this process alone: the machine may be busy
    before = time.process_time()
    assert len(paths_of(labels)) == 1000
    assert time.process_time() - before < 0.4


# --- strips and the model ------------------------------------------------------------------------


def test_strips_have_mitres_outwards_and_the_way_along() -> None:
    for path in (SQUARE, SQUARE[::-1]):
        (rows,) = strips_of([[path]])
        assert rows.shape == (2 * len(path) + 2, COLUMNS)
        middle = rows[:, :2] - 199.5
        # half as wide again at a right angle, and away from the middle
        assert np.hypot(*rows[:, 2:4].T) == pytest.approx(np.sqrt(2))
        assert (np.einsum("ij,ij->i", middle, rows[:, 2:4]) > 0).all()
        assert rows[:, 4].max() == 800
        assert set(rows[:, 5]) == {800}
    straight = strips_of([[np.array([(0.0, 0.0), (0.0, 4.0)])], []])
    assert [len(rows) for rows in straight] == [6, 0]
    assert np.abs(straight[0][:, 2:4]).max() == 1


def test_model_without_a_window() -> None:
    viewer = ViewerModel()
    layer = viewer.add_labels(np.zeros((400, 400), np.int32))
    outlines = outlines_of(layer)
    assert outlines_of(layer) is outlines
    outlines.set_all({1: [SQUARE], 2: [SQUARE + 5]}, {1: "accepted"})
    assert dict(outlines.states) == {1: "accepted", 2: "untouched"}
    outlines.restate({2: "unsure", 99: "rejected"})
    outlines.put(3, [SQUARE - 9], "rejected")
    assert set(np.abs(outlines.strips()[:, SIDE])) == {
        1 + list(PENS).index(state) for state in ("accepted", "unsure", "rejected")
    }
    outlines.drop(1)
    assert list(outlines.paths) == [2, 3]
    with pytest.raises(ValueError, match="no pen for"):
        outlines.restate({2: "purple"})
    outlines.clear()
    assert outlines.strips().shape == (0, COLUMNS)


def test_groups_are_kept_beside_the_pens() -> None:
    layer = ViewerModel().add_labels(np.zeros((400, 400), np.int32))
    outlines = outlines_of(layer)
    outlines.set_all({1: [SQUARE], 2: [SQUARE + 5]}, {1: "accepted"})
    outlines.strips()
    outlines.group({1: 2, 9: 1, 2: 7}, ["#ff0000", "#00ff00"])
    assert dict(outlines.groups) == {1: 2, 9: 1}
    accepted, rejected, untouched = (
        1 + list(PENS).index(state) for state in ("accepted", "rejected", "untouched")
    )
    assert set(np.abs(outlines.strips()[:, SIDE])) == {accepted + 2 * STEP, untouched}
    outlines.restate({1: "rejected"})
    outlines.put(2, [SQUARE], "accepted")
    assert set(np.abs(outlines.strips()[:, SIDE])) == {rejected + 2 * STEP, accepted}
    outlines.group({}, [])
    assert set(np.abs(outlines.strips()[:, SIDE])) == {rejected, accepted}
    assert max(accepted, rejected, len(PENS)) <= STEP


def test_one_of_five_thousand_is_put_without_the_others() -> None:
    turn = np.linspace(0, 2 * np.pi, 41)
    circle = 9 * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    circle[-1] = circle[0]
    outlines = OutlinesOverlay()
    outlines.set_all({n: [circle + divmod(n, 70)] for n in range(5000)}, {})
    kept = outlines.strips(), outlines._strips[8]
    before = time.process_time()
    outlines.put(7, [circle], "accepted")
    rows = outlines.strips()
    assert time.process_time() - before < 0.05
    assert rows.shape == kept[0].shape
    assert outlines._strips[8] is kept[1]


# --- in a window ---------------------------------------------------------------------------------


@pytest.fixture
def shown(make_napari_viewer: Callable[..., Any]) -> Any:
    """A viewer with a white image and an empty Labels layer of half a unit per pixel on it."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1000, 800)
    where = {"scale": (0.5, 0.5), "translate": (10, 20)}
    viewer.add_image(np.full((400, 400), 255, np.uint8), contrast_limits=(0, 255), **where)
    viewer.add_labels(np.zeros((400, 400), np.int32), opacity=1.0, **where)
    return viewer


def look(viewer: Any, at: tuple[float, float], zoom: float) -> NDArray[np.int64]:
    """What the canvas shows with that pixel of the layer in its middle; zoom is px per pixel."""
    viewer.scene.camera.center = (0, at[0] * 0.5 + 10, at[1] * 0.5 + 20)
    viewer.scene.camera.zoom = zoom / 0.5
    return np.asarray(viewer.screenshot(canvas_only=True, flash=False)[..., :3], dtype=np.int64)


def across(picture: NDArray[np.int64]) -> tuple[float, float]:
    """Width and place of the coloured line along the middle row, in screen pixels."""
    row = picture[picture.shape[0] // 2]
    # lime is yellow and green without blue; white and the dark casing are grey
    ink = np.clip((row[:, 1] - row[:, 2]) / 165.0, 0, 1)
    return float(ink.sum()), float((ink * np.arange(len(ink))).sum() / max(ink.sum(), 1e-9))


@pytest.mark.parametrize("state", ["accepted", "untouched"])
def test_line_has_one_width_at_every_zoom(shown: Any, state: str) -> None:
    outlines_of(shown.layers[-1]).set_all({1: [SQUARE]}, {1: state})
    widths = []
    for zoom in (1, 4, 16):
        picture = look(shown, (200, 99.5), zoom)
        middle = picture.shape[1] / 2
        row = picture[picture.shape[0] // 2, round(middle) - 60 : round(middle) + 60]
        widths.append(float((255 - row.min(axis=1)).sum()))
        dark = np.flatnonzero(row.min(axis=1) < 250)
        assert len(dark) <= PENS[state].width + 2 * PENS[state].casing + 3
        # on the pixel's edge, and inside of it
        assert abs(dark.mean() - 60 - PENS[state].width / 2) < 1.6
    assert widths == pytest.approx([widths[0]] * 3, rel=0.12)


def test_states_differ_in_form_and_lightness(shown: Any) -> None:
    seen = {}
    for state in ("untouched", "accepted", "rejected", "unsure"):
        outlines_of(shown.layers[-1]).set_all({1: [SQUARE]}, {1: state})
        picture = look(shown, (200, 99.5), 4)
        middle = picture.shape[1] // 2
        # along the line, in grey
        seen[state] = picture[:, middle + 1].mean(axis=1)
    assert seen["untouched"].std() < 5
    assert seen["accepted"].std() < 5
    assert seen["rejected"].std() > 15
    assert seen["unsure"].std() > 15
    gaps = {s: (np.diff((v > v.mean()).astype(int)) == 1).sum() for s, v in seen.items()}
    assert gaps["unsure"] > 1.5 * gaps["rejected"] > 10


def test_layer_opacity_fades_the_lines(shown: Any) -> None:
    outlines_of(shown.layers[-1]).set_all({1: [SQUARE]}, {1: "accepted"})
    strong = look(shown, (200, 99.5), 4).min()
    shown.layers[-1].opacity = 0.3
    assert look(shown, (200, 99.5), 4).min() > strong + 80


def test_by_group_the_colour_is_another_and_the_form_is_kept(shown: Any) -> None:
    outlines = outlines_of(shown.layers[-1])
    outlines.set_all({1: [SQUARE]}, {1: "rejected"})
    before = look(shown, (200, 99.5), 4)
    outlines.group({1: 1}, ["#0000ff"])
    assert np.array_equal(look(shown, (200, 99.5), 4), before)
    outlines.by_group = True
    after = look(shown, (200, 99.5), 4)
    outlines.by_group = False
    assert np.array_equal(look(shown, (200, 99.5), 4), before)
    moved = np.abs(after.astype(int) - before)[..., :3].max(axis=-1) > 60
    assert moved.any()
    blue = after[moved][:, 2].astype(int) - after[moved][:, 0]
    assert np.median(blue) > 100
    # the dashes are where they were: nothing outside the line has changed
    ink = np.abs(before.astype(int) - before[5, 5])[..., :3].max(axis=-1) > 20
    assert ink[moved].all()


def test_one_nucleus_is_redrawn_and_goes(shown: Any) -> None:
    outlines = outlines_of(shown.layers[-1])
    outlines.set_all(
        {1: [SQUARE], 2: [SQUARE + np.array((0, 250))]}, {1: "accepted", 2: "accepted"}
    )
    width, place = across(look(shown, (200, 99.5), 1))
    outlines.put(1, [SQUARE + np.array((0, 30))], "accepted")
    moved = look(shown, (200, 99.5), 1)
    assert across(moved[:, :600])[1] != place
    outlines.restate({1: "rejected", 2: "rejected"})
    assert not np.array_equal(look(shown, (200, 99.5), 1), moved)
    outlines.drop(1)
    outlines.drop(2)
    blank = look(shown, (200, 99.5), 1)
    assert width > 1
    assert across(blank)[0] == 0


def test_outlines_go_with_their_layer(shown: Any) -> None:
    layer = shown.layers[-1]
    outlines_of(layer).set_all({1: [SQUARE]}, {1: "accepted"})
    assert across(look(shown, (200, 99.5), 4))[0] > 1
    layer.visible = False
    assert across(look(shown, (200, 99.5), 4))[0] == 0
    layer.visible = True
    assert across(look(shown, (200, 99.5), 4))[0] > 1
    shown.layers.move(1, 0)
    assert across(look(shown, (200, 99.5), 4))[0] == 0
    shown.layers.move(1, 0)
    before = across(look(shown, (200, 99.5), 4))
    shown.dims.ndisplay = 3
    shown.screenshot(canvas_only=True, flash=False)
    shown.dims.ndisplay = 2
    assert across(look(shown, (200, 99.5), 4)) == pytest.approx(before, abs=0.01)
    shown.layers.remove(layer)
    assert across(look(shown, (200, 99.5), 4))[0] == 0


def test_two_windows_a_layer_taken_out_and_nothing_left(make_napari_viewer: Any) -> None:
    one, two = make_napari_viewer(show=True), make_napari_viewer(show=True)
    layer = Labels(np.zeros((400, 400), np.int32), scale=(0.5, 0.5), translate=(10, 20))
    outlines_of(layer).set_all({1: [SQUARE]}, {1: "accepted"})
    for viewer in (one, two):
        viewer.layers.append(layer)
        assert across(look(viewer, (200, 99.5), 4))[0] > 1
        viewer.layers.remove(layer)
    outlines_of(layer).restate({1: "unsure"})
    one.layers.append(layer)
    one.screenshot(canvas_only=True, flash=False)
    canvas = one.window._qt_viewer.canvas
    drawn = weakref.ref(canvas._layer_overlay_to_visual[layer][outlines_of(layer)])
    one.layers.remove(layer)
    gc.collect()
    assert drawn() is None


def test_pyramid_levels_do_not_move_the_outlines(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1000, 800)
    full = np.zeros((4096, 4096), np.uint8)
    where = {"scale": (0.5, 0.5), "translate": (10, 20)}
    layer = viewer.add_labels([full, full[::4, ::4], full[::16, ::16]], multiscale=True, **where)
    path = (SQUARE - 199.5) * 10 + 2000.5
    outlines_of(layer).set_all({1: [path]}, {1: "accepted"})
    for zoom in (0.1, 0.5, 4):
        picture = look(viewer, (2000, 1000.5), zoom)
        middle = picture.shape[1] // 2
        _, place = across(picture[:, middle - 40 : middle + 40])
        assert abs(place - 40) < 3, (zoom, layer.data_level)


def test_tissue_that_is_taken_into_a_project_is_interpolated(bare: Session) -> None:
    layer = bare.viewer.layers[0]
    record = bare.front.adopt(layer)
    assert layer.interpolation2d == "linear"
    # whoever wants to see the pixels does, and is not asked again
    layer.interpolation2d = "nearest"
    bare.show_image(record.name)
    assert layer.interpolation2d == "nearest"
    bare.viewer.layers.remove(layer)
    bare.show_image(record.name)
    assert bare.viewer.layers[0].interpolation2d == "linear"


def test_interpolated_pyramid_is_whole(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=True)
    full = RNG.integers(0, 255, (4096, 4096, 3), dtype=np.uint8)
    full[:, :2048], full[:, 2048:] = 200, 50
    layer = viewer.add_image([full, full[::4, ::4]], rgb=True, interpolation2d="linear")
    for zoom in (0.1, 1, 8):
        viewer.scene.camera.center = (0, 2000, 2047.5)
        viewer.scene.camera.zoom = zoom
        row = viewer.screenshot(canvas_only=True, flash=False)
        row = row[row.shape[0] // 2, :, 0].astype(int)
        inside = row[row > 40]
        assert abs(int((row > 125).sum()) - int(((row > 40) & (row < 125)).sum())) < 12 * zoom + 8
        assert inside.max() <= 205, layer.data_level
