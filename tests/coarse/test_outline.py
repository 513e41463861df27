"""Outlines at clicks by the starter: a function of the clicks, connected, without holes, quick."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.transform import resize

from napari_noisyseg import samples
from napari_noisyseg.coarse import CoarseLabels, starter
from napari_noisyseg.coarse.appearance import SIDE, appearance, crops, spots, unlike_stained_tissue
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image

Places = dict[int, tuple[float, float]]
PLACE = st.tuples(st.integers(0, 127), st.integers(0, 127))


def clicked() -> NDArray[np.float64]:
    """The bundled field's points, (n, 2) of (y, x)."""
    table = np.genfromtxt(samples.FIELD_POINTS, delimiter=",", names=True, dtype=float)
    return np.stack([table["y"], table["x"]], axis=1)


@pytest.fixture(scope="module")
def rgb() -> NDArray[np.uint8]:
    """A corner of the bundled tissue."""
    with open_image(samples.FIELD) as slide:
        return slide.read(Box(100, 100, 228, 228))


def labels_of(rgb: NDArray[np.uint8], points: Places, **more: bool) -> CoarseLabels:
    known = np.ones(rgb.shape[:2], bool)
    return CoarseLabels(rgb, points, known, 0.25, kinds=("outline",), **more)


@settings(max_examples=15, deadline=None)
@example(first=[(0, 0)], acts=[(0, 0), (83, 90)])  # a nucleus at the edge of what is seen of it
@given(first=st.lists(PLACE, min_size=1, max_size=6), acts=st.lists(PLACE, min_size=1, max_size=4))
def test_it_does_not_matter_in_which_order_clicks_came(
    rgb: NDArray[np.uint8], first: list[tuple[int, int]], acts: list[tuple[int, int]]
) -> None:
    points: Places = {s: (float(y), float(x)) for s, (y, x) in enumerate(first, 1)}
    live, lazy = labels_of(rgb, points), labels_of(rgb, points, lazy=True)
    assert (live.outlines == lazy.outlines).all()
    for number, (y, x) in enumerate(acts):
        serial = number + 1
        for labels in (live, lazy):
            if number % 3 == 2 and serial in points:
                labels.remove(serial)
            elif serial in points:
                labels.move(serial, y, x)
            else:
                labels.add(serial, y, x)
        if number % 3 == 2 and serial in points:
            points.pop(serial)
        else:
            points[serial] = (float(y), float(x))
    lazy.catch_up()
    anew = labels_of(rgb, points)
    for labels in (live, lazy):
        assert (labels.outlines == anew.outlines).all()
        assert (labels.outline == anew.outline).all()


@settings(max_examples=15, deadline=None)
@given(st.lists(PLACE, min_size=1, max_size=8, unique=True))
def test_a_nucleus_is_in_one_piece_and_has_no_hole(
    rgb: NDArray[np.uint8], places: list[tuple[int, int]]
) -> None:
    points: Places = {s: (float(y), float(x)) for s, (y, x) in enumerate(places, 1)}
    found = labels_of(rgb, points).outlines
    assert set(np.unique(found)) - {0} == set(points)
    for serial in points:
        mask = found == serial
        assert ndi.label(mask)[1] == 1
        holes = ndi.binary_fill_holes(mask) & ~mask
        assert (found[holes] != 0).all()


def test_clicks_on_the_border_and_twice_on_one_pixel(rgb: NDArray[np.uint8]) -> None:
    corners: Places = {1: (0, 0), 2: (0, 127), 3: (127, 0), 4: (127, 127), 5: (60, 60), 6: (60, 60)}
    found = labels_of(rgb, corners).outlines
    assert {1, 2, 3, 4, 5} <= set(np.unique(found))


@pytest.mark.parametrize("mpp", [0.1, 0.25, 0.5, 1.0])
def test_outlines_have_the_size_of_nuclei_at_any_resolution(mpp: float) -> None:
    with open_image(samples.FIELD) as slide:
        whole = slide.read(Box(0, 0, *slide.shape))
    points = {s: (float(y), float(x)) for s, (y, x) in enumerate(clicked(), 1)}
    at = labels_of(whole, points).outlines
    factor = 0.25 / mpp
    shape = (round(whole.shape[0] * factor), round(whole.shape[1] * factor))
    small = (resize(whole, shape, anti_aliasing=factor < 1) * 255).astype(np.uint8)
    scaled = {
        s: ((y + 0.5) * factor - 0.5, (x + 0.5) * factor - 0.5) for s, (y, x) in points.items()
    }
    known = np.ones(shape, bool)
    found = CoarseLabels(small, scaled, known, mpp, kinds=("outline",)).outlines
    ours, theirs = np.bincount(found.ravel())[1:], np.bincount(at.ravel())[1:]
    ratio = np.median(ours[ours > 0]) / factor**2 / np.median(theirs[theirs > 0])
    assert 0.6 < ratio < 1.5


def test_what_is_no_stained_tissue_gets_the_untrained_outlines(rgb: NDArray[np.uint8]) -> None:
    grey = np.repeat(rgb.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    dark = (255 - grey) // 3
    for image, word in ((grey, "no colours"), (dark, "fluorescence")):
        known = np.ones(image.shape[:2], bool)
        labels = CoarseLabels(image, {1: (30, 30)}, known, 0.25)
        assert word in labels.doubt
        assert (labels.outlines == labels.instances).all()
    assert unlike_stained_tissue(rgb) == ""


def test_a_missing_or_damaged_network_is_said_and_local_takes_over(
    rgb: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (b"", b"no network", starter.model("outline")[:5000]):
        monkeypatch.setattr(starter, "model", lambda name, content=content: content)
        starter.shipped.cache_clear()
        with pytest.raises(NoisySegError, match="install napari-noisyseg again"):
            starter.shipped("outline")
        labels = CoarseLabels(rgb, {1: (30, 30)}, np.ones((128, 128), bool), 0.25)
        assert "install napari-noisyseg again" in labels.doubt
        assert (labels.outlines == labels.instances).all()
    starter.shipped.cache_clear()


def test_squares_show_the_tissue_around_a_click_and_where_the_others_are() -> None:
    rgb = np.full((100, 90, 3), 200, np.uint8)
    rgb[50:60, 40:50] = (80, 40, 120)
    planes = appearance(rgb, 0.25)
    clicks = np.array([(55.0, 45.0), (60.0, 50.0), (2.0, 3.0)])
    found = crops(planes, clicks, np.array([0, 2]))
    assert found.shape == (2, 6, SIDE, SIDE)
    assert np.allclose(found[0, :4], planes[:, 55 - 32 : 55 + 32, 45 - 32 : 45 + 32])
    assert found[0, 4].argmax() == 32 * SIDE + 32
    assert found[0, 5].argmax() == (32 + 5) * SIDE + 32 + 5
    assert not found[1, :4, :29].any(), "beyond the image there is nothing"
    assert spots(np.zeros((0, 2))).max() == 0


def test_other_weights_take_the_place_of_the_shipped_ones() -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, SIDE, SIDE)).astype(np.float32)
    plain = starter.Network("outline").logits(x)
    moved = starter.Network("outline", {"head.bias": np.array([9.0], np.float32)}).logits(x)
    assert moved.mean() - plain.mean() == pytest.approx(9, abs=1)
    with pytest.raises(ValueError, match="no weights"):
        starter.with_weights(starter.model("outline"), {"head.bias": np.zeros(2, np.float32)})
