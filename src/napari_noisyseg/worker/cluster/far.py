"""A run on a worker: what the machine at home asks of it, one short call after the other.

The run's folder lies in the worker's scratch folder and is trained by the same child as at home.
Only `hold` takes a task's place, so that the scheduler knows that the worker is busy; the others
are answered beside it. Files travel in pieces: no message is larger than `PIECE`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, ParamSpec, TypedDict, TypeVar

import psutil

from napari_noisyseg import regular_file
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.store.processes import Process
from napari_noisyseg.store.runs import EVENTS, Run
from napari_noisyseg.store.spec import RunSpec, write_spec

PIECE = 8 * 2**20
"""Bytes of a file that travel at a time."""
UNHEARD = 3600.0
"""Seconds after which a run that nobody asks for is stopped; it then has a checkpoint."""
KEPT = 86400.0
"""Seconds for which the folder of an ended run waits to be fetched."""
LOOKS = 0.2
ROOT = "noisyseg-runs"
THREADS = "NOISYSEG_THREADS"
"""Set by `noisyseg cluster worker --threads`: what a training may use."""
_TOKEN = re.compile(r"[0-9a-f]{16}/[0-9A-Za-z-]{1,64}")
_heard: dict[str, float] = {}

P = ParamSpec("P")
R = TypeVar("R")


class News(TypedDict):
    """What is new of a run: lines of its events, and whether its child began and ended."""

    lines: bytes
    begun: bool
    ended: bool


def _told(call: Callable[P, R]) -> Callable[P, R]:
    """Errors of this machine's disk in words that say where: at home they would look like ours."""

    @functools.wraps(call)
    def wrapped(*words: P.args, **more: P.kwargs) -> R:
        try:
            return call(*words, **more)
        except OSError as error:
            where = f"on the worker {socket.gethostname()}"
            raise JobError(f"{where}: {regular_file.advice(error)}") from error

    return wrapped


def folder(worker: Any, job: str) -> Path:
    """The folder of a job (`TOKEN/RUN`) in the worker's scratch folder."""
    if not _TOKEN.fullmatch(job):
        raise NoisySegError(f"{job!r} names no run")
    return Path(worker.local_directory) / ROOT / job


@_told
def put(job: str, name: str, offset: int, data: bytes, dask_worker: Any) -> None:
    """Write a piece of one file; the first makes its folder."""
    target = _inside(folder(dask_worker, job), name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb" if offset == 0 else "ab") as file:
        if file.tell() != offset:
            raise NoisySegError(f"a piece of {name} is missing before byte {offset}")
        file.write(data)


def _inside(root: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(p in ("..", ".") or "\\" in p for p in parts):
        raise NoisySegError(f"{name!r} leaves the run's folder")
    return root.joinpath(*parts)


@_told
def order(job: str, spec: dict[str, Any], seconds: float | None, dask_worker: Any) -> None:
    """Write what the run is to do; the last thing that is sent. seconds: left of its time."""
    asked = RunSpec.model_validate(spec)
    threads = asked.threads or int(os.environ.get(THREADS) or 0) or None
    # the clocks of two machines differ: a deadline is told as the time that is left
    deadline = None if seconds is None else time.time() + seconds
    changed = asked.model_copy(update={"threads": threads, "deadline": deadline})
    owner = Process.of(os.getpid()).document()
    notes = {"predicts": True} if spec.get("predicts") else {}
    write_spec(folder(dask_worker, job), changed, created=time.time(), owner=owner, **notes)
    _sweep(Path(dask_worker.local_directory) / ROOT)


def hold(job: str) -> None:
    """The task: start the run's child and stay until it has ended."""
    from distributed import get_worker

    from napari_noisyseg.worker.parent import process

    run = Run(folder(get_worker(), job))
    spec = RunSpec.model_validate(run.spec())
    _heard[job] = time.monotonic()
    process.launch(run, spec.threads)
    while run.alive():
        process.reap(run)
        if time.monotonic() - _heard[job] > UNHEARD:
            (run.dir / "STOP").touch()
        time.sleep(LOOKS)


@_told
def news(job: str, offset: int, dask_worker: Any) -> News:
    """What the run has said from byte `offset` of its events, at most a piece."""
    run = Run(folder(dask_worker, job))
    if not run.dir.is_dir():
        raise NoisySegError("the worker has lost the run's folder")
    _heard[job] = time.monotonic()
    begun = run.worker() is not None
    ended = begun and not run.alive()
    lines = b""
    with contextlib.suppress(FileNotFoundError), (run.dir / EVENTS).open("rb") as file:
        file.seek(offset)
        lines = file.read(PIECE)
    return {"lines": lines, "begun": begun, "ended": ended}


@_told
def held(job: str, under: str, dask_worker: Any) -> dict[str, int]:
    """Regular files of the run below `under` (or that file), with their sizes in bytes."""
    root = folder(dask_worker, job)
    top = _inside(root, under)
    found = [top] if top.is_file() else sorted(top.rglob("*"))
    return {
        path.relative_to(root).as_posix(): path.stat().st_size
        for path in found
        if path.is_file() and not path.is_symlink()
    }


@_told
def take(job: str, name: str, offset: int, dask_worker: Any) -> bytes:
    """A piece of one of its files."""
    with regular_file.opened(_inside(folder(dask_worker, job), name)) as file:
        file.seek(offset)
        return file.read(PIECE)


@_told
def stop(job: str, dask_worker: Any) -> None:
    """Ask the run to stop at its next step."""
    (folder(dask_worker, job) / "STOP").touch()


@_told
def look(job: str, image: str, dask_worker: Any) -> None:
    """Say which image its previews should show."""
    (folder(dask_worker, job) / "look.txt").write_text(image, "utf-8")


@_told
def clear(job: str, dask_worker: Any) -> None:
    """Remove the run's folder; its child, if it still lives, is ended."""
    target = folder(dask_worker, job)
    run = Run(target)
    worker = run.worker()
    if worker is not None and run.alive():
        with contextlib.suppress(psutil.Error):
            psutil.Process(int(worker["pid"])).kill()
    _heard.pop(job, None)
    shutil.rmtree(target.parent, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Remove the folders of runs that nobody came for."""
    for each in root.iterdir():
        newest = max((p.stat().st_mtime for p in (each, *each.iterdir())), default=0.0)
        alive = any(Run(p).alive() for p in each.iterdir() if p.is_dir())
        if not alive and time.time() - newest > KEPT:
            shutil.rmtree(each, ignore_errors=True)
