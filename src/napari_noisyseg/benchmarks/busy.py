"""Other programs that want the whole machine, as a person's laptop has them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

SPIN = "while True: pass"


@contextmanager
def busy(programs: int | None = None) -> Iterator[list[int]]:
    """Programs that never rest, one per core if not told, each in its own session; their ids."""
    running = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", SPIN], start_new_session=sys.platform != "win32"
        )
        for _ in range(programs or psutil.cpu_count() or 1)
    ]
    try:
        yield [program.pid for program in running]
    finally:
        for program in running:
            program.kill()
            program.wait()


def seconds_of(process: int) -> float:
    """The processor time that a process has used so far."""
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)
