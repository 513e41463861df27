"""How much of the processor a run gets, seen from outside: what it waits for when nothing comes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from napari_noisyseg.store.runs import Run

LITTLE = 0.3
"""processors' worth of time below which a run hardly moves"""
BUSY = 0.9
"""share of all processors' time in use, from which on others keep a run from its own"""
BETWEEN = 2.5
"""seconds between two readings, at least: shorter ones tell of nothing but chance"""


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds since some moment: on the clock, of the run's work, of all processors' work and of
    all their time.
    """

    clock: float
    run: float
    worked: float
    whole: float


def starved(before: Reading, after: Reading) -> bool:
    """Whether a run got hardly any time between two readings, and others took it.

    A run that waits for a disk or a graphics card gets little as well, but leaves processors idle.
    """
    passed, whole = after.clock - before.clock, after.whole - before.whole
    if passed <= 0 or whole <= 0:
        return False
    share = (after.run - before.run) / passed
    return share < LITTLE and (after.worked - before.worked) / whole >= BUSY


def read(run: Run, clock: float) -> Reading | None:
    """What a run has used so far; None where its process is not of this machine, or is gone."""
    worker = run.worker()
    if worker is None or worker.get("host") != socket.gethostname():
        return None
    try:
        used = psutil.Process(int(worker["pid"])).cpu_times()
    except (psutil.Error, KeyError, TypeError, ValueError):
        return None
    times = psutil.cpu_times()
    # on Linux a guest's time is counted in that of its host as well
    whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    worked = whole - times.idle - getattr(times, "iowait", 0.0)
    return Reading(clock, used.user + used.system, worked, whole)


@dataclass(slots=True)
class Processor:
    """Says of one run whether it waits for the processor; to be asked every second or so."""

    run: Run
    clock: Callable[[], float] = time.monotonic
    waits: bool = False
    _last: Reading | None = field(default=None)

    def look(self) -> bool:
        """Whether other programs keep the run from working, by the last seconds."""
        now = self.clock()
        if self._last is not None and now - self._last.clock < BETWEEN:
            return self.waits
        last, self._last = self._last, read(self.run, now)
        self.waits = last is not None and self._last is not None and starved(last, self._last)
        return self.waits
