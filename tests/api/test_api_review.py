"""The review from a script: from an image and points to a file for QuPath."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

import napari_noisyseg as ns
from napari_noisyseg import samples


@pytest.fixture
def project(tmp_path, tnbc):
    with ns.Project.create(tmp_path / "a.noisyseg") as made:
        made.add_array(tnbc[0][:192, :192], "i", 0.25)
        places = [(float(r[1]), float(r[0])) for r in _rows() if max(map(float, r[:2])) < 185]
        made.nuclei.add_many("i", places)
        yield made


def _rows() -> list[list[str]]:
    return [line.split(",") for line in samples.FIELD_POINTS.read_text().splitlines()[1:]]


def test_decisions_are_kept_undone_and_exported(project, tmp_path) -> None:
    review = ns.Review(project, reviewer="ann")
    first, second, third = review.next(3)
    review.accept(first)
    review.accept(second.id)
    review.reject(third.candidate.serial)
    assert review.progress.reviewed == 3
    assert project.nuclei.counts().accepted == 2
    (file,) = ns.export(project, tmp_path / "out", layer="accepted")
    written = json.loads(file.read_text("utf-8"))["features"]
    assert {feature["id"] for feature in written} == {first.id, second.id}
    project.nuclei.undo()
    assert project.nuclei.counts().rejected == 0
    decided = project.nuclei.verdicts("i")
    assert {v.reviewer for v in decided} == {"ann"}


def test_a_picture_shows_the_outline_in_its_place(project, tnbc) -> None:
    review = ns.Review(project)
    item = review.next(1)[0]
    rgb, mask, box = review.picture(item, margin_um=2)
    assert rgb.shape[:2] == mask.shape == box.shape
    assert np.array_equal(rgb, tnbc[0][box.slices])
    assert mask.sum() == item.candidate.outline.area


def test_a_redrawn_outline_goes_out(project, tmp_path) -> None:
    review = ns.Review(project)
    item = review.next(1)[0]
    drawn = np.zeros((192, 192), bool)
    drawn[20:30, 40:45] = True
    review.redraw(item, drawn)
    assert project.nuclei.outline(item.id).box == ns.Box(20, 40, 30, 45)
    with pytest.raises(ns.NoisySegError, match="at least one pixel"):
        review.redraw(item, np.zeros((4, 4), bool))


def test_what_cannot_be_judged_is_told(project) -> None:
    review = ns.Review(project)
    with pytest.raises(ns.NoisySegError, match="not among those"):
        review.accept(10**9)
    with pytest.raises(ns.NoisySegError, match="0 and 1"):
        review.accept_above(3)
    project.close()
    with (
        ns.Project.open(project.path, write=False) as read,
        pytest.raises(ns.NoisySegError, match="read-only"),
    ):
        ns.Review(read)


def test_files_come_in_by_name(project, tmp_path) -> None:
    (tmp_path / "i.csv").write_text("x,y\n3,4\n")
    found = ns.import_file(project, tmp_path / "i.csv")
    assert found.count == 1
    with pytest.raises(ns.NoisySegError, match="no image 'j'"):
        ns.import_file(project, tmp_path / "i.csv", image="j")
    with pytest.raises(ns.NoisySegError, match="kind"):
        ns.import_file(project, tmp_path / "i.csv", kind="line")


def test_a_file_goes_to_the_image_of_its_name_without_the_ending(project, tnbc, tmp_path) -> None:
    project.add_array(tnbc[0][192:, 192:], "other", 0.25)
    masks = np.zeros((192, 192), np.uint16)
    masks[10:20, 10:30] = 1
    tifffile.imwrite(tmp_path / "i.ome.tif", masks)
    assert ns.import_file(project, tmp_path / "i.ome.tif", kind="rough").count == 1
