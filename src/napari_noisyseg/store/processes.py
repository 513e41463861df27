"""Which process: known by the boot it belongs to and its start, not by a clock that can be set."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import psutil

START_TOLERANCE = 2.0
"""Seconds by which a start on the clock may read differently, where nothing better is known."""
LARGEST_PID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Process:
    """A process of some machine.

    started: on the clock (Unix seconds). boot: that machine's id of its boot, space: its process
    numbers' space (containers have their own), ticks: the start, counted from the boot; "" and -1
    where the system does not tell.
    """

    host: str
    pid: int
    started: float
    boot: str = ""
    space: str = ""
    ticks: int = -1

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this number here and now."""
        found = _stat(pid)
        return cls(
            socket.gethostname(), pid, started(pid) or 0.0, boot(), space(),
            -1 if found is None else found[1],
        )  # fmt: skip

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Self:
        """Undo of `document`; ValueError, KeyError or TypeError where the record is damaged."""
        pid, began = int(record["pid"]), float(record["started"])
        if not 0 <= pid <= LARGEST_PID or not math.isfinite(began):
            raise ValueError(f"process {pid} of {began}")
        host, boot, space = (str(record.get(k, ""))[:300] for k in ("host", "boot", "space"))
        return cls(host, pid, began, boot, space, int(record.get("ticks", -1)))

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @property
    def where(self) -> Literal["here", "elsewhere", "gone"]:
        """Whether it can be looked for here; gone: it was of this machine before a restart."""
        same = self.host == socket.gethostname()
        if not self.boot or not boot():
            return "here" if same else "elsewhere"
        if self.boot != boot():
            return "gone" if same else "elsewhere"
        return "here" if self.space == space() else "elsewhere"

    @property
    def runs(self) -> bool:
        """Whether that very process runs here; a reused number does not count."""
        if self.where != "here":
            return False
        if self.ticks < 0:
            now = started(self.pid)
            return now is not None and abs(now - self.started) <= START_TOLERANCE
        found = _stat(self.pid)
        if found is None:
            return _hidden(self.pid)
        state, ticks = found
        return state not in "ZXx" and ticks == self.ticks


def started(pid: int) -> float | None:
    """Start time of a running process (Unix seconds), None where there is none (or a zombie)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except (psutil.NoSuchProcess, psutil.AccessDenied, ValueError, OverflowError):
        return None


@cache
def boot() -> str:
    """The id of this boot of the machine; "" where the system gives none (all but Linux).

    Elsewhere a process's start is written down when it starts, and no clock step changes it.
    """
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    return ""


@cache
def space() -> str:
    """The space of process numbers that this process lives in; "" where there is but one."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def _stat(pid: int) -> tuple[str, int] | None:
    """State and start (clock ticks since the boot) of a process; None where Linux has none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        # the name, in brackets, may hold anything
        fields = text.rpartition(")")[2].split()
        return fields[0], int(fields[19])
    return None


def _hidden(pid: int) -> bool:
    """Whether there is such a process that /proc does not show us (another user's, `hidepid`)."""
    if os.name != "posix" or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        pass
    return False
