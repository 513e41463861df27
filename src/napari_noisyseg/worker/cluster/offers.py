"""What the workers of a scheduler offer, and which of them a run goes to."""

from __future__ import annotations

import asyncio
import functools
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from napari_noisyseg import __version__
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.worker.cluster.address import Scheduler
from napari_noisyseg.worker.cluster.connect import LostError, connected

if TYPE_CHECKING:
    from distributed import Client

PROBE = (
    "import torch; c = torch.cuda.is_available(); m = torch.backends.mps.is_available();"
    "print(torch.cuda.get_device_name(0) if c else 'Apple MPS' if m else '')"
)
PROBE_SECONDS = 60
INSTALL = "pip install 'napari-noisyseg[train,cluster]' there"


@dataclass(frozen=True, slots=True)
class Offer:
    """A worker: its address and host, what is installed there, how many tasks it has already.

    torch: its version, "" for none; gpu: its name, "" for none.
    """

    address: str
    host: str
    package: str
    torch: str
    gpu: str
    threads: int
    pid: int
    busy: int = 0

    def words(self) -> str:
        """In a line for a person."""
        many = "" if self.threads == 1 else "s"
        with_torch = f"PyTorch {self.torch}" if self.torch else "no PyTorch"
        return f"{self.host}: {self.gpu or 'no GPU'}, {self.threads} thread{many}, {with_torch}"


async def offer(dask_worker: Any) -> dict[str, Any]:
    """Runs on a worker: what it offers, as plain values."""
    return {
        "host": socket.gethostname(),
        "package": __version__,
        "torch": torch_version(),
        "gpu": await asyncio.to_thread(gpu),
        "threads": int(dask_worker.state.nthreads),
        "pid": os.getpid(),
    }


def torch_version() -> str:
    """The version of torch that is installed here; "" for none."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""


@functools.cache
def gpu() -> str:
    """The name of the GPU that torch finds here; "" for none. Looked up in a child, once."""
    if not torch_version() or not _may_have_gpu():
        return ""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROBE], capture_output=True, text=True,
            timeout=PROBE_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _may_have_gpu() -> bool:
    from napari_noisyseg.annotation.check import GPU_DRIVERS

    return platform.system() != "Linux" or any(map(os.path.exists, GPU_DRIVERS))


def offers(scheduler: Scheduler, client: Client) -> list[Offer]:
    """What every worker of our version offers. Raises NoisySegError for none.

    Where nobody works at all it is a LostError: somebody may come.
    """
    told: Mapping[str, Any] = client.run(offer, on_error="return")
    if not told:
        raise LostError(
            f"{scheduler.address} has no worker: start one with 'noisyseg cluster worker "
            f"{scheduler.address}'",
            window=f"{scheduler.address} answers, but no machine works for it at the moment.",
        )
    tasks = client.processing()
    found = [
        Offer(address, busy=len(tasks.get(address, ())), **values)
        for address, values in told.items()
        if not isinstance(values, BaseException)
    ]
    if not found:
        raise NoisySegError(f"{scheduler.address}: its workers lack this program: {INSTALL}")
    same = [each for each in found if each.package == __version__]
    if not same:
        raise NoisySegError(
            f"{scheduler.address}: its workers have napari-noisyseg {found[0].package} and this "
            f"machine {__version__}: install the same on both"
        )
    return same


def able(scheduler: Scheduler, found: Collection[Offer], device: str) -> list[Offer]:
    """Workers that can train on the device, the best first. Raises NoisySegError for none."""
    trained = [each for each in found if each.torch]
    if not trained:
        raise NoisySegError(
            f"{scheduler.address}: no worker has PyTorch: {INSTALL}",
            window=f"No machine of {scheduler.address} has PyTorch, which training needs.",
        )
    if device in ("cuda", "mps"):
        apple = device == "mps"
        trained = [each for each in trained if each.gpu and (each.gpu == "Apple MPS") == apple]
    if not trained:
        raise NoisySegError(
            f"{scheduler.address}: no worker has a GPU for --device {device}; use --device auto",
            window=f"No machine of {scheduler.address} has that graphics card; choose “the "
            "fastest available”.",
        )
    wants_gpu = device != "cpu"
    return sorted(trained, key=lambda o: (not (wants_gpu and o.gpu), o.busy, -o.threads))


def look(scheduler: Scheduler, device: str) -> list[Offer]:
    """Connect, and see who can train there, the best first. Raises NoisySegError for nobody."""
    with connected(scheduler) as client:
        return able(scheduler, offers(scheduler, client), device)
