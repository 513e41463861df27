"""One writer at a time: a file that names who holds the project."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.regular_file import advice
from napari_noisyseg.store.arrays import is_plain
from napari_noisyseg.store.durable import flush, sync
from napari_noisyseg.store.processes import Process, boot

NAME = "lock.json"
PATIENCE = 1.0
"""Seconds that a lock which cannot be read must stay so to be taken for damaged."""
CLAIM_SECONDS = 10.0
"""After so long a claim of another machine on a dead lock is taken to be left by the dead."""
_LONGEST = 4096
_LEFT: set[bytes] = set()
"""Locks that this process let go of without finding them: their projects were moved meanwhile."""
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, and since when (Unix seconds)."""

    process: Process
    since: float

    @property
    def words(self) -> str:
        """Host, process and time, to be read by a person."""
        try:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        except (ValueError, OverflowError, OSError):
            when = "an unknown time"
        return f"process {self.process.pid} on {self.process.host} since {when}"

    @property
    def alive(self) -> bool:
        """Whether that very process runs; one on another machine is taken to be alive."""
        return self.process.where == "elsewhere" or self.process.runs


class Lock:
    """The writer's lock of a project's folder; `take` gets it or says who has it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._mine: bytes | None = None
        self.restarted = False
        """Whether the machine was (or may have been) started again since the last holder."""

    def take(self, force: bool = False) -> str | None:
        """Hold the lock; the word on whose it was when a dead (or forced) holder's is taken over.

        Raises `NoisySegError` that names host, process and time of a holder that lives.
        """
        unread: dict[bytes, float] = {}
        for _ in range(_ATTEMPTS):
            if self._write():
                return None
            content = self._read()
            if content is None:
                continue
            holder = _parse(content)
            # without hard links it may be half written just now; no file's time tells, as clocks
            # can be set
            seen = unread.setdefault(content, time.monotonic())
            if holder is None and time.monotonic() - seen < PATIENCE:
                time.sleep(0.05)
                continue
            living = holder is not None and holder.alive and content not in _LEFT
            if holder is not None and living and not force:
                raise NoisySegError(self._refusal(holder))
            if self._take_over(content):
                self.restarted = holder is None or holder.process.where == "gone" or not boot()
                who = holder.words if holder else "an unknown process (its file was damaged)"
                how = "was broken by request" if force else "is gone, so its lock was taken over"
                return f"{self.path.parent.name} was held by {who}, which {how}"
            time.sleep(0.02)  # somebody else is taking it over just now
        raise NoisySegError(f"{self.path}: several programs want it at once; try again in a moment")

    def release(self) -> None:
        """Release it, unless somebody else has broken the lock meanwhile."""
        if self._mine is not None and self._read() == self._mine:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        elif self._mine is not None:
            _LEFT.add(self._mine)
        self._mine = None

    @property
    def held(self) -> bool:
        """Whether the file on disk still is ours (another may have broken it)."""
        return self._mine is not None and self._read() == self._mine

    def _refusal(self, holder: Holder) -> str:
        if holder.process.where == "here" and holder.process.pid == os.getpid():
            return f"{self.path.parent} is already open in this program"
        advice = "close it there, or open the project for reading"
        if holder.process.where == "elsewhere":
            advice += f"; if that machine is gone, delete {self.path}"
        return f"{self.path.parent} is being written by {holder.words}: {advice}"

    def _write(self) -> bool:
        """Become the holder where there is none."""
        return self._put(_move_new)

    def _put(self, move: Callable[[Path, Path], bool]) -> bool:
        """Write our lock aside and move it in: a reader never sees half of one."""
        content = _written(Process.of(os.getpid()))
        draft = self.path.with_name(f".{NAME}.{uuid.uuid4().hex}")
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                flush(file.fileno())
            won = move(draft, self.path)
            # after a power cut it tells that there was a writer
            with contextlib.suppress(OSError):
                sync(self.path.parent)
        except OSError as error:
            raise NoisySegError(
                f"cannot write in {self.path.parent} ({advice(error)}): make the folder "
                "writable or free space, or open the project for reading"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        if won:
            self._mine = content
        return won

    def _read(self) -> bytes | None:
        return _content(self.path)

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


def abandoned(folder: Path) -> bool:
    """Whether a folder was locked by a process of this machine that is gone."""
    return is_dead(folder / NAME)


def is_dead(path: Path) -> bool:
    """Whether a lock's file names a process of this machine, and that is gone."""
    holder = _parse(_content(path) or b"") if is_plain(path) else None
    return holder is not None and not holder.alive


def _claimed(claim: Path) -> bool:
    """Whether the claim is ours now; one that its maker died over is removed for the next try."""
    try:
        with claim.open("xb") as file:
            file.write(_written(Process.of(os.getpid())))
    except FileExistsError:
        with contextlib.suppress(OSError):
            if _abandoned(claim):
                claim.unlink()
        return False
    except OSError:
        return False
    return True


def _abandoned(claim: Path) -> bool:
    """Whether who made a claim is gone; of another machine's, or one not written yet, by its age.

    A time in the future says as little as one long past.
    """
    holder = _parse(_content(claim) or b"")
    if holder is not None and holder.process.where != "elsewhere":
        return not holder.process.runs
    return abs(time.time() - claim.stat().st_mtime) > CLAIM_SECONDS


def _written(process: Process) -> bytes:
    record = {**process.document(), "since": time.time(), "token": uuid.uuid4().hex}
    return json.dumps(record).encode()


def _content(path: Path) -> bytes | None:
    """The beginning of a plain file; None where there is none."""
    if os.path.lexists(path) and not is_plain(path):
        raise NoisySegError(f"{path} is not a plain file: delete it")
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError:
        return None


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
        since = float(record["since"])
        return Holder(Process.parse(record), since)
    # RecursionError: brackets without end
    except (ValueError, KeyError, TypeError, OverflowError, AttributeError, RecursionError):
        return None
