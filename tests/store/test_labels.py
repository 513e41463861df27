"""Label images on disk: valid OME-Zarr 0.5, replaced as a whole or in a box, never half."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.storage
import zarr.storage._local as local_store
from numpy.typing import NDArray
from yaozarrs import v05, validate_ome_uri, validate_zarr_store

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image
from napari_noisyseg.store import Project
from napari_noisyseg.store.pyramid import recover

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


@pytest.fixture
def labelled(project: Project, tnbc: Tissue) -> Project:
    """A real field blown up to three levels, its nuclei as labels, and a map of floats."""
    rgb, nuclei = (np.kron(a, np.ones((3, 3, *[1] * (a.ndim - 2)), a.dtype)) for a in tnbc)
    project.add_array(rgb[:1500, :1401], "big", 0.25)
    project.labels.write("big", "refined", nuclei[:1500, :1401], {"run": "r1"})
    project.labels.write("big", "voronoi", nuclei[:1500, :1401] > 0, {"kind": "voronoi"})
    project.labels.write("big", "probability", (nuclei[:1500, :1401] > 0).astype(np.float16))
    return project


def ome(path: Path) -> dict[str, Any]:
    return dict(zarr.open_group(path, mode="r").attrs["ome"])  # type: ignore[arg-type]


def test_any_reader_of_ome_zarr_can_open_it(labelled: Project) -> None:
    image = labelled.path / "images" / "big"
    for place in (labelled.path, image, image / "labels", image / "labels" / "refined"):
        validate_zarr_store(str(place))
    assert isinstance(validate_ome_uri(str(labelled.path)).attributes.ome, v05.Bf2Raw)
    assert isinstance(validate_ome_uri(str(image)).attributes.ome, v05.Image)
    assert isinstance(validate_ome_uri(str(image / "labels")).attributes.ome, v05.LabelsGroup)
    label = validate_ome_uri(str(image / "labels" / "refined")).attributes.ome
    assert isinstance(label, v05.LabelImage)
    assert isinstance(
        validate_ome_uri(str(image / "maps" / "probability")).attributes.ome, v05.Image
    )
    assert ome(labelled.path / "OME")["series"] == ["images/big"]


def test_what_the_metadata_says(labelled: Project) -> None:
    image = labelled.path / "images" / "big"
    assert ome(image / "labels")["labels"] == ["refined", "voronoi"]
    label = ome(image / "labels" / "refined")
    assert label["image-label"] == {"version": "0.5", "source": {"image": "../../"}}
    levels = [ome(p)["multiscales"][0]["datasets"] for p in (image, image / "labels" / "refined")]
    assert len(levels[0]) == len(levels[1]) == 3
    # image and labels lie exactly over one another, in every level
    for whole, part in zip(*levels, strict=True):
        for a, b in zip(
            whole["coordinateTransformations"], part["coordinateTransformations"], strict=True
        ):
            assert a[a["type"]][1:] == b[b["type"]]
    assert levels[1][2]["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 1.0]},
        {"type": "translation", "translation": [0.375, 0.375]},
    ]
    assert ome(image)["multiscales"][0]["axes"][1]["unit"] == "micrometer"


def test_our_own_reader_opens_the_copied_image(labelled: Project) -> None:
    with (
        open_image(labelled.path / "images" / "big") as slide,
        labelled.pixels("big") as pixels,
    ):
        assert slide.mpp == pytest.approx(0.25)
        box = Box(700, 600, 740, 660)
        assert np.array_equal(slide.read(box), pixels.read(box))
        assert len(slide.levels) == 3


def test_coarser_levels_hold_only_labels_that_exist(labelled: Project, tnbc: Tissue) -> None:
    levels = labelled.labels.levels("big", "refined")
    fine = np.asarray(levels[0][:])
    assert fine.dtype == np.int32
    for number, level in enumerate(levels):
        assert np.array_equal(level[:], fine[:: 2**number, :: 2**number])


def test_where_it_came_from_and_what_there_is(labelled: Project) -> None:
    labels = labelled.labels
    assert labels.kinds("big") == ["probability", "refined", "voronoi"]
    assert labels.source("big", "refined") == {"run": "r1"}
    assert labels.source("big", "probability") == {}
    assert labels.read("big", "absent") is None
    assert labels.levels("big", "absent") == []
    part = labels.read("big", "voronoi", Box(100, 100, 1600, 130))
    assert part is not None
    assert part.shape == (1400, 30)
    assert part.dtype == np.uint8
    labels.remove("big", "voronoi")
    assert ome(labelled.path / "images" / "big" / "labels")["labels"] == ["refined"]


@pytest.mark.parametrize("corner", [(0, 0), (511, 513), (3, 1), (1497, 1398)])
def test_a_box_is_written_through_all_levels(labelled: Project, corner: tuple[int, int]) -> None:
    labels = labelled.labels
    before = labels.read("big", "refined")
    assert before is not None
    box = Box(*corner, corner[0] + 300, corner[1] + 333).clip((1500, 1401))
    values = np.random.default_rng(0).integers(1, 2**31, (box.height, box.width)).astype(np.int32)
    labels.write_box("big", "refined", box, values, {"run": "r2"})
    before[box.slices] = values
    for number, level in enumerate(labels.levels("big", "refined")):
        assert np.array_equal(level[:], before[:: 2**number, :: 2**number])
    assert labels.source("big", "refined") == {"run": "r2"}


def test_a_box_of_a_new_kind_and_a_box_that_does_not_fit(labelled: Project) -> None:
    labels = labelled.labels
    labels.write_box("big", "local", Box(5, 5, 7, 8), np.full((2, 3), 9, np.uint8))
    whole = labels.read("big", "local")
    assert whole is not None
    assert whole.sum() == 6 * 9
    assert "local" in ome(labelled.path / "images" / "big" / "labels")["labels"]
    with pytest.raises(NoisySegError, match="do not fit the box"):
        labels.write_box("big", "local", Box(1499, 0, 1501, 3), np.zeros((2, 3), np.uint8))
    with pytest.raises(NoisySegError, match="cannot take values as large"):
        labels.write_box("big", "local", Box(0, 0, 1, 1), np.full((1, 1), 300, np.int32))


def test_arrays_that_cannot_be_kept_are_refused(labelled: Project) -> None:
    labels = labelled.labels
    for array, words in (
        (np.zeros((3, 3), np.int32), r"\(3, 3\).*\(1500, 1401\)"),
        (np.full((1500, 1401), 2**40), "beyond 32 bits"),
        (np.zeros((1500, 1401), complex), "complex128"),
    ):
        with pytest.raises(NoisySegError, match=words):
            labels.write("big", "refined", array)
    with pytest.raises(NoisySegError, match="not a name for a label"):
        labels.write("big", "../evil", np.zeros((1500, 1401), np.uint8))
    assert labels.source("big", "refined") == {"run": "r1"}


def test_chunks_are_written_aside_and_renamed(
    labelled: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = labelled.labels.read("big", "refined")
    assert before is not None
    # chunks are written by several threads: each gets a number of its own
    seen = itertools.count(1)
    replace = Path.replace

    def torn(self: Path, target: Path) -> Path:
        # the power goes when the third chunk is written but not renamed yet
        if "/c/" in target.as_posix() and next(seen) == 3:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(local_store.Path, "replace", torn)
    changed = before + 1
    with pytest.raises(NoisySegError, match="the disk is full"):
        labelled.labels.write_box("big", "refined", Box(0, 0, 1500, 1401), changed)
    monkeypatch.undo()
    after = labelled.labels.read("big", "refined")
    assert after is not None
    for y in range(0, 1500, 512):
        for x in range(0, 1401, 512):
            part = Box(y, x, y + 512, x + 512).slices
            chunk = after[part]
            assert np.array_equal(chunk, before[part]) or np.array_equal(chunk, changed[part])
    # a whole that is replaced is replaced as a whole
    seen = itertools.count(1)
    monkeypatch.setattr(local_store.Path, "replace", torn)
    with pytest.raises(NoisySegError, match="the disk is full"):
        labelled.labels.write("big", "voronoi", np.ones((1500, 1401), np.uint8))
    monkeypatch.undo()
    assert labelled.labels.source("big", "voronoi") == {"kind": "voronoi"}
    folder = labelled.path / "images" / "big" / "labels"
    assert sorted(p.name for p in folder.iterdir()) == ["refined", "voronoi", "zarr.json"]


def test_pixels_are_there_before_it_is_said_where_they_came_from(
    labelled: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    ones = np.ones((4, 4), np.int32)
    with monkeypatch.context() as patch:
        patch.setattr("napari_noisyseg.store.pyramid.write_labels", killed)
        with pytest.raises(KeyboardInterrupt):
            labelled.labels.write_box("big", "refined", Box(0, 0, 4, 4), ones, {"run": "r2"})
    assert labelled.labels.source("big", "refined") == {"run": "r1"}


def test_a_corrupt_chunk_is_told(labelled: Project) -> None:
    chunk = labelled.path / "images" / "big" / "labels" / "refined" / "0" / "c" / "1" / "1"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 0x55
    chunk.write_bytes(data)
    with pytest.raises(NoisySegError, match=r"cannot read refined of big .*damaged"):
        labelled.labels.read("big", "refined")
    sound = labelled.labels.read("big", "refined", Box(0, 0, 512, 512))
    assert sound is not None
    labelled.labels.write("big", "refined", np.zeros((1500, 1401), np.int32))
    assert labelled.labels.read("big", "refined") is not None


def test_a_corrupt_chunk_of_the_image_is_told(labelled: Project) -> None:
    chunk = labelled.path / "images" / "big" / "0" / "c" / "0" / "1" / "1"
    chunk.write_bytes(chunk.read_bytes()[:-40])
    with labelled.pixels("big") as pixels, pytest.raises(NoisySegError, match="damaged"):
        pixels.read(Box(600, 600, 610, 610))


def test_a_replacement_that_was_torn_apart_is_finished(tmp_path: Path) -> None:
    for name in (".a.old-11111111", ".b.old-22222222", "b", ".c.new-33333333"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "from").write_text(name)
        (tmp_path / name / "zarr.json").write_text("{}")
    recover(tmp_path, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / "a" / "from").read_text() == ".a.old-11111111"
    assert (tmp_path / "b" / "from").read_text() == "b"


def test_recovering_touches_only_what_it_made_itself(tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    (outside / "labels" / ".x.new-12345678").mkdir(parents=True)
    top = tmp_path / "p"
    top.mkdir()
    (top / "link").symlink_to(outside / "labels", target_is_directory=True)
    (top / ".y.old-12345678").symlink_to(outside, target_is_directory=True)
    for name in (".notes.new-draft", ".a.new-1234567", ".photos.new-12345678", ".b.old-12345678"):
        (top / name).mkdir()
        (top / name / "mine.txt").write_text("mine")
    before = sorted(top.rglob("*"))
    recover(top, top)
    recover(top, top / "link")
    assert sorted(top.rglob("*")) == before
    assert (outside / "labels" / ".x.new-12345678").is_dir()


def test_a_new_scale_reaches_the_metadata(labelled: Project) -> None:
    places = [
        labelled.path / "images" / "big" / p for p in (".", "labels/refined", "maps/probability")
    ]

    def scales() -> list[float]:
        data = [ome(p)["multiscales"][0]["datasets"][0] for p in places]
        return [d["coordinateTransformations"][0]["scale"][-1] for d in data]

    labelled.set_mpp("big", 0.5)
    assert scales() == [0.5] * 3
    labelled.nuclei.undo()
    assert scales() == [0.25] * 3
    labelled.remove_image("big")
    assert "ome" not in zarr.open_group(labelled.path, mode="r").attrs
    labelled.nuclei.undo()
    validate_zarr_store(str(labelled.path))


def test_integers_and_floats_of_one_kind_replace_each_other(labelled: Project) -> None:
    labelled.labels.write("big", "probability", np.ones((1500, 1401), np.uint8))
    assert labelled.labels.kinds("big") == ["probability", "refined", "voronoi"]
    labelled.labels.write("big", "probability", np.ones((1500, 1401), np.float32))
    whole = labelled.labels.read("big", "probability")
    assert whole is not None
    assert whole.dtype == np.float32


def test_the_fit_is_kept(labelled: Project) -> None:
    assert labelled.labels.fit("big") is None
    labelled.labels.set_fit("big", {"centres": [[1.5, 2]], "count": 3})
    labelled.labels.set_fit("big", {"centres": [[2.5, 2]], "count": 4})
    with Project.open(labelled.path, write=False) as reader:
        assert reader.labels.fit("big") == {"centres": [[2.5, 2]], "count": 4}
