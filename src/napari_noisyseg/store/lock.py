"""One writer at a time: a file that names who holds the project."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from napari_noisyseg.errors import NoisySegError

NAME = "lock.json"
START_TOLERANCE = 2.0
"""Seconds by which a process's start time may read differently (clocks are corrected)."""
CLAIM_SECONDS = 10.0
"""After so long a claim on a dead lock is taken to be left by a process that died."""
_ATTEMPTS = 40


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: `started` is the process's start, `since` when it took the lock (Unix)."""

    host: str
    pid: int
    started: float
    since: float

    @property
    def words(self) -> str:
        """Host, process and time, to be read by a person."""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host} since {when}"

    @property
    def alive(self) -> bool:
        """Whether that very process runs; one on another machine is taken to be alive."""
        return self.host != socket.gethostname() or runs(self.pid, self.started)


def started(pid: int) -> float | None:
    """Start time of a running process (Unix seconds), None where there is none (or a zombie)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except (psutil.NoSuchProcess, psutil.AccessDenied, ValueError, OverflowError):
        return None


def runs(pid: int, start: float) -> bool:
    """Whether the process runs that had this start time; a reused number does not count."""
    now = started(pid)
    return now is not None and abs(now - start) <= START_TOLERANCE


class Lock:
    """The writer's lock of a project's folder; `take` gets it or says who has it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._mine: bytes | None = None

    def take(self, force: bool = False) -> str | None:
        """Hold the lock; the word on whose it was when a dead (or forced) holder's is taken over.

        Raises `NoisySegError` that names host, process and time of a holder that lives.
        """
        for _ in range(_ATTEMPTS):
            if self._write():
                return None
            content = self._read()
            if content is None:
                continue
            holder = _parse(content)
            if holder is None and self._fresh():
                time.sleep(0.05)
                continue
            if holder is not None and holder.alive and not force:
                raise NoisySegError(self._refusal(holder))
            if self._take_over(content):
                who = holder.words if holder else "an unknown process (its file was damaged)"
                how = "was broken by request" if force else "is gone, so its lock was taken over"
                return f"{self.path.parent.name} was held by {who}, which {how}"
            time.sleep(0.02)  # somebody else is taking it over just now
        raise NoisySegError(f"{self.path} is contended: try again in a moment")

    def release(self) -> None:
        """Let go, unless somebody else has broken the lock meanwhile."""
        if self._mine is not None and self._read() == self._mine:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        self._mine = None

    @property
    def held(self) -> bool:
        """Whether the file on disk still is ours (another may have broken it)."""
        return self._mine is not None and self._read() == self._mine

    def _refusal(self, holder: Holder) -> str:
        if holder.host == socket.gethostname() and holder.pid == os.getpid():
            return f"{self.path.parent} is already open in this program"
        advice = "close it there, or open the project for reading"
        if holder.host != socket.gethostname():
            advice += f"; if that machine is gone, delete {self.path}"
        return f"{self.path.parent} is being written by {holder.words}: {advice}"

    def _write(self) -> bool:
        """Become the holder where there is none."""
        return self._put(_move_new)

    def _put(self, move: Callable[[Path, Path], bool]) -> bool:
        """Write our lock aside and move it in: a reader never sees half of one."""
        me = Holder(socket.gethostname(), os.getpid(), started(os.getpid()) or 0.0, time.time())
        content = json.dumps({**asdict(me), "token": uuid.uuid4().hex}).encode()
        draft = self.path.with_name(f".{NAME}.{uuid.uuid4().hex}")
        try:
            draft.write_bytes(content)
            won = move(draft, self.path)
        except OSError as error:
            raise NoisySegError(
                f"cannot write in {self.path.parent} ({error.strerror or error}): make the folder "
                "writable or free space, or open the project for reading"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        if won:
            self._mine = content
        return won

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def _fresh(self) -> bool:
        """Whether the file was made just now: without hard links it may be half written."""
        try:
            return time.time() - self.path.stat().st_mtime < 1.0
        except OSError:
            return True

    def _take_over(self, expected: bytes) -> bool:
        """Replace exactly the lock that was seen: of many that find it dead, one succeeds.

        Only who has the claim on that very content may replace it, so what is read under the
        claim stays what it is.
        """
        claim = self.path.with_name(f".{NAME}.{hashlib.sha256(expected).hexdigest()[:16]}.claim")
        if not _claimed(claim):
            return False
        try:
            return self._read() == expected and self._put(_move_over)
        finally:
            with contextlib.suppress(OSError):
                claim.unlink(missing_ok=True)


def _claimed(claim: Path) -> bool:
    """Whether the claim is ours now; one that its maker died over is removed for the next try."""
    try:
        claim.open("xb").close()
    except FileExistsError:
        with contextlib.suppress(OSError):
            if time.time() - claim.stat().st_mtime > CLAIM_SECONDS:
                claim.unlink()
        return False
    except OSError:
        return False
    return True


def _move_over(source: Path, target: Path) -> bool:
    """Give `source` the name `target`, whatever had it."""
    source.replace(target)
    return True


def _move_new(source: Path, target: Path) -> bool:
    """Give `source` the name `target` too, if that is free."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:
        # no hard links here (FAT, some network shares): exclusive creation instead
        return _copy_new(source, target)
    return True


def _copy_new(source: Path, target: Path) -> bool:
    try:
        with target.open("xb") as file:
            file.write(source.read_bytes())
    except FileExistsError:
        return False
    return True


def _parse(content: bytes) -> Holder | None:
    try:
        record = json.loads(content)
        return Holder(
            str(record["host"]),
            int(record["pid"]),
            float(record["started"]),
            float(record["since"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
