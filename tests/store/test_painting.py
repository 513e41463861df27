"""Painted masks: the strokes are the truth, the array on disk only follows."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project, backup, painting

Labels32 = NDArray[np.int32]


def scribble(project: Project, seed: int, count: int, whole: Labels32 | None = None) -> Labels32:
    """Paint `count` random strokes; what the mask must be then."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((512, 512), np.int32) if whole is None else whole.copy()
    for _ in range(count):
        y, x = rng.integers(0, 480, 2).tolist()
        box = Box(y, x, y + int(rng.integers(1, 32)), x + int(rng.integers(1, 32)))
        before = mask[box.slices].copy()
        mask[box.slices][rng.random(before.shape) < 0.5] = rng.integers(0, 9)
        project.nuclei.paint("tissue", box, before, mask[box.slices])
    return mask


@pytest.fixture
def painted(tissue: Project) -> tuple[Project, Labels32]:
    return tissue, scribble(tissue, 0, 30)


def test_strokes_replay_to_what_was_painted(painted: tuple[Project, Labels32]) -> None:
    project, mask = painted
    assert np.array_equal(project.nuclei.painted("tissue"), mask)
    part = project.nuclei.painted("tissue", box=Box(100, 50, 300, 600))
    assert np.array_equal(part, mask[100:300, 50:512])


def test_the_highest_number_is_told_also_of_what_is_in_no_sight(tissue: Project) -> None:
    assert tissue.nuclei.highest_painted("tissue") == 0
    before = np.zeros((8, 8), np.int32)
    tissue.nuclei.paint("tissue", Box(0, 0, 8, 8), before, before + 7)
    assert tissue.nuclei.highest_painted("tissue") == 7
    tissue.nuclei.paint("tissue", Box(40, 40, 48, 48), before, before + 9)
    assert tissue.nuclei.highest_painted("tissue") == 9
    tissue.close()
    with Project.open(tissue.path) as again:
        assert again.nuclei.highest_painted("tissue") == 9
        assert again.nuclei.highest_painted("tissue", "other") == 0


def test_the_array_on_disk_follows(painted: tuple[Project, Labels32]) -> None:
    project, mask = painted
    project.flush()
    assert np.array_equal(project.labels.read("tissue", "rough"), mask)
    for _ in range(10):
        project.nuclei.undo()
    undone = project.nuclei.painted("tissue")
    assert not np.array_equal(undone, mask)
    project.flush()
    assert np.array_equal(project.labels.read("tissue", "rough"), undone)
    for _ in range(10):
        project.nuclei.redo()
    project.close()
    with Project.open(project.path) as again:
        assert np.array_equal(again.labels.read("tissue", "rough"), mask)
        assert np.array_equal(again.nuclei.painted("tissue"), mask)


class _WrongFile(Exception):
    pass


def test_strokes_of_an_action_that_was_rolled_back_are_nowhere(
    tissue: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painting, "PENDING", 5)
    mask = scribble(tissue, 1, 12)
    with contextlib.suppress(_WrongFile), tissue.nuclei.together("import 2 files"):
        scribble(tissue, 2, 12, mask)
        raise _WrongFile
    assert np.array_equal(tissue.nuclei.painted("tissue"), mask)
    tissue.flush()
    assert np.array_equal(tissue.labels.read("tissue", "rough"), mask)


def test_many_strokes_flush_by_themselves(tissue: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painting, "PENDING", 5)
    mask = scribble(tissue, 1, 12)
    assert tissue.labels.kinds("tissue") == ["rough"]
    assert np.array_equal(tissue.nuclei.painted("tissue"), mask)


def test_a_damaged_or_deleted_cache_is_made_anew(painted: tuple[Project, Labels32]) -> None:
    project, mask = painted
    project.flush()
    chunk = project.path / "images" / "tissue" / "labels" / "rough" / "0" / "c" / "0" / "0"
    chunk.write_bytes(b"rubbish")
    assert np.array_equal(project.nuclei.painted("tissue"), mask)
    mask = scribble(project, 2, 3, mask)
    project.flush()
    assert np.array_equal(project.labels.read("tissue", "rough"), mask)
    project.labels.remove("tissue", "rough")
    assert np.array_equal(project.nuclei.painted("tissue"), mask)
    project.rebuild()
    assert np.array_equal(project.labels.read("tissue", "rough"), mask)


def test_a_cache_of_another_future_is_not_believed(painted: tuple[Project, Labels32]) -> None:
    project, mask = painted
    project.close()
    with Project.open(project.path) as project:
        # opening kept a backup; what follows is lost together with the file
        project.nuclei.undo()
        scribble(project, 3, 5, project.nuclei.painted("tissue"))
    backup.restore(project.path)
    with Project.open(project.path) as project:
        assert np.array_equal(project.nuclei.painted("tissue"), mask)
        more = scribble(project, 4, 2, mask)
        project.flush()
        assert np.array_equal(project.labels.read("tissue", "rough"), more)


def test_a_crash_while_the_cache_is_written_loses_nothing(
    painted: tuple[Project, Labels32], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, mask = painted
    project.flush()
    mask = scribble(project, 5, 4, mask)
    project.nuclei.undo()
    project.nuclei.redo()

    def crash(*_: object) -> None:
        raise NoisySegError("the power is gone")

    # chunks are written, but that they are is not noted
    monkeypatch.setattr(project.labels, "sync", crash)
    with pytest.raises(NoisySegError):
        project.flush()
    monkeypatch.undo()
    assert np.array_equal(project.nuclei.painted("tissue"), mask)
    project.nuclei.undo()
    project.flush()
    assert np.array_equal(project.labels.read("tissue", "rough"), project.nuclei.painted("tissue"))


def test_planes_do_not_mix(painted: tuple[Project, Labels32]) -> None:
    project, mask = painted
    ones = np.ones((3, 3), np.int32)
    project.nuclei.paint("tissue", Box(0, 0, 3, 3), 0 * ones, ones, plane="scribbles")
    assert project.nuclei.planes("tissue") == ["rough", "scribbles"]
    assert project.nuclei.painted("tissue", "scribbles").sum() == 9
    assert np.array_equal(project.nuclei.painted("tissue"), mask)


def test_a_large_import_is_cut_into_tiles(
    tissue: Project, tnbc: tuple[NDArray[np.uint8], Labels32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painting, "TILE", 200)
    whole = Box(0, 0, 512, 512)
    tissue.nuclei.paint("tissue", whole, np.zeros((512, 512), np.int32), tnbc[1])
    assert tissue._database.value("SELECT count(*) FROM stroke") > 4
    assert np.array_equal(tissue.nuclei.painted("tissue"), tnbc[1])
    tissue.flush()
    assert np.array_equal(tissue.labels.read("tissue", "rough"), tnbc[1])
    assert tissue.nuclei.undo() == "paint rough"
    assert not tissue.nuclei.painted("tissue").any()


def test_strokes_are_small_on_disk(tissue: Project) -> None:
    before = np.zeros((512, 512), np.int32)
    after = before.copy()
    after[100:110, 100:110] = 5
    tissue.nuclei.paint("tissue", Box(0, 0, 512, 512), before, after)
    corners = "y0, x0, y1, x1, length(before) + length(after)"
    ((*box, size),) = tissue._database.rows(f"SELECT {corners} FROM stroke")
    assert box == [100, 100, 110, 110]
    assert size < 100


def test_nothing_painted_is_no_action(tissue: Project) -> None:
    version = tissue.nuclei.version()
    same = np.zeros((5, 5), np.int32)
    tissue.nuclei.paint("tissue", Box(0, 0, 5, 5), same, same)
    assert tissue.nuclei.version() == version


@pytest.mark.parametrize("box", [Box(510, 0, 515, 5), Box(0, 0, 5, 6), Box(-1, 0, 4, 5)])
def test_a_stroke_that_does_not_fit_is_refused(tissue: Project, box: Box) -> None:
    pixels = np.zeros((5, 5), np.int32)
    with pytest.raises(NoisySegError, match="does not fit"):
        tissue.nuclei.paint("tissue", box, pixels, pixels + 1)


def test_a_strangers_stroke_cannot_inflate(tissue: Project) -> None:
    scribble(tissue, 6, 1)
    run = tissue._database.connection.execute
    run("UPDATE stroke SET after = before")
    run("UPDATE stroke SET y1 = y0 + 100")
    with pytest.raises(NoisySegError, match="damaged"):
        tissue.nuclei.painted("tissue")
    run("UPDATE stroke SET y1 = 100000")
    with pytest.raises(NoisySegError, match="outside tissue"):
        tissue.nuclei.painted("tissue")


def test_a_reader_sees_strokes_that_are_not_in_the_array_yet(
    painted: tuple[Project, Labels32], tmp_path: Path
) -> None:
    project, mask = painted
    with Project.open(project.path, write=False) as reader:
        assert reader.labels.kinds("tissue") == []
        assert np.array_equal(reader.nuclei.painted("tissue"), mask)
        project.flush()
        assert np.array_equal(reader.nuclei.painted("tissue"), mask)
