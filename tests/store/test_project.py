"""Creating, images that are copied in, slides that are linked and moved."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image
from yaozarrs import validate_zarr_store

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


def slide(path: Path, rgb: NDArray[np.uint8]) -> Path:
    """A tiled pyramid of two levels, as scanners write them."""
    path.parent.mkdir(exist_ok=True)
    options = {"tile": (128, 128), "photometric": "rgb", "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as file:
        file.write(rgb, subifds=1, resolution=(20000, 20000), **options)
        file.write(rgb[::2, ::2], subfiletype=1, resolution=(10000, 10000), **options)
    return path


def test_something_that_is_there_is_not_overwritten(tmp_path: Path, project: Project) -> None:
    for path in (project.path, Path(__file__)):
        with pytest.raises(NoisySegError, match="exists already"):
            Project.create(path)
    for path in (tmp_path, tmp_path / "absent", Path(__file__)):
        with pytest.raises(NoisySegError, match="no NoisySeg project"):
            Project.open(path)


def test_an_image_file_is_copied_in(project: Project, tmp_path: Path, tnbc: Tissue) -> None:
    path = tmp_path / "case 17 ä.png"
    Image.fromarray(tnbc[0]).save(path)
    record = project.add_image(path, mpp=0.5)
    assert (record.name, record.height, record.width) == ("case 17 ä", 512, 512)
    assert (record.mpp, record.mpp_assumed, record.link) == (0.5, False, None)
    path.unlink()
    with project.pixels(record.name) as pixels:
        assert np.array_equal(pixels.read(Box(0, 0, 512, 512)), tnbc[0])
        assert pixels.mpp == 0.5
    assert project.images() == [record]


def test_the_pyramid_of_a_copied_image_is_of_means(project: Project) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (1031, 700, 3), dtype=np.uint8)
    project.add_array(rgb, "big")
    with project.pixels("big") as pixels:
        assert [n.shape for n in pixels.levels] == [(1031, 700, 3), (516, 350, 3), (258, 175, 3)]
        part = pixels.levels[1][10:20, 30:40]
    wanted = rgb[20:40, 60:80].reshape(10, 2, 10, 2, 3).mean(axis=(1, 3))
    assert np.abs(part - wanted).max() <= 0.5


def test_an_unknown_scale_is_assumed_and_said(project: Project, tnbc: Tissue) -> None:
    record = project.add_array(tnbc[0], "a layer")
    assert (record.mpp, record.mpp_assumed) == (0.25, True)
    assert project.mpp_assumed
    project.set_mpp("a layer", 0.5)
    assert (project.image("a layer").mpp, project.mpp_assumed) == (0.5, False)
    project.nuclei.undo()
    assert project.mpp_assumed
    for wrong in (0, -1, float("nan"), 1e6):
        with pytest.raises(NoisySegError, match="no resolution"):
            project.set_mpp("a layer", wrong)


def test_the_whole_project_may_be_marked_as_assumed(tmp_path: Path) -> None:
    with Project.create(tmp_path / "p.noisyseg", mpp_assumed=True) as project:
        assert project.mpp_assumed


def test_names_are_unique_and_twins_are_refused(
    project: Project, tmp_path: Path, tnbc: Tissue
) -> None:
    paths = [tmp_path / folder / "a.png" for folder in ("one", "two")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        Image.fromarray(tnbc[0] + np.uint8(number)).save(path)
    names = [project.add_image(path).name for path in paths]
    assert names == ["a", "a 2"]
    with pytest.raises(NoisySegError, match="already, as a 2"):
        project.add_image(paths[1])
    with pytest.raises(NoisySegError, match="choose another name"):
        project.add_image(paths[1], name="a")
    keys = [p.name for p in (project.path / "images").iterdir()]
    assert len(keys) == 2


@pytest.mark.parametrize("name", ["../../evil", "con", "a/b", "..", "Ж", "a" * 300, ".hidden"])
def test_odd_names_stay_inside_the_project(project: Project, name: str) -> None:
    project.add_array(np.zeros((8, 8, 3), np.uint8), name)
    project.labels.write(name, "voronoi", np.ones((8, 8), np.uint8))
    (folder,) = (project.path / "images").iterdir()
    assert (folder / "labels" / "voronoi" / "zarr.json").is_file()
    assert project.labels.kinds(name) == ["voronoi"]


def test_two_images_whose_folders_would_clash(project: Project) -> None:
    for name in ("Ж", "Я", "A", "a"):
        project.add_array(np.full((8, 8, 3), len(name), np.uint8), name)
    assert len(list((project.path / "images").iterdir())) == 4


def test_a_failed_image_leaves_nothing(project: Project, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    for path in (bad, tmp_path / "absent.png"):
        with pytest.raises(NoisySegError):
            project.add_image(path)
    assert project.images() == []
    assert not list((project.path / "images").glob("*"))
    assert project.nuclei.history() == []


def test_a_slide_is_linked_and_found_when_moved(
    project: Project, tmp_path: Path, tnbc: Tissue
) -> None:
    path = slide(tmp_path / "slides" / "s.tif", tnbc[0])
    record = project.add_image(path)
    assert record.link == path
    assert record.mpp == pytest.approx(0.5)
    assert not list((project.path / "images" / "s").glob("0*"))
    moves = [tmp_path / "s.tif", tmp_path / "elsewhere" / "renamed.tif"]
    for target in moves:
        target.parent.mkdir(exist_ok=True)
        path = path.rename(target)
        with project.pixels("s") as found:
            assert found.path == target
            assert np.array_equal(found.read(Box(0, 0, 512, 512)), tnbc[0])
        assert project.image("s").link == target


def test_labels_of_a_linked_slide_have_its_levels(
    project: Project, tmp_path: Path, tnbc: Tissue
) -> None:
    project.add_image(slide(tmp_path / "s.tif", tnbc[0]))
    project.labels.write("s", "refined", tnbc[1])
    assert [n.shape for n in project.labels.levels("s", "refined")] == [(512, 512), (256, 256)]
    folder = project.path / "images" / "s" / "labels"
    for place in (folder, folder / "refined"):
        validate_zarr_store(str(place))
    # only what a reader can open is listed
    assert "ome" not in zarr.open_group(project.path, mode="r").attrs
    project.add_array(tnbc[0], "copied")
    validate_zarr_store(str(project.path))


def test_a_missing_slide_is_told_and_loses_nothing(
    project: Project, tmp_path: Path, tnbc: Tissue
) -> None:
    path = slide(tmp_path / "slides" / "s.tif", tnbc[0])
    project.add_image(path)
    nucleus = project.nuclei.add("s", 5, 5)
    far = tmp_path / "far" / "away" / "drive"
    far.mkdir(parents=True)
    other = slide(tmp_path / "slides" / "s.tif", tnbc[0][::-1])
    with pytest.raises(NoisySegError, match="has another content now"):
        project.pixels("s")
    other.unlink()
    with pytest.raises(NoisySegError, match=r"is gone.*link it again.*safe"):
        project.pixels("s")
    assert project.nuclei.of("s") == [nucleus]
    back = slide(far / "s.tif", tnbc[0])
    with project.pixels("s", search=[tmp_path / "far"]) as found:
        assert found.path == back


def test_linking_anew(project: Project, tmp_path: Path, tnbc: Tissue) -> None:
    path = slide(tmp_path / "slides" / "s.tif", tnbc[0])
    project.add_image(path)
    project.add_array(tnbc[0], "copied")
    other = slide(tmp_path / "other.tif", tnbc[0][::-1])
    with pytest.raises(NoisySegError, match="not the slide s"):
        project.relink("s", other)
    with pytest.raises(NoisySegError, match="needs no link"):
        project.relink("copied", other)
    deep = tmp_path / "a" / "b" / "x.tif"
    deep.parent.mkdir(parents=True)
    project.relink("s", path.rename(deep))
    assert project.image("s").link == deep


def test_project_and_slide_moved_together(tmp_path: Path, tnbc: Tissue) -> None:
    case = tmp_path / "case"
    slide(case / "s.tif", tnbc[0])
    with Project.create(case / "deep" / "er" / "p.noisyseg") as project:
        project.add_image(case / "s.tif")
    case.rename(tmp_path / "moved")
    moved = tmp_path / "moved" / "deep" / "er" / "p.noisyseg"
    with Project.open(moved, write=False) as project, project.pixels("s") as found:
        assert found.path == tmp_path / "moved" / "s.tif"


def test_adopted_runs_are_marked(project: Project) -> None:
    run = project.runs.new()
    assert not run.adopted
    project.mark_adopted(run.id)
    assert run.adopted
    with Project.open(project.path, write=False) as reader:
        assert reader.runs.get(run.id).adopted


def test_saved_is_the_time_of_the_last_action(project: Project) -> None:
    assert project.saved is None
    project.add_array(np.zeros((8, 8, 3), np.uint8), "i")
    first = project.saved
    project.nuclei.add("i", 1, 1)
    assert first is not None
    assert project.saved is not None
    assert project.saved >= first


def test_nothing_heavy_is_imported(child: Callable[..., subprocess.Popen[str]]) -> None:
    script = (
        "import sys, napari_noisyseg.store\n"
        "print([m for m in ('torch', 'napari', 'qtpy', 'PySide6', 'magicgui') if m in sys.modules])"
    )
    process = child(script)
    assert process.communicate(timeout=60)[0] == "[]\n"
