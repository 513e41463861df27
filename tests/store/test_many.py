"""Very many nuclei: those in a window are found quickly, and none is missed."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Outline, Project, schema
from napari_noisyseg.store.candidates import _new_ids
from napari_noisyseg.store.packing import count_mask, count_masks, pack_mask, unpack_stacks
from napari_noisyseg.store.schema import FORMER

from .conftest import candidate

masks = st.tuples(st.integers(1, 60), st.integers(1, 60)).flatmap(lambda s: arrays(bool, s))


@settings(max_examples=50, deadline=None)
@given(st.lists(masks, max_size=6))
def test_many_masks_are_counted_and_unpacked_as_each(found: list[np.ndarray]) -> None:
    # noise of this size is deflated, and some of it is larger than its deflation
    blobs, boxes = [pack_mask(m) for m in found], [Box(0, 0, *m.shape) for m in found]
    assert count_masks(blobs, boxes).tolist() == [m.sum() for m in found]
    assert [count_mask(*pair) for pair in zip(blobs, boxes, strict=True)] == [
        m.sum() for m in found
    ]
    seen = []
    for which, stack in unpack_stacks(blobs, np.array([b.shape for b in boxes]).reshape(-1, 2)):
        for k, mask in zip(which.tolist(), stack, strict=True):
            height, width = found[k].shape
            assert np.array_equal(mask[1 : height + 1, 1 : width + 1], found[k])
            assert mask.sum() == found[k].sum()
            assert not mask[0].any()
            assert not mask[:, 0].any()
            assert not mask[-1].any()
            assert not mask[:, -1].any()
            seen.append(k)
    assert sorted(seen) == list(range(len(found)))


def test_new_ids_are_random_uuids_in_rising_order() -> None:
    ids = _new_ids(500)
    assert len(set(ids)) == 500
    assert ids == sorted(ids)
    assert all(str(uuid.UUID(i)) == i and uuid.UUID(i).version == 4 for i in ids)


def in_box(project: Project, box: Box) -> tuple[set[str], set[str]]:
    found = {c.id for c in project.nuclei.candidates("tissue", box=box)}
    return found, {n.id for n, _ in project.nuclei.outlines("tissue", box=box)}


def expected(project: Project, box: Box) -> tuple[set[str], set[str]]:
    found = project.nuclei.candidates("tissue")
    drawn = project.nuclei.outlines("tissue")
    return (
        {c.id for c in found if not c.outline.box.intersect(box).empty},
        {n.id for n, o in drawn if not o.box.intersect(box).empty},
    )


@pytest.mark.parametrize("older", [False, True])
def test_no_outline_that_reaches_into_a_box_is_missed(tissue: Project, older: bool) -> None:
    generator = np.random.default_rng(1)
    made = [candidate(y, x, size) for y, x, size in generator.integers(1, 120, (60, 3)).tolist()]
    found = tissue.nuclei.adopt("tissue", "run-1", made)
    if older:
        # what a project of an earlier version does not know
        tissue._database.run("DELETE FROM fact WHERE name = 'longest side'")
    tissue.nuclei.decide([c.id for c in found[:20]], "accepted")
    boxes = [Box(y, x, y + 30, x + 40) for y, x in generator.integers(0, 400, (30, 2)).tolist()]
    for box in boxes:
        assert in_box(tissue, box) == expected(tissue, box)
    # drawn longer than any before, and back again after an undo and a redo
    long = Outline(Box(3, 5, 500, 9), np.ones((497, 4), bool))
    tissue.nuclei.set_outlines({found[0].id: long}, "edit")
    for step in (tissue.nuclei.undo, tissue.nuclei.redo, lambda: None):
        at = in_box(tissue, Box(490, 0, 495, 8))[1]
        assert at == expected(tissue, Box(490, 0, 495, 8))[1]
        step()
    assert found[0].id in at


def test_a_project_of_before_gets_the_quicker_indices(tissue: Project, tmp_path: Path) -> None:
    database = tissue._database
    database.script(f"DROP INDEX candidate_spot; {FORMER[0]};")
    path = tissue.path
    tissue.close()
    with Project.open(path) as again:
        rows = again._database.rows("SELECT name FROM sqlite_master WHERE type = 'index'")
    names = {name for (name,) in rows}
    assert {"candidate_spot", "outline_spot"} <= names
    assert "candidate_place" not in names


def test_a_project_of_before_areas_gets_them_once(tissue: Project) -> None:
    found = tissue.nuclei.adopt("tissue", "run-1", [candidate(5, 5, 9), candidate(40, 40, 60)])
    tissue.nuclei.decide([found[0].id], "accepted")
    drawn = Outline(Box(1, 2, 4, 9), np.ones((3, 7), bool))
    tissue.nuclei.set_outlines({found[0].id: drawn}, "edit")
    path = tissue.path
    tissue.close()
    with contextlib.closing(sqlite3.connect(path / "project.sqlite")) as connection:
        for table in schema.WITH_AREA:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN area")
        connection.execute("PRAGMA user_version = 4")
        connection.commit()
    with pytest.raises(NoisySegError, match="open it once for writing"):
        Project.open(path, write=False)
    with Project.open(path) as again:
        read = {c.id: c.area_um2 / 0.25**2 for c in again.nuclei.judged("tissue")}
        assert read == {found[0].id: 21, found[1].id: 3600}
        again.nuclei.undo()
        assert again.nuclei.judged("tissue")[0].area_um2 == 81 * 0.25**2
    # it is one of today now, also for readers
    Project.open(path, write=False).close()


def test_a_damaged_mask_does_not_keep_a_project_from_coming_up_to_date(tissue: Project) -> None:
    found = tissue.nuclei.adopt("tissue", "run-1", [candidate(5, 5), candidate(40, 40)])
    path = tissue.path
    tissue.close()
    with contextlib.closing(sqlite3.connect(path / "project.sqlite")) as connection:
        connection.execute("UPDATE candidate SET mask = x'7aff' WHERE id = ?", (found[0].id,))
        connection.execute("PRAGMA user_version = 4")
        connection.commit()
    with Project.open(path) as again:
        one, other = again.nuclei.judged("tissue")
        assert (one.area_um2, other.area_um2) == (0, 100 * 0.25**2)
        with pytest.raises(NoisySegError, match="restore an earlier copy"):
            _ = one.outline.mask


@pytest.mark.parametrize("blob", [b"", b"p", b"z", b"q1234", b"p" + bytes(12), b"z1234"])
def test_damaged_masks_are_told_among_sound_ones(blob: bytes) -> None:
    sound = pack_mask(np.ones((9, 9), bool))
    boxes = [Box(0, 0, 9, 9)] * 3
    assert count_masks([sound, sound], boxes[:2]).tolist() == [81, 81]
    for blobs in ([blob, sound, sound], [sound, blob, sound], [sound, sound, blob]):
        with pytest.raises(NoisySegError, match="damaged"):
            count_masks(blobs, boxes)
