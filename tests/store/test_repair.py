"""Nuclei that were split, merged, added, named: one action each, undone also after a restart."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Outline, Project
from napari_noisyseg.store.schema import LOGGED

from .conftest import candidate, outline

LEFT, RIGHT = (
    Outline(Box(20, 20, 30, 25), np.ones((10, 5), bool)),
    Outline(Box(20, 25, 30, 30), np.ones((10, 5), bool)),
)


def rows(project: Project) -> dict[str, list[tuple[object, ...]]]:
    database = project._database
    return {t: sorted(database.rows(f"SELECT * FROM {t}"), key=repr) for t in LOGGED}


@pytest.fixture
def reviewed(tissue: Project) -> Project:
    """Three finds of a run, two of which touch, and their label image."""
    finds = [candidate(20, 20), candidate(20, 31), candidate(60, 60)]
    named = tissue.nuclei.adopt("tissue", "r1", finds)
    refined = np.zeros((512, 512), np.int32)
    for one in named:
        one.outline.paste(refined, Box(0, 0, 512, 512), one.serial)
    tissue.labels.write("tissue", "refined", refined)
    return tissue


def shown(project: Project) -> np.ndarray:
    stored = project.labels.read("tissue", "refined")
    assert stored is not None
    return project.nuclei.settled("tissue", Box(0, 0, *stored.shape), stored)


def test_a_split_find_is_two_to_be_judged(reviewed: Project) -> None:
    whole = reviewed.nuclei.judged("tissue")[0]
    before, version = rows(reviewed), reviewed.nuclei.version()
    kept, new = reviewed.nuclei.split(whole.id, [LEFT, RIGHT])
    assert kept.id == whole.id
    assert {kept.state, new.state} == {"unreviewed"}
    found = {c.id: c for c in reviewed.nuclei.judged("tissue")}
    assert len(found) == 4
    both = found[kept.id].outline.area + found[new.id].outline.area
    assert both == whole.outline.area
    assert found[new.id].outline.holds(found[new.id].y, found[new.id].x)
    assert set(np.unique(shown(reviewed)[20:30, 20:30])) == {kept.serial, new.serial}
    assert reviewed.nuclei.counts().candidates == 4
    assert reviewed.nuclei.touched(version) == {"tissue": {kept.id, new.id}}
    assert reviewed.nuclei.of("tissue") == []  # mere finds are no marks
    assert reviewed.nuclei.undo() == "split a nucleus in 2"
    assert rows(reviewed) == before
    assert len(reviewed.nuclei.judged("tissue")) == 3


def test_a_split_is_undone_after_a_restart(reviewed: Project, tmp_path: Path) -> None:
    (whole, *_), before = reviewed.nuclei.judged("tissue"), rows(reviewed)
    reviewed.nuclei.decide([whole.id], "accepted")
    accepted = rows(reviewed)
    parts = reviewed.nuclei.split(whole.id, [LEFT, RIGHT])
    assert {n.state for n in parts} == {"accepted"}
    reviewed.close()
    with Project.open(reviewed.path) as again:
        assert len(again.nuclei.judged("tissue")) == 4
        again.nuclei.undo()
        assert rows(again) == accepted
        again.nuclei.redo()
        assert len(again.nuclei.outlines("tissue")) == 2
        again.nuclei.undo()
        again.nuclei.undo()
        assert rows(again) == before


def test_the_part_with_the_point_stays_the_nucleus(tissue: Project) -> None:
    point = tissue.nuclei.add("tissue", 25, 28, "tumour")
    tissue.nuclei.set_outline(point.id, *_box_and_mask(outline(20, 20)), "edit")
    kept, new = tissue.nuclei.split(point.id, [LEFT, RIGHT])
    assert (kept.id, kept.y, kept.x) == (point.id, 25, 28)
    assert tissue.nuclei.outline(point.id) == RIGHT
    assert (new.class_name, new.origin) == ("tumour", "split")
    assert len(tissue.nuclei.of("tissue")) == 2


def test_a_split_needs_two_parts_that_fit(reviewed: Project) -> None:
    whole, before = reviewed.nuclei.judged("tissue")[0], rows(reviewed)
    with pytest.raises(NoisySegError, match="two parts"):
        reviewed.nuclei.split(whole.id, [LEFT])
    with pytest.raises(NoisySegError, match="does not fit"):
        reviewed.nuclei.split(whole.id, [LEFT, outline(508, 508)])
    with pytest.raises(NoisySegError, match="no nucleus"):
        reviewed.nuclei.split("nobody", [LEFT, RIGHT])
    assert rows(reviewed) == before


def test_merged_finds_are_one_and_come_back(reviewed: Project) -> None:
    first, second, _ = reviewed.nuclei.judged("tissue")
    reviewed.nuclei.decide([first.id], "accepted")
    reviewed.nuclei.set_class([second.id], "tumour")
    before = rows(reviewed)
    both = Outline(Box(20, 20, 30, 41), np.ones((10, 21), bool))
    reviewed.nuclei.merge([first.id, second.id], both)
    judged = {c.id: c for c in reviewed.nuclei.judged("tissue")}
    assert second.id not in judged
    assert (judged[first.id].state, judged[first.id].class_name) == ("accepted", "tumour")
    assert judged[first.id].outline == both
    assert {c.id for c in reviewed.nuclei.candidates("tissue")} == set(judged)
    assert reviewed.nuclei.counts().candidates == 2
    assert second.serial not in shown(reviewed)
    # also where the one that stayed no longer covers the other
    reviewed.nuclei.set_outlines({first.id: first.outline}, "edit")
    assert second.serial not in shown(reviewed)
    reviewed.nuclei.undo()
    assert reviewed.nuclei.undo() == "merge 2 nuclei"
    assert rows(reviewed) == before
    assert second.serial in shown(reviewed)
    assert len(reviewed.nuclei.judged("tissue")) == 3


def test_a_nucleus_is_not_merged_with_itself_nor_across_images(reviewed: Project) -> None:
    first = reviewed.nuclei.judged("tissue")[0]
    with pytest.raises(NoisySegError, match="not with itself"):
        reviewed.nuclei.merge([first.id, first.id], first.outline)
    reviewed.add_array(np.full((64, 64, 3), 200, np.uint8), "other", 0.25)
    other = reviewed.nuclei.add("other", 5, 5)
    before = rows(reviewed)
    with pytest.raises(NoisySegError, match="different images"):
        reviewed.nuclei.merge([first.id, other.id], first.outline)
    assert rows(reviewed) == before


def test_a_missed_nucleus_is_added_accepted_as_one_action(reviewed: Project) -> None:
    before = rows(reviewed)
    made = reviewed.nuclei.add_outlined("tissue", 105, 105, outline(100, 100), "stroma")
    assert (made.state, made.frozen, made.class_name) == ("accepted", True, "stroma")
    assert shown(reviewed)[105, 105] == made.serial
    assert reviewed.nuclei.counts().candidates == 4
    reviewed.nuclei.undo()  # the class that came with it goes as well
    assert rows(reviewed) == before
    with pytest.raises(NoisySegError, match="does not fit"):
        reviewed.nuclei.add_outlined("tissue", 105, 105, outline(508, 508))
    assert rows(reviewed) == before


def test_a_find_can_be_named_without_a_decision(reviewed: Project) -> None:
    find, before = reviewed.nuclei.judged("tissue")[0], rows(reviewed)
    reviewed.nuclei.set_class([find.id], "lymphocyte")
    named = reviewed.nuclei.judged("tissue")[0]
    assert (named.class_name, named.state) == ("lymphocyte", "unreviewed")
    assert reviewed.nuclei.of("tissue") == []
    reviewed.nuclei.undo()
    assert rows(reviewed) == before


def test_comments_are_kept_changed_and_undone(reviewed: Project) -> None:
    find, before = reviewed.nuclei.judged("tissue")[0], rows(reviewed)
    version = reviewed.nuclei.version()
    reviewed.nuclei.set_comment("tissue", find.id, "  mitosis? ")
    assert reviewed.nuclei.comments("tissue") == {find.id: "mitosis?"}
    assert reviewed.nuclei.touched(version) == {"tissue": {find.id}}
    version = reviewed.nuclei.version()
    reviewed.nuclei.set_comment("tissue", find.id, "mitosis?")
    assert reviewed.nuclei.version() == version
    with pytest.raises(NoisySegError, match="may have 2000 letters"):
        reviewed.nuclei.set_comment("tissue", find.id, "x" * 2001)
    reviewed.nuclei.set_comment("tissue", find.id, "")
    assert reviewed.nuclei.comments("tissue") == {}
    reviewed.nuclei.undo()
    reviewed.nuclei.undo()
    assert rows(reviewed) == before


def test_a_removed_find_leaves_the_picture(tissue: Project) -> None:
    point = tissue.nuclei.add("tissue", 25, 25)
    (found,) = tissue.nuclei.adopt("tissue", "r1", [candidate(20, 20, id=point.id)])
    refined = np.zeros((512, 512), np.int32)
    found.outline.paste(refined, Box(0, 0, 512, 512), found.serial)
    tissue.labels.write("tissue", "refined", refined)
    tissue.nuclei.remove([point.id])
    assert not shown(tissue).any()
    tissue.nuclei.undo()
    assert shown(tissue).any()


def test_a_project_kept_by_an_earlier_version_takes_comments(tmp_path: Path) -> None:
    with Project.create(tmp_path / "old.noisyseg") as project:
        place = project.path
    with sqlite3.connect(place / "project.sqlite") as connection:
        for table in ("replaced", "comment"):
            connection.execute(f"DROP TABLE {table}")
            connection.execute(f"DROP TABLE {table}_log")
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    with Project.open(place) as again:
        again.add_array(np.full((32, 32, 3), 200, np.uint8), "i", 0.25)
        nucleus = again.nuclei.add("i", 5, 5)
        again.nuclei.set_comment("i", nucleus.id, "seen")
        assert again.nuclei.comments("i") == {nucleus.id: "seen"}


def _box_and_mask(one: Outline) -> tuple[Box, np.ndarray]:
    return one.box, one.mask
