"""Starting the child: detached, niced, with threads that wait quietly, on every system."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from napari_noisyseg.store.runs import Run

LOG = "log.txt"
KILL = 9
"""The number of the signal that no process can answer."""
PASSIVE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
"""Threads that spin between operations would make the window that people work in stutter."""

_children: dict[Path, subprocess.Popen[bytes]] = {}
_leaving: list[subprocess.Popen[bytes]] = []
"""Children that have said their last word and are about to end, of runs that go on in another"""
_codes: dict[Path, int] = {}


def launch(run: Run, threads: int | None = None) -> None:
    """Start `python -m napari_noisyseg.worker RUN_DIR`; returns at once.

    The child has a session of its own and outlives us. `-P` keeps the current folder out of its
    import path, so that a stranger's project cannot slip it a module.
    """
    environment = {**os.environ, **PASSIVE, "PYTHONUTF8": "1"}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    with (run.dir / LOG).open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "napari_noisyseg.worker", str(run.dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=tempfile.gettempdir(),
            close_fds=True,
            **detached(),
        )
    if (before := _children.pop(run.dir, None)) is not None:
        _leaving.append(before)
    _children[run.dir] = child
    run.claim(child.pid)


def detached() -> dict[str, Any]:
    """How this system starts a process that is not ours to take down."""
    if sys.platform == "win32":
        flags = (
            subprocess.CREATE_NEW_PROCESS_GROUP
            | subprocess.CREATE_NO_WINDOW
            | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        )
        return {"creationflags": flags}
    return {"start_new_session": True}


def be_nice() -> None:
    """Let everything else on the machine go first (beside a window `share.give_way` instead)."""
    process = psutil.Process()
    if sys.platform == "win32":
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    elif process.nice() < 10:
        process.nice(10)


def reap(run: Run) -> None:
    """Let the system forget a child of ours that has ended (else it lingers as a zombie)."""
    _leaving[:] = [child for child in _leaving if child.poll() is None]
    child = _children.get(run.dir)
    if child is not None and (code := child.poll()) is not None:
        _codes[run.dir] = code
        del _children[run.dir]


def was_killed(run: Run) -> bool:
    """Whether a dead child was killed at a blow, as the system does where memory runs out.

    Of a child of another program, or of an earlier start of this one, only its silence tells.
    """
    reap(run)
    # 0: somebody else took the code; a run that ended well has a last word
    code = _codes.get(run.dir, 0)
    return code == -KILL if code else not has_log(run)


def has_log(run: Run) -> bool:
    """Whether the run's log says anything."""
    log = run.dir / LOG
    return log.is_file() and log.stat().st_size > 0


@atexit.register
def _let_go() -> None:
    """Leave the children to themselves without a warning: outliving us is what they are for."""
    for child in [*_children.values(), *_leaving]:
        if child.poll() is None:
            child.returncode = 0
