"""A worker for a scheduler: `noisyseg cluster worker ADDRESS`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.worker.cluster import offers
from napari_noisyseg.worker.cluster.address import Scheduler
from napari_noisyseg.worker.cluster.connect import connected
from napari_noisyseg.worker.cluster.far import THREADS
from napari_noisyseg.worker.cluster.security import security
from napari_noisyseg.worker.parent.process import PASSIVE

PATIENCE = 600
"""Seconds for which a worker waits for a scheduler that went away."""


def serve(
    scheduler: Scheduler, threads: int | None, name: str | None, say: Callable[[str], None]
) -> None:
    """Work for a scheduler until it ends or we are interrupted; one task at a time.

    threads: CPU threads of a task (None: the physical cores). Raises NoisySegError where the
    scheduler does not answer or has other versions than we.
    """
    # the scheduler must have this program too: it reads the tasks that pass through it
    with connected(scheduler) as client:
        _check_scheduler(scheduler, client)
    count = threads or _cores()
    gpu, torch = offers.gpu(), offers.torch_version()
    many = "" if count == 1 else "s"
    say(
        f"works for {scheduler.address}: {gpu or 'no GPU'}, {count} thread{many}, "
        f"{f'PyTorch {torch}' if torch else 'no PyTorch: it cannot train'}. Ctrl+C ends it."
    )
    asyncio.run(_serve(scheduler, count, threads is not None, name))


def _cores() -> int:
    import psutil

    return psutil.cpu_count(logical=False) or psutil.cpu_count() or 1


def _check_scheduler(scheduler: Scheduler, client: Any) -> None:
    try:
        client.run_on_scheduler(offers.torch_version)
    except Exception as error:
        # what a scheduler cannot load arrives as Dask's own words
        if "No module named" not in str(error):
            raise
        raise NoisySegError(
            f"{scheduler.address}: the scheduler lacks this program: start it where "
            "napari-noisyseg is installed ('dask scheduler')"
        ) from error


async def _serve(scheduler: Scheduler, threads: int, fixed: bool, name: str | None) -> None:
    from distributed import Nanny

    # many small processors' threads that spin would slow each other down
    environment = {**PASSIVE, "OMP_NUM_THREADS": str(threads), "PYTHONSAFEPATH": "1"}
    if fixed:
        environment[THREADS] = str(threads)
    logging.getLogger("distributed").setLevel(logging.ERROR)
    os.environ.update(PASSIVE)
    async with Nanny(
        scheduler.address, nthreads=1, name=name, env=environment, security=security(
            scheduler, "worker"
        ), death_timeout=PATIENCE, dashboard_address=None, dashboard=False,
    ) as nanny:  # fmt: skip
        await nanny.finished()
