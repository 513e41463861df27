from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import read_labels

LABELS = np.random.default_rng(2).integers(0, 200, (30, 40))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.int32, np.int64, np.float32])
def test_tiff_labels_of_every_kind_of_number(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "größe.tif"
    tifffile.imwrite(path, LABELS.astype(kind))
    labels = read_labels(path)
    assert labels.dtype == np.int32
    assert np.array_equal(labels, LABELS)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_png_labels(tmp_path: Path, kind: type) -> None:
    labels = LABELS * (1 if kind is np.uint8 else 300)
    Image.fromarray(labels.astype(kind)).save(tmp_path / "a.png")
    assert np.array_equal(read_labels(tmp_path / "a.png"), labels)


def test_a_palette_png_gives_its_indices(tmp_path: Path) -> None:
    image = Image.fromarray(LABELS.astype(np.uint8), "L").convert("P")
    image.putpalette(list(range(255, -1, -1)) * 3)
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_labels(tmp_path / "a.png"), LABELS)


def test_masks_of_yes_and_no_become_0_and_1(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", LABELS > 90)
    Image.fromarray(LABELS > 90).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        assert np.array_equal(read_labels(tmp_path / name), LABELS > 90)


def test_axes_of_length_one_are_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for shape in ((1, *LABELS.shape), (*LABELS.shape, 1), (1, 1, *LABELS.shape)):
        tifffile.imwrite(path, LABELS.reshape(shape).astype(np.uint16), photometric="minisblack")
        assert np.array_equal(read_labels(path), LABELS)


def test_real_labels(data_dir: Path) -> None:
    path = next((data_dir / "monuseg" / "labels").glob("*.tif"))
    assert np.array_equal(read_labels(path), tifffile.imread(path))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((9, 9, 3), np.uint8), "colour image"),
        (np.zeros((4, 9, 9), np.uint16), "4 pages"),
        (np.full((9, 9), -1, np.int16), "label -1"),
        (np.full((9, 9), 2**31, np.uint32), "label 2147483648"),
        (np.full((9, 9), 0.5, np.float32), "fractions"),
        (np.full((9, 9), np.nan, np.float32), "fractions"),
        (np.zeros((9, 9), np.complex64), "complex64"),
    ],
)
def test_what_is_no_label_image_is_refused(tmp_path: Path, array: np.ndarray, said: str) -> None:
    path = tmp_path / "a.tif"
    options = {"photometric": "rgb"} if array.shape[-1] == 3 else {"photometric": "minisblack"}
    tifffile.imwrite(path, array, **options)
    with pytest.raises(NoisySegError, match=said) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_damaged_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(np.uint16))
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.tif").write_text("words")
    (tmp_path / "c.png").touch()
    for name in ("a.tif", "b.tif", "c.png", "gone.tif"):
        with pytest.raises(NoisySegError, match=name):
            read_labels(tmp_path / name)
