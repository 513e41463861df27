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

from napari_noisyseg import bounded_json, regular_file
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Event, Failed, Finished, Stepped, Validated, from_json, to_json
from napari_noisyseg.regular_file import advice
from napari_noisyseg.store.arrays import is_plain
from napari_noisyseg.store.durable import sync, write_atomically
from napari_noisyseg.store.processes import Process

FOLDER = "runs"
STALE = 60.0
"""Seconds without a heartbeat after which a run on another machine is taken to be lost."""
RESULTS = "results/index.json"
"""Written last: with it a run's results are whole."""
SKIPPED = "skipped.txt"
_MOST_WORDS = 1000
_LAST_BYTES = 65536
_MOST_BYTES = 2**27
"""Of events, some hundred thousand steps, that are read at once."""
WORKER = "worker.json"
_HIDDEN = re.compile(r"\.\d{8}T\d{6}Z-[0-9a-z]{4,}\.new-[0-9a-f]{8}")
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-z]{4,}")

RunState = Literal["waiting", "running", "stopped", "finished", "failed", "lost", "damaged"]


class EventTail:
    """Follows a run's events.jsonl; a line still being written is left for the next time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def poll(self) -> list[Event]:
        """The events since the last call; damaged lines and kinds of later versions are skipped."""
        try:
            with regular_file.opened(self._path) as file:
                size = file.seek(0, os.SEEK_END)
                if size < self._offset:
                    self._offset = 0
                # of a giant only the end
                self._offset = max(self._offset, size - _MOST_BYTES)
                file.seek(self._offset)
                data = file.read(_MOST_BYTES)
        except (OSError, NoisySegError):
            # not there yet, or for a moment not reachable (a network share)
            return []
        end = data.rfind(b"\n") + 1
        self._offset += end
        lines = data[:end].decode("utf-8", errors="replace").splitlines()
        return [event for event in map(from_json, lines) if event is not None]


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
            said = (self.dir / "events.jsonl").stat().st_mtime_ns
            return (self.dir / WORKER).stat().st_mtime_ns > said
        except OSError:
            return False

    def events(self) -> list[Event]:
        """Everything it has said so far."""
        return self.tail().poll()

    def tail(self) -> EventTail:
        """Follows what it says, from the beginning."""
        return EventTail(self.dir / "events.jsonl")

    def say(self, event: Event) -> None:
        """Append an event, on a line of its own even after one that was torn off."""
        line = to_json(event, time.time()).encode() + b"\n"
        with (self.dir / "events.jsonl").open("ab+") as file:
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
        with contextlib.suppress(OSError):
            write_atomically(self.dir / SKIPPED, reason[:_MOST_WORDS])

    def request_stop(self) -> None:
        """Ask it to stop at the next step."""
        try:
            (self.dir / "STOP").touch()
        except OSError as error:
            raise NoisySegError(
                f"cannot ask {self.id} to stop: {self.dir} cannot be written ({error.strerror})"
            ) from error

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked it to stop."""
        return (self.dir / "STOP").exists()

    def figures(self) -> dict[str, float]:
        """Its last figures: those it finished with, else its last losses."""
        for events in (self._last_words(), reversed(self.events())):
            for event in events:
                if isinstance(event, Finished) and event.figures:
                    return dict(event.figures)
                if isinstance(event, (Validated, Stepped)):
                    return dict(event.losses)
        return {}

    def _last_word(self) -> Event | None:
        return next(self._last_words(), None)

    def _last_words(self) -> Iterator[Event]:
        """Its last events, the newest first."""
        try:
            with regular_file.opened(self.dir / "events.jsonl") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
                lines = file.read(_LAST_BYTES).decode("utf-8", errors="replace").split("\n")
        except (OSError, NoisySegError):
            return
        # what follows the last newline still is being written
        said = (from_json(line) for line in reversed(lines[:-1]))
        yield from (event for event in said if event is not None)

    def _json(self, name: str) -> dict[str, Any]:
        return bounded_json.read_record(self.dir / name)


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
            # no parents: where the project was moved, it must not come to life again here
            self.root.mkdir(exist_ok=True)
            name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"
            folder = self.root / f".{name}.new-{secrets.token_hex(4)}"
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
                # before its maker is written down, a folder is empty
                if not draft.alive() and (draft.worker() or not any(folder.iterdir())):
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


def _seconds(id: str) -> int:
    return calendar.timegm(time.strptime(id.split("-")[0], "%Y%m%dT%H%M%SZ"))
