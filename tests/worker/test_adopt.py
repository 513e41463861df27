from __future__ import annotations

import json
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_runs import SIDE

from napari_noisyseg import registry
from napari_noisyseg.slides import Box
from napari_noisyseg.store import pyramid
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.adoption.found import MAPS


def write(run: Run, *regions: tuple[str, Box, NDArray[np.int32], list[dict[str, Any]]]) -> None:
    """Results as a child would have left them."""
    run.write_spec({"method": "scnet"})
    folder = run.dir / "results"
    folder.mkdir()
    entries = []
    for i, (image, box, labels, rows) in enumerate(regions):
        maps = {"probability": (labels > 0).astype(np.float16)}
        np.savez(folder / f"{i}.npz", labels=labels, **maps)
        entry = {"file": f"{i}.npz", "image": image, "box": list(box), "candidates": rows}
        entries.append(entry)
    (folder / "index.json").write_text(json.dumps({"regions": entries}), "utf-8")


def row(label: int, serial: int) -> dict[str, Any]:
    return {
        "label": label, "serial": serial, "y": 4.5, "x": 5.5, "score": 0.75,
        "reason": "the edge is faint", "area_um2": 2.0,
    }  # fmt: skip


def blocks(side: tuple[int, int], *values: int) -> NDArray[np.int32]:
    labels = np.zeros(side, np.int32)
    for i, value in enumerate(values):
        labels[2:8, 2 + 10 * i : 8 + 10 * i] = value
    return labels


def test_points_keep_their_ids_and_new_nuclei_get_new_ones(project: Project) -> None:
    first, second, *_ = project.nuclei.of("tissue")
    run = project.runs.new()
    labels = blocks((SIDE, SIDE), first.serial, second.serial, 99_999)
    rows = [row(first.serial, first.serial), row(second.serial, second.serial), row(99_999, 0)]
    write(run, ("tissue", Box(0, 0, SIDE, SIDE), labels, rows))
    assert adopt_finished(project) == [run.id]
    found = {c.serial: c for c in project.nuclei.candidates("tissue")}
    assert {first.serial, second.serial} <= set(found)
    (new,) = set(found) - {first.serial, second.serial}
    assert found[first.serial].id == first.id
    assert found[first.serial].outline.box == Box(2, 2, 8, 8)
    assert found[first.serial].score == 0.75
    refined = project.labels.read("tissue", "refined")
    assert np.array_equal(refined == new, labels == 99_999)
    assert np.array_equal(refined > 0, labels > 0)
    assert project.labels.read("tissue", "probability").dtype == np.float16


def test_the_same_nucleus_keeps_its_id_in_the_next_run(project: Project) -> None:
    for _ in range(2):
        run = project.runs.new()
        box = Box(0, 0, SIDE, SIDE)
        write(run, ("tissue", box, blocks((SIDE, SIDE), 99_999), [row(99_999, 0)]))
        adopt_finished(project)
    ids = {c.id for r in project.runs.list() for c in project.nuclei.candidates("tissue", r.id)}
    assert len(ids) == 1


def test_frozen_outlines_stay_as_a_person_left_them(project: Project) -> None:
    nucleus = project.nuclei.of("tissue")[0]
    project.nuclei.set_outline(nucleus.id, Box(3, 3, 6, 12), np.ones((3, 9), bool), "drawn")
    run = project.runs.new()
    labels = blocks((SIDE, SIDE), nucleus.serial)
    write(run, ("tissue", Box(0, 0, SIDE, SIDE), labels, [row(nucleus.serial, nucleus.serial)]))
    adopt_finished(project)
    refined = project.labels.read("tissue", "refined")
    expected = np.zeros((SIDE, SIDE), bool)
    expected[3:6, 3:12] = True
    assert np.array_equal(refined == nucleus.serial, expected)


@pytest.mark.parametrize("judged", [True, False])
def test_halves_that_a_person_merged_do_not_come_back(project: Project, judged: bool) -> None:
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[2:8, 2:8], labels[2:8, 8:14], labels[20:26, 2:8] = 90_001, 90_002, 90_003
    rows = [row(number, 0) for number in (90_001, 90_002, 90_003)]

    def train() -> None:
        run = project.runs.new()
        write(run, ("tissue", Box(0, 0, SIDE, SIDE), labels, rows))
        assert adopt_finished(project) == [run.id]

    train()
    first, second, other = project.nuclei.candidates("tissue")
    if judged:
        project.nuclei.decide([first.id], "accepted")
    both = Outline(Box(2, 2, 8, 14), np.ones((6, 12), bool))
    project.nuclei.merge([first.id, second.id], both)
    train()
    assert {c.id for c in project.nuclei.judged("tissue")} == {first.id, other.id}
    refined = project.labels.read("tissue", "refined")
    assert set(np.unique(refined[2:8, 2:14])) == {first.serial}


def test_regions_are_put_where_they_came_from(project: Project) -> None:
    first, second, *_ = project.nuclei.of("tissue")
    run = project.runs.new()
    write(
        run,
        (
            "tissue",
            Box(10, 20, 40, 50),
            blocks((30, 30), first.serial),
            [row(first.serial, first.serial)],
        ),
        (
            "tissue",
            Box(100, 20, 130, 50),
            blocks((30, 30), second.serial),
            [row(second.serial, second.serial)],
        ),
    )
    adopt_finished(project)
    refined = project.labels.read("tissue", "refined")
    assert (refined[12:18, 22:28] == first.serial).all()
    assert (refined[102:108, 22:28] == second.serial).all()
    assert (refined > 0).sum() == 72
    found = {c.id: c for c in project.nuclei.candidates("tissue")}
    assert found[first.id].outline.box == Box(12, 22, 18, 28)
    assert (found[second.id].y, found[second.id].x) == (104.5, 25.5)


def test_an_image_that_is_gone_and_damaged_results_are_passed_over(project: Project) -> None:
    gone, damaged, good = (project.runs.new() for _ in range(3))
    box, labels = Box(0, 0, SIDE, SIDE), blocks((SIDE, SIDE), 1)
    write(gone, ("elsewhere", box, labels, [row(1, 0)]))
    write(damaged, ("tissue", box, labels, [row(1, 0)]))
    (damaged.dir / "results" / "0.npz").write_bytes(b"no")
    write(good, ("tissue", box, labels, [row(1, 1)]))
    assert set(adopt_finished(project)) == {gone.id, good.id}
    assert len(project.nuclei.candidates("tissue")) == 1


@pytest.mark.parametrize("file", ["../../secret.npz", "/etc/passwd"])
def test_results_name_no_file_outside_their_folder(
    project: Project, tmp_path: Path, file: str
) -> None:
    run = project.runs.new()
    write(run, ("tissue", Box(0, 0, SIDE, SIDE), blocks((SIDE, SIDE), 1), [row(1, 0)]))
    index = run.dir / "results" / "index.json"
    document = json.loads(index.read_text("utf-8"))
    document["regions"][0]["file"] = file
    index.write_text(json.dumps(document), "utf-8")
    assert adopt_finished(project) == []


def finished_run(project: Project, value: int = 1) -> Run:
    run = project.runs.new()
    write(run, ("tissue", Box(0, 0, SIDE, SIDE), blocks((SIDE, SIDE), value), [row(value, value)]))
    return run


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])
def test_a_torn_run_keeps_no_other_out_and_says_why(project: Project, share: float) -> None:
    torn, good = finished_run(project), finished_run(project)
    file = torn.dir / "results" / "0.npz"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    told: list[str] = []
    assert adopt_finished(project, told.append) == [good.id]
    (word,) = told
    assert torn.id in word
    assert "train again" in word
    assert torn.skipped in word
    assert torn.skipped
    assert good.skipped == ""
    # mended (the run was resumed, say), it is taken in after all
    file.write_bytes(data)
    assert adopt_finished(project) == [torn.id]
    assert torn.skipped == ""


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_damage_to_results_breaks_the_adoption(project: Project, data: st.DataObject) -> None:
    run = finished_run(project)
    index = data.draw(st.booleans())
    file = run.dir / "results" / ("index.json" if index else "0.npz")
    raw = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # the zip's own tables lie at the end
        at = data.draw(st.integers(0, len(raw) - 1) | st.integers(len(raw) - 300, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    file.write_bytes(raw)
    told: list[str] = []
    assert adopt_finished(project, told.append) == ([] if told else [run.id])
    shutil.rmtree(run.dir)


def test_a_full_disk_takes_in_nothing_by_halves_and_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(project)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pyramid, "write_labels", full)
    told: list[str] = []
    assert adopt_finished(project, told.append) == []
    assert "the disk is full" in told[0]
    assert project.nuclei.candidates("tissue") == []
    assert not run.adopted
    monkeypatch.undo()
    assert adopt_finished(project) == [run.id]
    assert len(project.nuclei.candidates("tissue")) == 1


def test_a_run_brings_no_map_but_a_run_s_own(project: Project) -> None:
    painted = np.zeros((SIDE, SIDE), np.int32)
    painted[20:40, 20:40] = 7
    project.nuclei.paint("tissue", Box(0, 0, SIDE, SIDE), 0 * painted, painted)
    project.flush()
    run = finished_run(project)
    file = run.dir / "results" / "0.npz"
    with np.load(file) as arrays:
        held = dict(arrays)
    names = ("rough", "voronoi", "refined", "cluster", "../../evil", "x" * 200)
    evil = {name: np.ones((SIDE, SIDE), np.int32) for name in names}
    np.savez(file, **held, **evil, weights=np.ones((SIDE, SIDE), np.float16))
    assert adopt_finished(project) == [run.id]
    kinds = set(project.labels.kinds("tissue"))
    assert kinds == {"rough", "refined", "probability", "weights"}
    assert np.array_equal(project.nuclei.painted("tissue"), painted)
    assert project.labels.source("tissue", "rough")["from"] == "people"
    assert len(project.nuclei.candidates("tissue")) == 1


def test_every_map_that_a_method_shows_may_come_in() -> None:
    shown = {name for method in registry.names() for name in registry.describe(method).shows}
    assert shown <= MAPS


def test_what_unpacks_to_more_than_its_box_is_not_read(project: Project) -> None:
    run = finished_run(project)
    file = run.dir / "results" / "0.npz"
    np.savez_compressed(file, labels=np.zeros((10_000, 10_000), np.int32))
    assert file.stat().st_size < 5_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert adopt_finished(project) == []
    # kilobytes; the array alone has 0.4 GB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    assert "more than expected" in run.skipped


@pytest.mark.parametrize("torn", ['{"candidates": [{"label": 1', '{"candidates": 3}', "[]"])
def test_nuclei_beside_the_index_come_in_and_damage_there_takes_in_nothing(
    project: Project, torn: str
) -> None:
    run = project.runs.new()
    box = Box(0, 0, SIDE, SIDE)
    write(run, *[("tissue", box, blocks((SIDE, SIDE), 7), [row(7, 0)])] * 2)
    index = run.dir / "results" / "index.json"
    document = json.loads(index.read_text())
    for k, entry in enumerate(document["regions"]):
        beside = index.with_name(f"{k}.json")
        beside.write_text(json.dumps({"candidates": entry["candidates"]}))
        entry["candidates"] = beside.name
    index.write_text(json.dumps(document))
    whole = index.with_name("1.json").read_text()
    index.with_name("1.json").write_text(torn)
    assert adopt_finished(project) == []
    assert "results cannot be read" in run.skipped
    assert project.nuclei.candidates("tissue") == []
    assert project.labels.read("tissue", "probability") is None
    index.with_name("1.json").write_text(whole)
    assert adopt_finished(project) == [run.id]
    assert len(project.nuclei.candidates("tissue")) == 2


def test_a_label_of_any_number_is_adopted(project: Project) -> None:
    run = project.runs.new()
    large = 200_000_000
    write(
        run, ("tissue", Box(0, 0, SIDE, SIDE), blocks((SIDE, SIDE), 5, large), [row(large, 0)])
    )  # fmt: skip
    began = time.process_time()
    assert adopt_finished(project) == [run.id]
    assert time.process_time() - began < 5
    (found,) = project.nuclei.candidates("tissue")
    assert found.outline.box == Box(2, 12, 8, 18)
