"""A run's folder: what was asked for, what it said while it worked, and whether it lives."""

from __future__ import annotations

import calendar
import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import psutil

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Event, Failed, Finished, Stepped, Validated, from_json, to_json
from napari_noisyseg.regular_file import advice
from napari_noisyseg.store.arrays import is_plain, refuse_links
from napari_noisyseg.store.durable import make_inside, sync, write_atomically
from napari_noisyseg.store.processes import Process

FOLDER = "runs"
STALE = 60.0
"""Seconds without a heartbeat after which a run on another machine is taken to be lost."""
EVENTS = "events.jsonl"
AT_ONCE = 2**20
"""Bytes of events that are read at a time: some thousands, a twentieth of a second."""
_MOST_BACK = 8 * 2**20
RESULTS = "results/index.json"
"""Written last: with it a run's results are whole."""
SKIPPED = "skipped.txt"
_MOST_WORDS = 1000
_LAST_BYTES = 65536
WORKER = "worker.json"
_HIDDEN = re.compile(r"\.\d{8}T\d{6}Z-[0-9a-z]{4,}\.new-[0-9a-f]{8}")
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-z]{4,}")

RunState = Literal["waiting", "running", "stopped", "finished", "failed", "lost", "damaged"]


class EventTail:
    """Follows a run's events.jsonl; a line still being written is left for the next time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inside = False

    def poll(self) -> list[Event]:
        """Events since the last call; damaged lines and kinds of later versions are skipped.

        Of a long file no more than `AT_ONCE` bytes are read: call again until nothing comes.
        """
        while True:
            data = self._read()
            end = data.rfind(b"\n") + 1
            if not end:
                if len(data) < AT_ONCE:
                    return []
                # no event is so long: pass over all of the line
                self._offset, self._inside = self._offset + len(data), True
                continue
            self._offset += end
            lines = data[:end].split(b"\n")
            if self._inside:
                self._inside, lines = False, lines[1:]
            found = [event for event in map(from_json, lines) if event is not None]
            if found:
                return found

    def _read(self) -> bytes:
        try:
            if not is_plain(self._path):
                return b""
            with self._path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._offset:
                    self._offset, self._inside = 0, False
                file.seek(self._offset)
                return file.read(AT_ONCE)
        except OSError:
            # for a moment not reachable (a network share)
            return b""


class Run:
    """One run; all it is lies in its folder, which may be carried elsewhere and back."""

    def __init__(
        self, folder: Path, adopted: Callable[[str], bool] = lambda _: False, id: str = ""
    ) -> None:
        self.dir = folder
        self.id = id or folder.name
        self._adopted = adopted

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    @property
    def adopted(self) -> bool:
        """Whether the project has taken over its results."""
        return self._adopted(self.id)

    @property
    def created(self) -> float:
        """When the folder was made (Unix seconds); falls back to its date for a foreign name."""
        try:
            return float(_seconds(self.id))
        except ValueError:
            return self.dir.stat().st_mtime

    def spec(self) -> dict[str, Any]:
        """What was asked for; `NoisySegError` when that cannot be read."""
        return self._json("spec.json")

    def write_spec(self, spec: Mapping[str, Any]) -> None:
        """Say what is asked for."""
        write_atomically(self.dir / "spec.json", json.dumps(dict(spec), indent=1))

    def worker(self) -> dict[str, Any] | None:
        """Who works on it: pid, started (start time of the process), host; None before that."""
        try:
            return self._json(WORKER)
        except NoisySegError:
            return None

    def claim(self, pid: int) -> None:
        """Say which process of this machine works on it."""
        record = Process.of(pid).document()
        write_atomically(self.dir / WORKER, json.dumps(record))
        self.beat()

    def beat(self) -> None:
        """The worker's heartbeat."""
        (self.dir / "heartbeat").touch()

    def alive(self) -> bool:
        """Whether the process that claimed it runs; on another machine, whether its heart beats."""
        worker = self.worker()
        if worker is None:
            return False
        try:
            process = Process.parse(worker)
        except (KeyError, TypeError, ValueError, OverflowError):
            return False
        if process.where != "elsewhere":
            return process.runs
        try:
            return time.time() - (self.dir / "heartbeat").stat().st_mtime < STALE
        except OSError:
            return False

    def state(self) -> RunState:
        """Where it stands, from its last word and from whether its process lives."""
        worker = self.worker()
        alive = self.alive()
        last = None if alive and self._taken_up_again() else self._last_word()
        if isinstance(last, Failed):
            return "failed"
        if isinstance(last, Finished):
            return "stopped" if last.stopped else "finished"
        if alive:
            return "running"
        return "lost" if worker is not None else "waiting"

    def _taken_up_again(self) -> bool:
        """Whether a process claimed the run after what was said last."""
        try:
            said = (self.dir / EVENTS).stat().st_mtime_ns
            return (self.dir / WORKER).stat().st_mtime_ns > said
        except OSError:
            return False

    def events(self) -> list[Event]:
        """Everything it has said so far; of a long run rather `said`."""
        return list(self.said())

    def said(self) -> Iterator[Event]:
        """Everything it has said so far, read as it is asked for."""
        tail = self.tail()
        while events := tail.poll():
            yield from events

    def tail(self) -> EventTail:
        """Follows what it says, from the beginning."""
        return EventTail(self.dir / EVENTS)

    def say(self, event: Event) -> None:
        """Append an event, on a line of its own even after one that was torn off."""
        line = to_json(event, time.time()).encode() + b"\n"
        with (self.dir / EVENTS).open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)

    @property
    def has_results(self) -> bool:
        """Whether it left whole results."""
        return (self.dir / RESULTS).is_file()

    @property
    def skipped(self) -> str:
        """Why its results were not taken into the project; "" where they were or nobody tried."""
        path = self.dir / SKIPPED
        if self.adopted or not is_plain(path):
            return ""
        try:
            with path.open("rb") as file:
                return file.read(_MOST_WORDS).decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def skip(self, reason: str) -> None:
        """Note why its results were not taken in; where not even that can be written, nothing."""
        with contextlib.suppress(OSError, NoisySegError):
            self._refuse_links()
            write_atomically(self.dir / SKIPPED, reason[:_MOST_WORDS])

    def taken_in(self) -> None:
        """Forget why its results were not taken in before: they are now."""
        with contextlib.suppress(OSError):
            (self.dir / SKIPPED).unlink(missing_ok=True)

    def request_stop(self) -> None:
        """Ask it to stop at the next step."""
        self._refuse_links()
        try:
            (self.dir / "STOP").touch()
        except OSError as error:
            raise NoisySegError(
                f"cannot tell {self.id} to stop: {self.dir} cannot be written ({advice(error)})"
            ) from error

    def _refuse_links(self) -> None:
        """Write nothing into a run's folder that is not in the project."""
        refuse_links(self.dir.parents[1], self.dir / "STOP")

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked it to stop."""
        return (self.dir / "STOP").exists()

    def figures(self) -> dict[str, float]:
        """Its last figures: those it finished with, else its last losses, named as those are."""
        for event in self._backwards():
            if isinstance(event, Finished) and event.figures:
                return dict(event.figures)
            if isinstance(event, (Validated, Stepped)):
                return {f"loss_{name}": value for name, value in event.losses.items()}
        return {}

    def _last_word(self) -> Event | None:
        return next(self._backwards(), None)

    def _backwards(self) -> Iterator[Event]:
        """Its last events, the newest first: those in the last `_MOST_BACK` bytes."""
        path = self.dir / EVENTS
        if not is_plain(path):
            return
        try:
            with path.open("rb") as file:
                at = file.seek(0, os.SEEK_END)
                # what follows the last newline still is being written
                rest, first, stop = b"", True, max(0, at - _MOST_BACK)
                while at > stop:
                    size = min(_LAST_BYTES, at - stop)
                    at -= size
                    file.seek(at)
                    rest, *lines = (file.read(size) + rest).split(b"\n")
                    for line in reversed(lines[:-1] if first else lines):
                        if (event := from_json(line)) is not None:
                            yield event
                    first = first and not lines
                if not first and at == 0 and (event := from_json(rest)) is not None:
                    yield event
        except OSError:
            return

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return bounded_json.read_record(self.dir / name)
        except OSError as error:
            raise NoisySegError(f"{self.dir / name} cannot be read ({error})") from error


class Runs:
    """The runs of a project; needs no lock, as a run writes only its own folder."""

    def __init__(self, project: Path, adopted: Callable[[str], bool] = lambda _: False) -> None:
        self.root = project / FOLDER
        self._adopted = adopted

    @contextlib.contextmanager
    def making(self) -> Iterator[Run]:
        """A run to fill, in a folder that nobody sees; at the end it appears, whole.

        Its id sorts by time. On error, or where the maker is killed, there is no run. From its
        appearance until a child works on it, this process is said to.
        """
        run = self._draft()
        try:
            with self._told():
                run.claim(os.getpid())
                yield run
                final = self.root / run.id
                run.dir.rename(final)
                run.dir = final
                sync(self.root)
        except BaseException:
            shutil.rmtree(run.dir, ignore_errors=True)
            raise

    def new(self) -> Run:
        """A new run with an empty folder of its own, to be seen at once."""
        with self._told():
            run = self._draft()
            final = self.root / run.id
            run.dir.rename(final)
            run.dir = final
        return run

    def _draft(self) -> Run:
        with self._told():
            # no parents: where the project was moved, it must not be created again here
            make_inside(self.root)
            name = _new_id()
            # before its maker is written down in it, its name tells whose it is
            folder = self.root / f".{name}.new-{os.getpid():08x}"
            folder.mkdir()
        return Run(folder, self._adopted, name)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise NoisySegError(
                f"cannot make a run's folder in {self.root} ({advice(error)}): make it "
                "writable or free space"
            ) from error

    def tidy(self) -> None:
        """Remove what killed makers left of runs that never appeared."""
        for folder in self.root.glob(".*.new-*"):
            if _HIDDEN.fullmatch(folder.name) and not folder.is_symlink():
                draft = Run(folder)
                maker = int(folder.name[-8:], 16)
                if not draft.alive() and (draft.worker() or not psutil.pid_exists(maker)):
                    shutil.rmtree(folder, ignore_errors=True)

    def list(self) -> list[Run]:
        """All runs, the oldest first."""
        if not self.root.is_dir():
            return []
        names = sorted(p.name for p in self.root.iterdir() if p.is_dir() and _ID.fullmatch(p.name))
        return [Run(self.root / name, self._adopted) for name in names]

    def get(self, id: str) -> Run:
        """The run of this id (or the only one whose id begins so); `NoisySegError` if none."""
        known = {run.id: run for run in self.list()}
        fits = [run for name, run in known.items() if id and name.startswith(id)]
        if id in known:
            return known[id]
        if len(fits) == 1:
            return fits[0]
        problem = "several runs begin with" if fits else "there is no run"
        names = ", ".join(list(known)[-3:]) or "none yet"
        raise NoisySegError(f"{problem} {id!r} in {self.root.parent}; the last are: {names}")


def _new_id() -> str:
    """The time to the millisecond, so that ids sort, and chance."""
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    return f"{stamp}-{int(now % 1 * 1000):03x}{secrets.token_hex(3)[1:]}"


def _seconds(id: str) -> int:
    return calendar.timegm(time.strptime(id.split("-")[0], "%Y%m%dT%H%M%SZ"))
