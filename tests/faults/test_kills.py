"""Killed at any point, and without power: what was confirmed is there, and all of it agrees."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from napari_noisyseg.benchmarks.faults import acts, commands, full, kills, power
from napari_noisyseg.benchmarks.faults.counts import Counts
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


def acts_state(path: Path) -> str:
    with Project.open(path, write=False) as project:
        return acts.state(project)
