"""Runs that take seconds, and waiting for them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import psutil

from napari_noisyseg.events import Event, Finished
from napari_noisyseg.store.runs import Run
from napari_noisyseg.store.spec import RunSpec
from napari_noisyseg.worker.parent import client

SIDE = 160
TINY: dict[str, Any] = {
    "preset": "small", "width": 16, "color_width": 2, "tile": 64, "tile_overlap": 0, "crop": 48,
    "batch_size": 2, "gamma": 1,
}  # fmt: skip
"""Settings with which an epoch takes a fraction of a second."""


def spec(**changes: Any) -> RunSpec:
    """A tiny SC-Net on the CPU."""
    config = {**TINY, **changes.pop("config", {})}
    values = {"method": "scnet", "device": "cpu", "threads": 1, "epochs": 2, **changes}
    return RunSpec(config=config, **values)


def end(run: Run) -> None:
    """Kill the run's process, if there still is one, and wait for it."""
    worker = run.worker()
    if worker is not None and client.is_alive(run):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(worker["pid"]))
            process.kill()
            process.wait(30)
    client.is_alive(run)


def wait(run: Run, until: Callable[[list[Event]], Any], seconds: float = 120) -> list[Event]:
    """The run's events once `until` holds of them; fails where the run ends before."""
    tail, events = run.tail(), []
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        alive = client.is_alive(run)
        events += tail.poll()
        if until(events):
            return events
        if not alive:
            break
        time.sleep(0.02)
    log = (run.dir / "log.txt").read_text("utf-8", "replace")
    raise AssertionError(f"{run.state()}: {events[-3:]}\n{log[-3000:]}")


def finished(events: list[Event]) -> bool:
    """Whether the last word is that the run has finished or was stopped."""
    return bool(events) and isinstance(events[-1], Finished)
