from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Level, Slide, from_array

RGB = np.random.default_rng(3).integers(0, 256, (13, 17, 3), dtype=np.uint8)


def lazy(pixels: np.ndarray) -> Level:
    return Level(pixels.shape[0], pixels.shape[1], lambda box: pixels[box.slices], "it")


ends = st.none() | st.integers(-25, 25)
steps = st.none() | st.integers(-4, 4).filter(bool)
keys = st.integers(-13, 12) | st.builds(slice, ends, ends, steps)
channels = st.integers(-3, 2) | st.builds(slice, ends, ends, steps)


@given(st.tuples(keys) | st.tuples(keys, keys) | st.tuples(keys, keys, channels))
def test_a_level_is_sliced_as_an_array_is(key: tuple[int | slice, ...]) -> None:
    assert np.array_equal(lazy(RGB)[key], RGB[key])


def test_a_level_says_what_an_array_says() -> None:
    level = lazy(RGB)
    assert (level.shape, level.dtype, level.ndim, level.size) == (RGB.shape, RGB.dtype, 3, RGB.size)
    assert np.array_equal(np.asarray(level), RGB)
    assert np.array_equal(level[..., 1], RGB[..., 1])
    assert np.array_equal(level[3, ..., 1], RGB[3, :, 1])
    with pytest.raises(IndexError):
        level[13]
    with pytest.raises(IndexError):
        level[0, 0, 0, 0]
    with pytest.raises(IndexError):
        level[[1, 2]]  # type: ignore[index]


def test_only_what_is_asked_for_is_read() -> None:
    asked: list[Box] = []

    def read(box: Box) -> np.ndarray:
        asked.append(box)
        return np.zeros((box.height, box.width, 3), np.uint8)

    level = Level(100_000, 200_000, read, "slide")
    assert level[500:510:3, -4:].shape == (4, 4, 3)
    assert asked == [Box(500, 199_996, 510, 200_000)]
    with pytest.raises(NoisySegError, match="too many to read at once"):
        level[:]


def test_a_decoder_that_fails_says_where() -> None:
    def read(box: Box) -> np.ndarray:
        raise RuntimeError("bad tile")

    with pytest.raises(NoisySegError, match=r"a\.svs cannot be read at x 5, y 4 \(bad tile\)"):
        Level(10, 10, read, "a.svs")[4:6, 5:6]


def test_read_takes_level_0_boxes_at_every_level() -> None:
    slide = Slide(Path("a.tif"), [lazy(RGB), lazy(RGB[:12:2, :16:2])], 0.25, is_pyramid=True)
    assert slide.downsamples == pytest.approx((1, (13 / 6 + 17 / 8) / 2))
    assert np.array_equal(slide.read(Box(2, 3, 9, 11)), RGB[2:9, 3:11])
    assert np.array_equal(slide.read(Box(4, 0, 8, 4), level=1), RGB[:12:2, :16:2][1:4, 0:2])


def test_outside_the_image_is_white() -> None:
    slide = from_array(RGB, None, "a")
    pixels = slide.read(Box(-2, 15, 3, 20))
    assert pixels.shape == (5, 5, 3)
    assert np.array_equal(pixels[2:, :2], RGB[:3, 15:])
    assert (pixels[:2] == 255).all()
    assert (pixels[:, 2:] == 255).all()
    assert (slide.read(Box(100, 100, 102, 103)) == 255).all()


def test_an_array_becomes_a_slide_of_one_level() -> None:
    with from_array(RGB[..., 0], 0.5, "layer 1") as slide:
        assert (slide.shape, slide.mpp, slide.is_pyramid, slide.name) == (
            (13, 17),
            0.5,
            False,
            "layer 1",
        )
        slide.levels[0][:][:] = 0
        assert np.array_equal(slide.read(Box(0, 0, 13, 17))[..., 2], RGB[..., 0])


@pytest.mark.parametrize(
    ("file", "name"),
    [("case 17.ome.tif", "case 17"), ("Ä.png", "Ä"), ("a.b.svs", "a.b"), ("x.OME.ZARR", "x")],
)
def test_a_slide_is_named_after_its_file(file: str, name: str) -> None:
    assert Slide(Path("folder") / file, [lazy(RGB)], None, False).name == name


@pytest.mark.filterwarnings("ignore")  # of napari's own dependencies, as they are imported
def test_levels_are_shown_by_napari_as_a_pyramid() -> None:
    layers = pytest.importorskip("napari.layers")
    coarse = RGB[:12:2, :16:2]
    slide = Slide(Path("a.tif"), [lazy(RGB), lazy(coarse)], 0.25, is_pyramid=True)
    layer = layers.Image(list(slide.levels), multiscale=True, rgb=True)
    assert layer.multiscale
    assert layer.extent.data[1].tolist() == [12.0, 16.0]
    assert layer.data_level == 1
    assert np.array_equal(layer.get_value((6, 8))[1], coarse[3, 4])
