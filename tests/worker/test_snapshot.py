from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_runs import SIDE

from napari_noisyseg.annotation import snapshot
from napari_noisyseg.annotation.snapshot import merged, write_snapshot
from napari_noisyseg.data.regions import Region, open_regions
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import Needs
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Nucleus, Outline

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


def frozen(project: Project, folder: Path) -> list[Region]:
    folder.mkdir(exist_ok=True)
    write_snapshot(project, folder, None)
    return [stored.load() for stored in open_regions(folder / "snapshot")]


def test_a_small_image_is_frozen_as_a_whole(
    project: Project, tmp_path: Path, tnbc: Tissue, points: NDArray[np.float64]
) -> None:
    (region,) = frozen(project, tmp_path / "run")
    assert region.image == region.name == "tissue"
    assert region.box == Box(0, 0, SIDE, SIDE)
    assert region.mpp == 0.25
    assert np.array_equal(region.rgb, tnbc[0][:SIDE, :SIDE])
    assert region.known.all()
    assert np.allclose(region.points, points)
    assert region.serials.tolist() == list(range(1, len(points) + 1))
    assert not region.clean_known.any()


def test_what_people_do_later_changes_nothing_in_it(project: Project, tmp_path: Path) -> None:
    write_snapshot(project, tmp_path, None)
    before = {p.name: p.read_bytes() for p in (tmp_path / "snapshot").iterdir()}
    project.nuclei.remove([n.id for n in project.nuclei.of("tissue")])
    project.nuclei.remove_field(project.nuclei.fields("tissue")[0].id)
    assert {p.name: p.read_bytes() for p in (tmp_path / "snapshot").iterdir()} == before


def test_decisions_become_clean_labels_and_hard_negatives(project: Project, tmp_path: Path) -> None:
    good, bad, *_ = project.nuclei.of("tissue")
    mask = np.ones((6, 5), bool)
    project.nuclei.set_outline(good.id, Box(10, 20, 16, 25), mask, "drawn")
    project.nuclei.decide([good.id], "accepted")
    project.nuclei.set_outline(bad.id, Box(100, 20, 106, 25), mask, "drawn")
    project.nuclei.decide([bad.id], "rejected")
    (region,) = frozen(project, tmp_path)
    assert bad.serial not in region.serials
    assert good.serial in region.serials
    assert (region.clean[10:16, 20:25] == good.serial).all()
    assert (region.clean > 0).sum() == 30
    assert region.rejected[100:106, 20:25].all()
    assert region.rejected.sum() == 30
    # a margin of 0.75 µm around what was accepted, and what was rejected; no more
    assert region.clean_known[7:19, 22].all()
    assert not region.clean_known[6, 22]
    assert region.clean_known[region.rejected].all()
    assert region.clean_known.sum() < 200


def test_a_field_that_is_reviewed_through_is_trusted_as_a_whole(
    project: Project, tmp_path: Path
) -> None:
    project.nuclei.remove([n.id for n in project.nuclei.of("tissue")[1:]])
    (nucleus,) = project.nuclei.of("tissue")
    project.nuclei.set_outline(nucleus.id, Box(0, 0, 4, 4), np.ones((4, 4), bool), "drawn")
    project.nuclei.decide([nucleus.id], "accepted")
    (region,) = frozen(project, tmp_path)
    assert region.clean_known.all()


def test_a_field_with_rough_masks_that_nobody_decided_on_is_not_trusted_as_a_whole(
    project: Project, tmp_path: Path
) -> None:
    nuclei = project.nuclei.of("tissue")
    box, mask = Box(10, 20, 16, 25), np.ones((6, 5), bool)
    project.nuclei.set_outline(nuclei[0].id, box, mask, "drawn")
    project.nuclei.decide([nuclei[0].id], "accepted")
    project.nuclei.remove([n.id for n in nuclei[1:]])
    whole, before = Box(0, 0, SIDE, SIDE), np.zeros((SIDE, SIDE), np.int32)
    rough = before.copy()
    rough[8:18, 18:28] = 1
    project.nuclei.paint("tissue", whole, before, rough, "rough")
    assert frozen(project, tmp_path / "decided")[0].clean_known.all()
    further = rough.copy()
    further[100:110, 100:110] = 2
    project.nuclei.paint("tissue", whole, rough, further, "rough")
    (region,) = frozen(project, tmp_path / "open")
    assert region.clean_known[12, 22]
    assert not region.clean_known[100:110, 100:110].any()
    assert region.clean_known.sum() < 400


def test_rough_masks_are_background_only_close_by_outside_fields(
    project: Project, tmp_path: Path
) -> None:
    project.nuclei.remove_field(project.nuclei.fields("tissue")[0].id)
    box = Box(40, 40, 50, 50)
    project.nuclei.paint(
        "tissue", box, np.zeros((10, 10), np.int32), np.full((10, 10), 3, np.int32)
    )
    (region,) = frozen(project, tmp_path)
    assert (region.rough > 0).sum() == 100
    # 6 µm are 24 px: a nucleus beside what was painted
    assert region.rough_known[16, 45]
    assert not region.rough_known[15, 45]
    assert not region.known.any()


def test_of_a_large_image_only_the_surroundings_of_fields_are_kept(
    project: Project, tmp_path: Path, tnbc: Tissue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "WHOLE", 1000)
    monkeypatch.setattr(snapshot, "SURROUNDINGS", 2.0)
    project.nuclei.remove_field(project.nuclei.fields("tissue")[0].id)
    for box in (Box(0, 0, 30, 40), Box(35, 0, 60, 40), Box(120, 100, 150, 150)):
        project.nuclei.add_field("tissue", box)
    first, second = frozen(project, tmp_path)
    assert first.box == Box(0, 0, 68, 48)
    assert second.box == Box(112, 92, 158, 158)
    assert np.array_equal(second.rgb, tnbc[0][112:158, 92:158])
    assert second.known.sum() == 30 * 50
    assert second.known[8:38, 8:58].all()
    everything = {n.serial: (n.y, n.x) for n in project.nuclei.of("tissue")}
    for region in (first, second):
        for serial, (y, x) in zip(region.serials, region.points, strict=True):
            assert (y + region.box.y0, x + region.box.x0) == pytest.approx(everything[serial])


def test_boxes_that_meet_are_joined_until_none_do() -> None:
    boxes = [Box(0, 0, 10, 10), Box(20, 0, 30, 10), Box(8, 0, 22, 5), Box(50, 50, 60, 60)]
    assert merged(boxes) == [Box(0, 0, 30, 10), Box(50, 50, 60, 60)]
    assert merged([]) == []


def test_nothing_annotated_is_refused(project: Project, tmp_path: Path) -> None:
    project.nuclei.remove([n.id for n in project.nuclei.of("tissue")])
    project.nuclei.remove_field(project.nuclei.fields("tissue")[0].id)
    with pytest.raises(NoisySegError, match="no annotated image"):
        write_snapshot(project, tmp_path, None)


def test_a_damaged_snapshot_is_said_to_be_one(project: Project, tmp_path: Path) -> None:
    write_snapshot(project, tmp_path, None)
    (tmp_path / "snapshot" / "0.npz").write_bytes(b"PK")
    (stored,) = open_regions(tmp_path / "snapshot")
    with pytest.raises(NoisySegError, match=r"0\.npz"):
        stored.load()
    with pytest.raises(NoisySegError, match="not a run's snapshot"):
        open_regions(tmp_path)


def test_where_nobody_painted_masks_open_proposals_are_the_rough_ones(
    project: Project, tmp_path: Path
) -> None:
    first, second, *_ = project.nuclei.of("tissue")
    mask = np.ones((6, 5), bool)

    def found(nucleus: Nucleus, box: Box) -> Candidate:
        return Candidate(nucleus.id, nucleus.serial, nucleus.y, nucleus.x, Outline(box, mask), 0.5,
                         "faint", "run", 2.0)  # fmt: skip

    proposals = [found(first, Box(10, 20, 16, 25)), found(second, Box(60, 20, 66, 25))]
    project.nuclei.adopt("tissue", "run", proposals)
    project.nuclei.decide([first.id], "accepted")
    (region,) = frozen(project, tmp_path / "a")
    assert (region.rough[60:66, 20:25] == second.serial).all()
    assert (region.rough > 0).sum() == 30
    assert (region.clean > 0).sum() == 30

    box = Box(100, 100, 104, 104)
    project.nuclei.paint("tissue", box, np.zeros((4, 4), np.int32), np.ones((4, 4), np.int32))
    (region,) = frozen(project, tmp_path / "b")
    assert (region.rough > 0).sum() == 16


def test_images_without_annotation_are_taken_where_a_method_can_use_them(
    project: Project, tmp_path: Path, tnbc: Tissue
) -> None:
    project.add_array(tnbc[0][200:330, 200:300], "bare", 0.25)
    project.add_array(np.full((64, 64, 3), 240, np.uint8), "blank", 0.25)
    for name in "ab":
        (tmp_path / name).mkdir()
    assert write_snapshot(project, tmp_path / "a", None, Needs(points=True)) == ["tissue"]
    names = write_snapshot(project, tmp_path / "b", None, Needs(unlabeled=True))
    assert names == ["tissue", "bare"]
    bare = open_regions(tmp_path / "b" / "snapshot")[1].load()
    assert np.array_equal(bare.rgb, tnbc[0][200:330, 200:300])
    assert not (bare.known | bare.rough_known | bare.clean_known).any()


def test_a_large_image_without_a_field_is_not_trained_on(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = np.arange(90 * 80 * 3).reshape(90, 80, 3).astype(np.uint8)
    project.add_array(rgb, "vast", 0.25)
    monkeypatch.setattr("napari_noisyseg.annotation.unlabeled.LARGEST", 90 * 80 - 1)
    with pytest.raises(NoisySegError, match=r"vast is too large.*noisyseg field"):
        write_snapshot(project, tmp_path, ["vast"], Needs(unlabeled=True))


def test_an_outline_that_holds_a_nucleus_that_stands_says_nothing(
    project: Project, tmp_path: Path
) -> None:
    good, bad, *_ = project.nuclei.of("tissue")
    y, x = int(good.y), int(good.x)
    around = Box(y - 4, x - 4, y + 5, x + 5).clip((SIDE, SIDE))
    project.nuclei.set_outline(bad.id, around, np.ones(around.shape, bool), "drawn")
    project.nuclei.decide([bad.id], "rejected")
    (region,) = frozen(project, tmp_path)
    assert not region.rejected.any()


def test_around_a_dropped_suggestion_is_no_nucleus(project: Project, tmp_path: Path) -> None:
    project.nuclei.drop("tissue", [(60.0, 70.0)])
    (region,) = frozen(project, tmp_path)
    assert region.rejected[60, 70]
    assert region.rejected[60, 76]
    assert not region.rejected[60, 77]
    assert region.clean_known[region.rejected].all()
