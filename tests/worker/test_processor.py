from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.parent import processor
from napari_noisyseg.worker.parent.processor import Processor, Reading, read, starved


@pytest.mark.parametrize(
    ("run", "worked", "waits"),
    [
        (0.1, 6.0, True),  # others use it all
        (2.9, 6.0, False),  # it has its processor
        (0.1, 3.0, False),  # it waits for something else: a processor is free
        (0.9, 5.4, False),
    ],
)
def test_little_time_on_a_busy_machine_is_waiting(run: float, worked: float, waits: bool) -> None:
    before, after = Reading(10, 5, 100, 200), Reading(13, 5 + run, 100 + worked, 206)
    assert starved(before, after) is waits
    assert not starved(before, before)


def test_a_run_of_ours_is_read_and_another_machine_s_is_not(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert read(run, 0.0) is None
    run.claim(os.getpid())
    found = read(run, 7.0)
    assert found is not None
    assert found.clock == 7
    assert 0 < found.run < found.worked < found.whole
    (tmp_path / "worker.json").write_text('{"pid": 1, "started": 0, "host": "elsewhere"}')
    assert read(run, 0.0) is None


def test_a_dead_child_waits_for_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    run = Run(tmp_path)
    run.claim(child.pid)
    child.wait()
    assert read(run, 0.0) is None


def test_it_is_said_after_some_seconds_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now, hungry = [0.0], [True]
    monkeypatch.setattr(processor, "read", lambda run, clock: Reading(clock, 0, clock, clock))
    monkeypatch.setattr(processor, "starved", lambda before, after: hungry[0])
    made = Processor(Run(Path("gone")), lambda: now[0])
    said = []
    for second in range(8):
        now[0], hungry[0] = float(second), second < 6
        said.append(made.look())
    assert said == [False] * 3 + [True] * 3 + [False] * 2
