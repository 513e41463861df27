"""One writer at a time, between processes; the dead hold nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import Project
from napari_noisyseg.store.lock import Lock, started

Child = Callable[..., subprocess.Popen[str]]

HOLD = """
import sys
from pathlib import Path
from napari_noisyseg.store import Project
project = Project.open(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def holder(folder: Path, **changes: object) -> None:
    """A lock as another process left it."""
    record = {
        "host": socket.gethostname(), "pid": os.getpid(), "started": started(os.getpid()),
        "since": time.time(), **changes,
    }  # fmt: skip
    (folder / "lock.json").write_text(json.dumps(record))


def test_a_second_writer_is_told_who_and_a_dead_one_is_replaced(
    project: Project, child: Child
) -> None:
    path = project.path
    project.close()
    with child(HOLD, path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(NoisySegError) as refusal:
            Project.open(path)
        for part in (f"process {other.pid}", socket.gethostname(), time.strftime("%Y-%m-%d")):
            assert part in str(refusal.value)
        with Project.open(path, write=False) as reader:
            assert reader.images() == []
        other.kill()
        other.communicate()
    with Project.open(path) as again:
        assert len(again.notices) == 1
        assert f"process {other.pid}" in again.notices[0]
        assert "taken over" in again.notices[0]
    assert not (path / "lock.json").exists()


def test_the_same_program_cannot_open_twice(project: Project) -> None:
    with pytest.raises(NoisySegError, match="already open in this program"):
        Project.open(project.path)
    assert project.writable
    project.add_array(np.zeros((8, 8, 3), np.uint8), "still mine")


def test_a_reused_process_number_holds_nothing(tmp_path: Path) -> None:
    holder(tmp_path, started=(started(os.getpid()) or 0) - 3600)
    assert "taken over" in (Lock(tmp_path).take() or "")


def test_a_holder_on_another_machine_is_believed_unless_broken(tmp_path: Path) -> None:
    holder(tmp_path, host="another-machine", pid=1)
    lock = Lock(tmp_path)
    with pytest.raises(NoisySegError, match=r"process 1 on another-machine.*lock\.json"):
        lock.take()
    assert "broken by request" in (lock.take(force=True) or "")
    assert lock.held


def test_of_many_that_find_a_dead_lock_one_wins(tmp_path: Path) -> None:
    for _ in range(60):
        holder(tmp_path, pid=2**22 + 5)
        locks = [Lock(tmp_path) for _ in range(8)]

        def attempt(lock: Lock) -> bool:
            try:
                lock.take()
            except NoisySegError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(attempt, locks))
        assert won.count(True) == 1
        assert [lock.held for lock in locks] == won
        locks[won.index(True)].release()
        assert not list(tmp_path.iterdir())


def test_a_damaged_lock_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text('{"host": "x", "pi')
    os.utime(tmp_path / "lock.json", (0, 0))
    assert "was damaged" in (Lock(tmp_path).take() or "")


def test_a_writer_whose_lock_was_broken_writes_no_more(tissue: Project) -> None:
    tissue.nuclei.add("tissue", 1, 1)
    with Project.open(tissue.path, break_lock=True) as thief:
        with pytest.raises(NoisySegError, match="taken by another program"):
            tissue.nuclei.add("tissue", 2, 2)
        thief.nuclei.add("tissue", 3, 3)
        tissue.close()
        assert (tissue.path / "lock.json").exists()
        assert len(thief.nuclei.of("tissue")) == 2


def test_without_hard_links_creation_is_exclusive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    first, second = Lock(tmp_path), Lock(tmp_path)
    assert first.take() is None
    with pytest.raises(NoisySegError):
        second.take()
    first.release()
    assert second.take() is None
