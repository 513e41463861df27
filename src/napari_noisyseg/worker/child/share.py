"""The processor's share of a child that trains beside a window: what is free, and never nothing.

Linux: a governor in the child watches how much it runs and how long it waits, and moves it on a
ladder. On the lowest rung everything else goes first, which is best for the window; where other
programs keep the child from a third of a core it climbs, only as far as it must, and never above
them. Two things differ from rung to rung: the niceness of the child's session, which counts first
where Linux shares the processor out among sessions (autogroup, see sched(7)) and which anybody may
move both ways; and the class of its threads: on the lowest SCHED_IDLE, for those who may leave it
again, else SCHED_BATCH. A thread's own nice value is no rung: an ordinary program cannot take it
back, so it is set once, to what still gives a third of a core.

Windows: a class below the window's, whose threads the system lifts when they have long waited.
macOS: a modest nice value.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

NICE, NICE_ON_MACOS = 3, 5
"""Of a thread: 3 is a third of a core beside one busy program per core."""
LADDER = (10, 7, 5, 3, 1, 0)
"""Niceness of the child's session, rung by rung; each is worth up to twice the one before."""
LEAST, AMPLE = 0.35, 0.75
"""Shares of a core: below the first it climbs, above the second it may go down."""
WANTS = 0.2
"""Of a core: whoever asks for less is at rest."""
BEAT = 1.0
CALM, LONGEST_CALM = 3, 60
"""Measurements with ample share before it goes down; more where it had to climb back."""
AUTOGROUP, TASKS = Path("/proc/self/autogroup"), Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Standing:
    """The rung; for how many measurements all was ample; how many it takes; where it came from."""

    rung: int = 0
    calm: int = 0
    patience: int = CALM
    came_down: bool = False


def judge(now: Standing, ran: float, waited: float) -> Standing:
    """Where to stand after a measurement: seconds that the child ran, and waited, per second."""
    if ran < LEAST and waited > ran / 2 and ran + waited > WANTS:
        # a step down that had to be taken back is tried less often
        patience = min(2 * now.patience, LONGEST_CALM) if now.came_down else now.patience
        return Standing(min(now.rung + 1, len(LADDER) - 1), 0, patience)
    if ran < AMPLE and waited > ran / 10:
        return replace(now, calm=0)
    if now.calm + 1 < now.patience or now.rung == 0:
        return replace(now, calm=now.calm + 1)
    return Standing(now.rung - 1, 0, now.patience, came_down=True)


def give_way() -> None:
    """Let the window go first from now on; on Linux a thread keeps watch over our share."""
    process = psutil.Process()
    if sys.platform == "win32":
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    elif sys.platform == "linux":
        _lower_threads()
        returns = _returns_from_idle()
        threading.Thread(target=_govern, args=(returns,), daemon=True, name="share").start()
    elif process.nice() < NICE_ON_MACOS:
        process.nice(NICE_ON_MACOS)


def stand(rung: int, returns: bool) -> None:
    """Take a rung with every thread but the one that calls; `returns`: SCHED_IDLE can be left."""
    # in another's session we have no say, and some systems forbid it
    if os.getsid(0) == os.getpid() and AUTOGROUP.exists():
        with contextlib.suppress(OSError):
            AUTOGROUP.write_text(str(LADDER[rung]), "ascii")
    # higher up not even SCHED_BATCH: threads that wait for each other, as torch's do, then lose a
    # turn of every other program at each meeting, and get a tenth of what they are due
    aside = os.SCHED_IDLE if returns else os.SCHED_BATCH
    policy = aside if rung == 0 else os.SCHED_OTHER
    for thread in set(_threads()) - {threading.get_native_id()}:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(thread, policy, os.sched_param(0))


def _lower_threads() -> None:
    """Linux keeps a nice value for each thread, and libraries have started some already."""
    for thread in _threads():
        with contextlib.suppress(OSError):
            if os.getpriority(os.PRIO_PROCESS, thread) < NICE:
                os.setpriority(os.PRIO_PROCESS, thread, NICE)


def _returns_from_idle() -> bool:
    """Whether SCHED_IDLE can be left here, tried on a thread that is thrown away."""
    found: list[bool] = []

    def attempt() -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            found.append(True)

    trial = threading.Thread(target=attempt)
    trial.start()
    trial.join()
    return bool(found)


def _govern(returns: bool) -> None:
    """Watch and move; this thread itself stays on SCHED_OTHER, else it would starve as well."""
    stand(0, returns)
    standing, before = Standing(), _Reading.take()
    while True:
        time.sleep(BEAT)
        after = _Reading.take()
        found = judge(standing, *after.since(before))
        if found.rung != standing.rung:
            stand(found.rung, returns)
        standing, before = found, after


@dataclass(frozen=True, slots=True)
class _Reading:
    """Clocks in seconds: the wall's, the processor's, and each thread's of waiting for it."""

    wall: float
    ran: float
    waits: dict[int, float]

    @classmethod
    def take(cls) -> _Reading:
        return cls(time.monotonic(), time.process_time(), _waits())

    def since(self, before: _Reading) -> tuple[float, float]:
        """How much ran and waited per second; without a clock of waiting, we want a core."""
        seconds = max(self.wall - before.wall, 1e-3)
        ran = (self.ran - before.ran) / seconds
        if not self.waits:
            return ran, max(0.0, 1 - ran)
        both = self.waits.keys() & before.waits.keys()
        return ran, sum(self.waits[t] - before.waits[t] for t in both) / seconds


def _threads() -> list[int]:
    return [int(entry.name) for entry in TASKS.iterdir()]


def _waits() -> dict[int, float]:
    """How long each thread has waited for the processor since it began; {} where not told."""
    found: dict[int, float] = {}
    for thread in _threads():
        with contextlib.suppress(OSError, ValueError, IndexError):
            told = (TASKS / str(thread) / "schedstat").read_text("ascii").split()
            found[thread] = int(told[1]) / 1e9
    return found
