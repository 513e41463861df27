"""Killed at any point, and without power: what was confirmed is there, and all of it agrees."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from napari_noisyseg.benchmarks.faults import acts, commands, full, kills, points, power, windows
from napari_noisyseg.benchmarks.faults.counts import Counts
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project

NOTHING = (0, 0)


def wrong(counts: Counts) -> tuple[int, int]:
    return counts.lost, counts.half


def test_a_program_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    counts = kills.run(kills=3, seed=7, folder=tmp_path, acts_each=19)
    assert counts.kills == 3
    assert counts.acts > 5
    assert wrong(counts) == NOTHING


@pytest.mark.skipif(sys.platform != "linux", reason="only there a file is read by its handle")
def test_a_power_cut_loses_nothing(tmp_path: Path) -> None:
    counts = power.run(kills=12, seed=7, folder=tmp_path, acts_each=19)
    assert counts.kills >= 4
    assert wrong(counts) == NOTHING


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    counts = full.run(kills=3, seed=7, folder=tmp_path, acts_each=19)
    assert counts.kills == 3
    assert wrong(counts) == NOTHING


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_full_disks(tmp_path: Path) -> None:
    counts = full.run(kills=150, seed=1, folder=tmp_path)
    assert counts.kills == 150
    assert wrong(counts) == NOTHING


@pytest.mark.slow
def test_a_command_that_is_killed_can_be_given_again(tmp_path: Path) -> None:
    counts = commands.run(kills=3, seed=0, folder=tmp_path)
    assert counts.kills == 3
    assert wrong(counts) == NOTHING


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_killed_commands(tmp_path: Path) -> None:
    counts = commands.run(kills=90, seed=1, folder=tmp_path)
    assert counts.kills > 70
    assert wrong(counts) == NOTHING


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
def test_many_kills(tmp_path: Path, seed: int) -> None:
    counts = kills.run(kills=70, seed=seed, folder=tmp_path)
    assert counts.kills == 70
    assert wrong(counts) == NOTHING


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="only there a file is read by its handle")
@pytest.mark.parametrize("seed", range(3))
def test_many_power_cuts(tmp_path: Path, seed: int) -> None:
    counts = power.run(kills=200, seed=seed, folder=tmp_path)
    assert counts.kills > 80
    assert wrong(counts) == NOTHING


@pytest.fixture
def states(tmp_path: Path) -> tuple[Path, list[str]]:
    """A project after four acts, and its state after each."""
    path = tmp_path / "p.noisyseg"
    acts.begin(path)
    script = acts.Script(path, 1)
    found = [acts.state(script.project)]
    for number in range(4):
        script.step(number)
        found.append(acts.state(script.project))
    script.close()
    return path, found


def test_what_is_lost_is_noticed(states: tuple[Path, list[str]]) -> None:
    path, found = states
    kept = Path(shutil.copytree(path, path.with_name("kept.noisyseg")))
    assert wrong(kills.judge(kept, found, 4)) == NOTHING
    with Project.open(path) as project:
        project.nuclei.remove([project.nuclei.of(acts.IMAGE)[0].id])
    assert wrong(kills.judge(path, found, 4)) == (1, 0)


def test_what_is_there_by_halves_is_noticed(states: tuple[Path, list[str]]) -> None:
    path, _ = states
    with Project.open(path) as project:
        project.labels.write(acts.IMAGE, "refined", project.nuclei.painted(acts.IMAGE))
        serials = [n.serial for n in project.nuclei.of(acts.IMAGE)]
        project.nuclei.adopt(acts.IMAGE, "r", [])
        stray = project.nuclei.painted(acts.IMAGE) * 0 + max(serials) + 99
        project.labels.write(acts.IMAGE, "refined", stray)
    assert wrong(kills.judge(path, [acts_state(path)], 0)) == (0, 1)


@pytest.fixture
def seen(tmp_path: Path) -> tuple[Path, Path, dict[str, Any]]:
    """A project with points, a field and a mask, a window's log, and what the window shows."""
    path, log = tmp_path / "p.noisyseg", tmp_path / "log"
    acts.begin(path)
    with Project.open(path) as project:
        project.nuclei.add_field(acts.IMAGE, Box(0, 0, 40, 40))
        shown: dict[str, Any] = {"image": acts.IMAGE, "version": project.nuclei.version()}
        told = shown | {"rough": [[0, 0, 96, 96], ""]}
        shown |= windows._stored(project, acts.IMAGE, told)
    return path, log, shown


def judged(log: Path, path: Path, shown: dict[str, Any]) -> tuple[int, int]:
    points.Log(log).say("shown", json.dumps(shown))
    with tempfile.TemporaryDirectory() as scratch:
        # to judge is to undo and to redo
        return wrong(windows.judge(Path(shutil.copytree(path, Path(scratch) / path.name)), log))


def test_what_a_window_showed_and_the_project_lacks_is_noticed(
    seen: tuple[Path, Path, dict[str, Any]],
) -> None:
    path, log, shown = seen
    assert judged(log, path, shown) == NOTHING
    for kind, other in (
        ("points", shown["points"] | {"99": [1.0, 2.0]}), ("fields", []),
        ("rough", [[0, 0, 96, 96], "another"]), ("decided", {"somebody": "accepted"}),
    ):  # fmt: skip
        assert judged(log, path, shown | {kind: other}) == (1, 0)
    points.Log(log).say("told", shown["version"] + 1)
    assert judged(log, path, shown) == (1, 0)


def test_an_act_that_was_stored_and_not_shown_yet_is_no_loss(
    seen: tuple[Path, Path, dict[str, Any]],
) -> None:
    path, log, shown = seen
    with Project.open(path) as project:
        project.nuclei.add(acts.IMAGE, 30.0, 30.0)
    assert judged(log, path, shown) == NOTHING
    # the fields were not touched by it
    assert judged(log, path, shown | {"fields": []}) == (1, 0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_window_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    counts = windows.run(kills=4, seed=7, folder=tmp_path)
    assert counts.kills == 4
    assert counts.acts > 4
    assert wrong(counts) == NOTHING


def acts_state(path: Path) -> str:
    with Project.open(path, write=False) as project:
        return acts.state(project)
