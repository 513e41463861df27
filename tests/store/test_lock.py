"""One writer at a time, between processes; the dead hold nothing."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import Project
from napari_noisyseg.store.lock import Lock
from napari_noisyseg.store.processes import Process, boot

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
    record = {**Process.of(os.getpid()).document(), "since": time.time(), **changes}
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


def test_a_project_that_cannot_be_read_at_its_end_is_let_go(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: object) -> None:
        raise NoisySegError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("napari_noisyseg.store.images.Images.rows", unreadable)
        project.close()
    Project.open(project.path).close()


def test_a_reused_process_number_holds_nothing(tmp_path: Path) -> None:
    mine = Process.of(os.getpid())
    holder(tmp_path, started=mine.started - 3600, ticks=mine.ticks - 100)
    assert "taken over" in (Lock(tmp_path).take() or "")


@pytest.mark.parametrize("step", [-3600.0, -2.5, 2.5, 3600.0])
def test_a_clock_step_takes_no_living_writer_s_lock(
    project: Project, child: Child, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    path = project.path
    project.close()
    with child(HOLD, path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        # what the system says of starts follows the clock; the lock was written before the step
        real, now = psutil.Process.create_time, time.time
        monkeypatch.setattr(psutil.Process, "create_time", lambda p: real(p) + step)
        monkeypatch.setattr(time, "time", lambda: now() + step)
        with pytest.raises(NoisySegError, match=f"process {other.pid}"):
            Project.open(path)
        other.kill()
        other.communicate()
    Project.open(path).close()


def test_a_lock_from_before_a_restart_is_dead(tmp_path: Path) -> None:
    holder(tmp_path, boot="the boot before", pid=1)
    if boot():
        assert "taken over" in (Lock(tmp_path).take() or "")


def test_what_was_derived_before_a_power_cut_is_derived_anew(tissue: Project) -> None:
    labels = np.ones((512, 512), np.uint8)
    derived = {"derived_from": "points", "annotation_version": 3}
    tissue.labels.write("tissue", "outline", labels, derived)
    tissue.labels.write("tissue", "refined", labels, {"run": "r"})
    path = tissue.path
    tissue.close()
    holder(path, pid=2**22 + 5)
    with Project.open(path) as after_a_kill:
        assert after_a_kill.labels.source("tissue", "outline") == (derived if boot() else {
            **derived, "annotation_version": -1})  # fmt: skip
    holder(path, boot="the boot before", pid=1)
    with Project.open(path) as after_a_power_cut:
        assert after_a_power_cut.labels.source("tissue", "outline")["annotation_version"] == -1
        assert after_a_power_cut.labels.source("tissue", "refined") == {"run": "r"}


def test_another_container_s_process_is_believed(tmp_path: Path) -> None:
    holder(tmp_path, space="pid:[1]", pid=2**22 + 5)
    if boot():
        with pytest.raises(NoisySegError, match="being written by"):
            Lock(tmp_path).take()


def test_a_lock_of_an_earlier_version_is_understood(tmp_path: Path) -> None:
    mine = Process.of(os.getpid())
    old = {"host": mine.host, "pid": mine.pid, "started": mine.started, "since": 1.0}
    (tmp_path / "lock.json").write_text(json.dumps(old))
    with pytest.raises(NoisySegError, match="already open in this program"):
        Lock(tmp_path).take()
    (tmp_path / "lock.json").write_text(json.dumps({**old, "started": mine.started - 3600}))
    assert "taken over" in (Lock(tmp_path).take() or "")


def test_a_holder_on_another_machine_is_believed_unless_broken(tmp_path: Path) -> None:
    holder(tmp_path, host="another-machine", boot="another", pid=1)
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


@pytest.mark.parametrize(
    "content",
    [
        '{"host": "x", "pi', "", "[]", "[" * 4000, '{"host": 1, "pid": "x"}',
        '{"host": "x", "pid": 1e400, "started": 1, "since": 1}',
        '{"host": "x", "pid": 1, "started": NaN, "since": 1}', "\x00" * 100_000,
    ],
    ids=range(8),
)  # fmt: skip
@pytest.mark.parametrize("age", [-(10.0**6), 0.0, 10.0**9])
def test_a_damaged_lock_is_replaced(
    tmp_path: Path, content: str, age: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_noisyseg.store.lock.PATIENCE", 0.1)
    file = tmp_path / "lock.json"
    file.write_text(content)
    when = max(0.0, time.time() - age)
    os.utime(file, (when, when))
    assert "was damaged" in (Lock(tmp_path).take() or "")


def test_a_holder_since_an_impossible_time_is_told(tmp_path: Path) -> None:
    holder(tmp_path, since=1e300, pid=2**22 + 5)
    assert "unknown time" in (Lock(tmp_path).take() or "")


@pytest.mark.parametrize("ahead", [-100.0, 0.0, 10.0**6])
def test_a_claim_that_its_maker_died_over_is_removed(tmp_path: Path, ahead: float) -> None:
    holder(tmp_path, pid=2**22 + 5)
    content = (tmp_path / "lock.json").read_bytes()
    claim = tmp_path / f".lock.json.{hashlib.sha256(content).hexdigest()[:16]}.claim"
    claim.write_bytes(content)
    when = time.time() + ahead
    os.utime(claim, (when, when))
    assert "taken over" in (Lock(tmp_path).take() or "")
    assert [p.name for p in tmp_path.iterdir()] == ["lock.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are POSIX's")
def test_a_lock_that_is_no_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock.json")
    with pytest.raises(NoisySegError, match="not a plain file"):
        Lock(tmp_path).take()
    (tmp_path / "lock.json").unlink()
    (tmp_path / "lock.json").symlink_to("/dev/zero")
    with pytest.raises(NoisySegError, match="not a plain file"):
        Lock(tmp_path).take()


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
