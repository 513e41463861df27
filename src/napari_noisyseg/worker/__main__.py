"""The child: `python -m napari_noisyseg.worker RUN_DIR`.

Reads the run's spec and snapshot, appends one event per line to events.jsonl, logs to log.txt,
watches for the STOP file. Writes nowhere but in the run's folder.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from napari_noisyseg.errors import NoisySegError, in_window
from napari_noisyseg.events import Doing, Event, Failed
from napari_noisyseg.store.processes import Process
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.child.share import give_way
from napari_noisyseg.worker.parent.process import LOG, PASSIVE, be_nice

BEAT = 2.0
OWNER = "owner"
"""note in the spec of a run on a cluster: the worker with which it ends"""


def main(arguments: list[str]) -> int:
    """Work on the run whose folder is the one argument; 0 when it finished or was stopped."""
    if len(arguments) != 1 or not (Path(arguments[0]) / "spec.json").is_file():
        print("usage: python -m napari_noisyseg.worker RUN_DIR (with spec.json)", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).absolute()
    _redirect(folder / LOG)
    for name, value in PASSIVE.items():
        os.environ.setdefault(name, value)
    run = Run(folder)
    if run.spec().get("yielding"):
        give_way()
    else:
        be_nice()
    run.claim(os.getpid())
    threading.Thread(target=_beat, args=(run,), daemon=True).start()
    return _work(run, _Stop(run))


class _Stop:
    """True once the STOP file is there or the system asked the process to end."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def __call__(self) -> bool:
        return self._asked or self._run.stop_requested


def _redirect(log: Path) -> None:
    """Send everything printed, by libraries as well, to the log."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _beat(run: Run) -> None:
    owner = run.spec().get(OWNER)
    while True:
        if owner is not None and not Process.parse(owner).runs:
            os._exit(1)
        # a full disk, or a folder that was moved: what matters of that shows where work is written
        with contextlib.suppress(OSError):
            run.beat()
        time.sleep(BEAT)


def _work(run: Run, stopping: _Stop) -> int:
    try:
        return _done(run, stopping)
    except OSError:
        traceback.print_exc()
        if run.dir.is_dir():
            raise
        # it must not be created again at its old place
        print(f"{run.dir} was moved or deleted: resume the run where it is now", file=sys.stderr)
        return 1


def _done(run: Run, stopping: _Stop) -> int:
    """Do the work and say how it ended; OSError where not even that can be said."""
    try:
        for event in _events(run, stopping):
            run.say(event)
    except NoisySegError as error:
        traceback.print_exc()
        run.say(Failed(str(error), window=in_window(error)))
        return 1
    except Exception as error:
        traceback.print_exc()
        run.say(_failure(error, run.dir))
        return 1
    return 0


def _events(run: Run, stopping: _Stop) -> Iterator[Event]:
    """What the run's spec asks for, as it goes on; each kind of work is imported when it comes."""
    spec = run.spec()
    if spec.get("slides"):
        yield Doing("looking for tissue")
        # the starter needs no PyTorch
        from napari_noisyseg.worker.child.slide import predict_slides

        yield from predict_slides(run.dir, stopping)
        return
    if spec.get("scheduler"):
        from napari_noisyseg.worker.cluster.carry import carry

        yield from carry(run.dir, stopping)
        return
    yield Doing("loading PyTorch")
    # torch and all that come only now: a broken installation becomes an event
    from napari_noisyseg.worker.child.execute import execute
    from napari_noisyseg.worker.parent.predicting import predict
    from napari_noisyseg.worker.parent.slides import PREDICTS

    yield from (predict if spec.get(PREDICTS) else execute)(run.dir, stopping)


def _failure(error: Exception, folder: Path) -> Failed:
    words = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return Failed(
            words,
            "free memory, or set a smaller batch_size, crop or width",
            remedy="Close other programs, or choose a smaller batch size, crop or width under "
            "“Settings of the method”.",
        )
    if isinstance(error, ImportError):
        return Failed(
            words,
            "see 'noisyseg doctor' for what is missing",
            remedy="A part of PyTorch is missing or does not fit: install it again.",
        )
    if isinstance(error, OSError):
        return Failed(words, "is the disk full, or the folder not writable?")
    return Failed(words, f"details in {folder / LOG}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
