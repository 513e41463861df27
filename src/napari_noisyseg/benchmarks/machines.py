"""A scheduler and workers on this machine, each a process; over tls:// where asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ..errors import JobError
from ..worker.cluster.address import Scheduler
from ..worker.cluster.connect import connected
from ..worker.cluster.offers import Offer, offers
from ..worker.cluster.security import CA, CERT, KEY

START_SECONDS = 120.0


@dataclass
class Machines:
    """A running scheduler; workers come and go."""

    scheduler: Scheduler
    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add(self, count: int) -> list[Offer]:
        """Start workers of one thread each; what all of them offer, once they are there."""
        wanted = len(self.running) + count
        for _ in range(count):
            self.running.append(
                subprocess.Popen(
                    [
                        sys.executable, "-P", "-m", "napari_noisyseg", "cluster", "worker",
                        self.scheduler.address, "--threads", "1",
                    ],
                    env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
        return self.wait_for(wanted)

    def wait_for(self, count: int) -> list[Offer]:
        """What the workers offer, once there are so many."""
        limit = time.monotonic() + START_SECONDS
        with connected(self.scheduler) as client:
            client.wait_for_workers(count, timeout=limit - time.monotonic())
            return offers(self.scheduler, client)

    def end(self) -> None:
        """End the workers and what they started."""
        for process in self.running:
            end(process)
        self.running.clear()


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.kill()
    for each in family:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


@contextmanager
def machines(workers: int = 0, encrypted: bool = False, port: int = 0) -> Iterator[Machines]:
    """A scheduler with so many workers; over tls:// where encrypted, with certificates of its own.

    port: where it listens, 0 for any that is free.

    Inside, this process has the certificates in its environment.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="noisyseg-")))
        files = certificates(folder) if encrypted else {}
        stack.enter_context(_set(files))
        environment = {**os.environ, "PYTHONUTF8": "1"}
        process, address = _scheduler(folder, files, environment, port)
        stack.callback(end, process)
        made = Machines(Scheduler.of(address), process, environment)
        stack.callback(made.end)
        if workers:
            made.add(workers)
        yield made


def certificates(folder: Path) -> dict[str, str]:
    """A certificate that trusts itself, and its key, as files; by name of environment variable."""
    from distributed.security import Security

    try:
        made = Security.temporary()
    except ImportError as error:
        raise JobError("certificates are made by cryptography: pip install cryptography") from error
    files = {CA: "ca.pem", CERT: "cert.pem", KEY: "key.pem"}
    texts = {CA: made.tls_ca_file, CERT: made.tls_client_cert, KEY: made.tls_client_key}
    for name, file in files.items():
        (folder / file).touch(mode=0o600)
        (folder / file).write_text(texts[name], "ascii")
    return {name: str(folder / file) for name, file in files.items()}


def _scheduler(
    folder: Path, files: dict[str, str], environment: dict[str, str], port: int
) -> tuple[subprocess.Popen[bytes], str]:
    told = folder / "scheduler.json"
    secure: list[str] = []
    if files:
        secure = ["--protocol", "tls", "--tls-ca-file", files[CA], "--tls-cert", files[CERT],
                  "--tls-key", files[KEY]]  # fmt: skip
    process = subprocess.Popen(
        [
            sys.executable, "-P", "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
            "--port", str(port), "--no-dashboard", "--no-jupyter", "--scheduler-file", str(told),
            *secure,
        ],
        env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit and process.poll() is None:
        if told.is_file():
            try:
                return process, str(json.loads(told.read_text("utf-8"))["address"])
            except ValueError:  # still being written
                pass
        time.sleep(0.1)
    end(process)
    raise JobError("the scheduler did not start: is dask[distributed] installed?")


@contextmanager
def _set(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
