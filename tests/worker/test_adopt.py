from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_runs import SIDE

from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.adopt import adopt_finished


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
