"""Run folders: states, a tail that stands half-written lines, a child that is killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Failed, Finished, Started, Stepped, Validated, to_json
from napari_noisyseg.store import Run, Runs, processes

Child = Callable[..., subprocess.Popen[str]]

STEP = Stepped(0, 1, 10, {"total": 0.5})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Runs(tmp_path).new()


def claim(run: Run, process: subprocess.Popen[str]) -> None:
    run.claim(process.pid)


def test_ids_sort_by_time_and_are_found_by_their_beginning(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    assert runs.list() == []
    made = [runs.new() for _ in range(3)]
    (tmp_path / "runs" / "not a run").mkdir()
    assert sorted(r.id for r in made) == [r.id for r in runs.list()]
    assert runs.get(made[0].id).dir == made[0].dir
    with pytest.raises(NoisySegError, match="several runs begin with"):
        runs.get(made[0].id[:4])
    for wrong in ("", "../..", "nonsense"):
        with pytest.raises(NoisySegError, match="there is no run"):
            runs.get(wrong)
    assert abs(made[0].created - time.time()) < 5


def test_the_life_of_a_run(run: Run, child: Child) -> None:
    assert run.state() == "waiting"
    run.write_spec({"method": "scnet", "seed": 1})
    assert run.spec() == {"method": "scnet", "seed": 1}
    with child("input()") as process:
        claim(run, process)
        assert run.state() == "running"
        run.say(Started("scnet", 10, 5, "cpu"))
        run.say(STEP)
        assert run.state() == "running"
        assert run.figures() == {"loss_total": 0.5}
        run.say(Finished(False, 1.0, {"dice": 0.8}))
        assert run.state() == "finished"
        process.communicate("\n")
    assert (run.state(), run.figures()) == ("finished", {"dice": 0.8})


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (Finished(True, 1.0), "stopped"),
        (Failed("out of memory", "a smaller batch"), "failed"),
        (STEP, "lost"),
    ],
)
def test_how_a_run_ended(run: Run, last: object, state: str) -> None:
    run.claim(2**22 + 5)
    run.say(Started("scnet", 10, 5, "cpu"))
    run.say(last)  # type: ignore[arg-type]
    assert run.state() == state


def test_a_killed_child_is_lost_even_before_it_is_reaped(run: Run, child: Child) -> None:
    process = child("print('up', flush=True); input()")
    assert process.stdout is not None
    process.stdout.readline()
    claim(run, process)
    run.say(STEP)
    assert run.state() == "running"
    process.kill()
    # a zombie as long as nobody waits for it, as under a napari that started it
    deadline = time.monotonic() + 10
    while run.state() == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert run.state() == "lost"
    process.communicate()
    assert run.state() == "lost"


def test_a_reused_process_number_is_not_the_run(run: Run) -> None:
    run.claim(os.getpid())
    file = run.dir / "worker.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "ticks": record["ticks"] - 100, "started": 1.0}))
    assert run.state() == "lost"


def test_on_another_machine_the_heartbeat_counts(run: Run) -> None:
    run.claim(1)
    file = run.dir / "worker.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "host": "other", "boot": "another"}))
    assert run.state() == "running"
    os.utime(run.dir / "heartbeat", (0, time.time() - 600))
    assert run.state() == "lost"
    run.beat()
    assert run.alive()


def test_a_run_that_is_taken_up_again_is_running(run: Run) -> None:
    run.say(Finished(True, 1.0))
    os.utime(run.dir / "events.jsonl", (0, time.time() - 10))
    run.claim(os.getpid())
    assert run.state() == "running"


def test_the_tail_waits_for_whole_lines(run: Run) -> None:
    tail = run.tail()
    assert tail.poll() == []
    line = to_json(STEP, 1.0).encode() + b"\n"
    with (run.dir / "events.jsonl").open("ab", buffering=0) as file:
        file.write(line + line[:20])
        assert tail.poll() == [STEP]
        assert tail.poll() == []
        file.write(line[20:])
        assert tail.poll() == [STEP]
        # a letter of two bytes torn in the middle
        letter = to_json(Failed("größe"), 1.0).replace("\\u00f6", "ö").encode() + b"\n"
        cut = letter.index("ö".encode()) + 1
        file.write(letter[:cut])
        assert tail.poll() == []
        file.write(letter[cut:])
        assert tail.poll() == [Failed("größe")]


def test_torn_lines_and_unknown_kinds_are_skipped(run: Run) -> None:
    run.say(STEP)
    with (run.dir / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "FromTheFuture", "time": 1}\n\xff\xfe\nnull\n{"event": "Step')
    # what a resumed worker says is on a line of its own
    run.say(Validated(1, {"total": 0.1}, True))
    assert run.events() == [STEP, Validated(1, {"total": 0.1}, True)]


def test_the_tail_starts_over_when_the_file_does(run: Run) -> None:
    tail = run.tail()
    run.say(STEP)
    run.say(STEP)
    assert len(tail.poll()) == 2
    (run.dir / "events.jsonl").unlink()
    run.say(Started("scnet", 1, 1, "cpu"))
    assert tail.poll() == [Started("scnet", 1, 1, "cpu")]


def test_the_state_of_a_long_run_is_read_from_its_end(run: Run) -> None:
    line = to_json(STEP, 1.0) + "\n"
    (run.dir / "events.jsonl").write_text(line * 50_000)
    run.say(Finished(False, 1.0))
    run.claim(2**22 + 5)
    begin = time.process_time()
    assert run.state() == "finished"
    assert time.process_time() - begin < 0.1


def test_a_clock_step_makes_no_living_run_lost(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.claim(os.getpid())
    real = psutil.Process.create_time
    for step in (-3600.0, -2.5, 2.5, 3600.0):
        monkeypatch.setattr(psutil.Process, "create_time", lambda p, s=step: real(p) + s)
        assert run.state() == "running"


def test_after_a_restart_of_the_machine_nothing_runs(run: Run) -> None:
    run.claim(os.getpid())
    file = run.dir / "worker.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "boot": "the boot before"}))
    assert run.state() == ("lost" if processes.boot() else "running")


def test_a_run_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with runs.making() as run:
        assert runs.list() == []
        run.write_spec({"method": "scnet"})
        # somebody opens the project meanwhile
        runs.tidy()
    (found,) = runs.list()
    assert found.spec() == {"method": "scnet"}
    assert (found.id, found.dir) == (run.id, run.dir)
    with pytest.raises(ValueError, match="no"), runs.making() as run:
        raise ValueError("no")
    assert [p.name for p in runs.root.iterdir()] == [found.id]


MADE = """
import os, sys
from pathlib import Path
from napari_noisyseg.store import Runs
with Runs(Path(sys.argv[1])).making() as run:
    (run.dir / "snapshot").mkdir()
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_a_maker_that_is_killed_leaves_no_run(tmp_path: Path, child: Child) -> None:
    child(MADE, tmp_path).communicate(timeout=60)
    runs = Runs(tmp_path)
    assert runs.list() == []
    (left,) = runs.root.iterdir()
    # none of ours
    (runs.root / ".other.new-12345678").mkdir()
    runs.tidy()
    assert not left.exists()
    assert [p.name for p in runs.root.iterdir()] == [".other.new-12345678"]


def test_a_project_that_was_moved_gets_no_run_at_its_old_place(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "moved.noisyseg")
    with pytest.raises(NoisySegError, match="cannot make a run's folder"), runs.making():
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_million_events_are_read_in_little_memory(run: Run) -> None:
    line = to_json(STEP, 1.0) + "\n"
    with (run.dir / "events.jsonl").open("w") as file:
        for _ in range(5):
            file.write(line * 10_000)
    tracemalloc.start()
    begin = time.process_time()
    assert run.figures() == {"loss_total": 0.5}
    assert time.process_time() - begin < 0.5
    assert sum(1 for _ in run.said()) == 50_000
    tail, found = run.tail(), 0
    while events := tail.poll():
        found += len(events)
    assert found == 50_000
    assert tracemalloc.get_traced_memory()[1] < 15_000_000
    tracemalloc.stop()


def test_the_last_word_may_be_long_and_follow_much_that_is_not_understood(run: Run) -> None:
    run.say(STEP)
    with (run.dir / "events.jsonl").open("a") as file:
        file.write('{"event": "FromTheFuture"}\n' * 50_000)
    assert run.figures() == {"loss_total": 0.5}
    run.say(Finished(False, 1.0, {"dice": 0.5}, tuple(f"results/{i}.npz" for i in range(9000))))
    assert run.state() == "finished"
    assert run.figures() == {"dice": 0.5}


def test_a_line_without_end_is_passed_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_noisyseg.store.runs.AT_ONCE", 1000)
    run.say(STEP)
    with (run.dir / "events.jsonl").open("a") as file:
        file.write("x" * 12_345)
    tail = run.tail()
    assert tail.poll() == [STEP]
    assert tail.poll() == []
    run.say(Finished(False, 1.0))
    assert tail.poll() == [Finished(False, 1.0)]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are POSIX's")
def test_a_pipe_in_the_place_of_events_does_not_hang(run: Run) -> None:
    os.mkfifo(run.dir / "events.jsonl")
    assert run.events() == []
    assert run.figures() == {}
    assert run.state() == "waiting"


def test_asking_to_stop(run: Run) -> None:
    assert not run.stop_requested
    run.request_stop()
    assert run.stop_requested
    (run.dir / "STOP").unlink()
    run.dir.rename(run.dir.with_name("gone"))
    with pytest.raises(NoisySegError, match="cannot tell"):
        run.request_stop()


def test_damaged_files_are_told_or_do_no_harm(run: Run) -> None:
    for text in ("", "{", "[]"):
        (run.dir / "spec.json").write_text(text)
        (run.dir / "worker.json").write_text(text)
        with pytest.raises(NoisySegError, match=r"spec\.json"):
            run.spec()
        assert run.worker() is None
        assert run.state() == "waiting"
    (run.dir / "worker.json").write_text(f'{{"pid": "x", "host": "{socket.gethostname()}"}}')
    assert run.state() == "lost"


def test_a_draft_whose_maker_was_killed_before_it_was_written_down_is_tidied(
    tmp_path: Path,
) -> None:
    runs = Runs(tmp_path)
    with runs.making() as run:
        draft = run.dir
    stamp = draft.name.rsplit(".new-", 1)[0]
    gone, living = (runs.root / f"{stamp}.new-{pid:08x}" for pid in (0x7FFFFFF0, os.getpid()))
    for folder in (gone, living):
        folder.mkdir()
        (folder / ".worker.json.0a1b2c3d").write_text("{")
    runs.tidy()
    assert not gone.exists()
    assert living.is_dir()
