from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, of_each_slide, open_image
from napari_noisyseg.slides.openslides import open_openslide


@pytest.fixture
def svs(data_dir: Path) -> Path:
    return data_dir / "slides" / "CMU-1-Small-Region.svs"


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


def test_a_real_slide_is_opened_at_once(svs: Path, pace: float) -> None:
    pytest.importorskip("openslide")
    open_image(svs).close()
    start = time.thread_time()
    with open_image(svs) as slide:
        pixels = slide.read(Box(1000, 700, 1100, 850))
        assert time.thread_time() - start < 100 * pace
        assert (slide.shape, slide.mpp, slide.is_pyramid) == ((2967, 2220), 0.499, True)
    wanted = tifffile.imread(svs, series=0)[1000:1100, 700:850]
    # two JPEG decoders round differently
    assert np.abs(pixels.astype(int) - wanted).max() <= 3


@pytest.mark.parametrize("name", ["A9K0_1", "A9K0_2", "A9K0_3"])
def test_slides_of_jpeg_2000_are_read(data_dir: Path, name: str) -> None:
    pytest.importorskip("openslide")
    path = data_dir / "slides" / "monusac" / f"{name}.svs"
    with open_image(path) as slide:
        assert slide.mpp == pytest.approx(0.19448)
        height, width = slide.shape
        wanted = tifffile.imread(path, series=0)
        assert wanted.shape[:2] == (height, width)
        read = slide.read(Box(0, 0, height, width)).astype(int)
    assert np.abs(read - wanted).mean() < 2


@pytest.mark.filterwarnings("ignore")  # of tiffslide's own dependencies, as they are imported
def test_tiffslide_stands_in_for_openslide(svs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tiffslide")
    without(monkeypatch, "openslide")
    with open_image(svs) as slide:
        assert (slide.shape, slide.mpp) == ((2967, 2220), 0.499)
        pixels = slide.read(Box(1000, 700, 1100, 850))
    assert np.array_equal(pixels, tifffile.imread(svs, series=0)[1000:1100, 700:850])


def test_without_a_reader_the_extra_is_named(svs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "openslide", "tiffslide")
    with pytest.raises(NoisySegError, match=r'pip install "napari-noisyseg\[slides\]"'):
        open_image(svs)


def test_a_slide_under_another_name_is_known(svs: Path, tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    copy = tmp_path / "Präparat 7.tif"
    copy.write_bytes(svs.read_bytes())
    with open_image(copy) as slide:
        assert (slide.shape, slide.mpp) == ((2967, 2220), 0.499)


@pytest.mark.filterwarnings("ignore")  # of tiffslide's own dependencies, as they are imported
@pytest.mark.parametrize("ending", ["svs", "ndpi", "mrxs", "scn"])
def test_what_is_no_slide_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"not a slide" * 100)
    with pytest.raises(NoisySegError, match="cannot be opened as a slide") as caught:
        open_image(path)
    assert str(path) in str(caught.value)


class Scanned:
    """A slide of OpenSlide, 400 x 300 with two levels, of which x 100..219, y 60..139 was scanned.

    Its pixels tell their level-0 place: red x // 4, green y // 4.
    """

    level_dimensions = ((400, 300), (200, 150))
    level_downsamples = (1.0, 2.0)
    properties = {  # noqa: RUF012
        "openslide.mpp-x": "0.25",
        "openslide.mpp-y": "0.25",
        "openslide.bounds-x": "100",
        "openslide.bounds-y": "60",
        "openslide.bounds-width": "120",
        "openslide.bounds-height": "80",
    }

    def __init__(self, path: Path) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not to be read")

    def close(self) -> None:
        pass

    def read_region(self, corner: tuple[int, int], level: int, size: tuple[int, int]) -> np.ndarray:
        step = 2**level
        x = np.arange(size[0]) * step + corner[0]
        y = np.arange(size[1]) * step + corner[1]
        pixels = np.zeros((size[1], size[0], 4), np.uint8)
        pixels[..., 0], pixels[..., 1] = x[None] // 4, y[:, None] // 4
        scanned = (x[None] >= 110) & (y[:, None] >= 60)
        pixels[..., 3] = np.where(scanned, 255, 0)
        return pixels


def test_a_slide_is_cut_to_what_was_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As QuPath does; and label and macro pictures (`associated_images`) are not touched."""
    openslide = pytest.importorskip("openslide")
    monkeypatch.setattr(openslide, "OpenSlide", Scanned)
    with open_openslide(Path("a.mrxs")) as slide:
        assert [level.shape for level in slide.levels] == [(80, 120, 3), (40, 60, 3)]
        fine = slide.read(Box(4, 0, 8, 16))
        assert fine[0, 12].tolist() == [(100 + 12) // 4, 64 // 4, 0]
        assert (fine[:, :10] == 255).all()
        assert slide.levels[1][2, 6].tolist() == [(100 + 12) // 4, 64 // 4, 0]


def test_a_slide_in_dicom_is_one_slide(tmp_path: Path, tnbc: Any) -> None:
    """It has a file for each level, and any of them opens it; in a folder it counts once."""
    pytest.importorskip("openslide")
    pytest.importorskip("pydicom")
    from dicom_slide import write_series

    write_series(tmp_path, tnbc[0], 0.25, (1, 2))
    files = sorted(tmp_path.glob("*.dcm"))
    for path in files:
        with open_image(path) as slide:
            assert (slide.shape, slide.mpp, len(slide.levels)) == ((512, 512), 0.25, 2)
            pixels = slide.read(Box(0, 0, 512, 512)).astype(int)
        assert np.abs(pixels - tnbc[0]).mean() < 2
    damaged = tmp_path / "x.dcm"
    damaged.write_bytes(b"no DICOM")
    plain = tmp_path / "y.png"
    assert of_each_slide([*files, damaged, plain]) == [files[0], damaged, plain]
