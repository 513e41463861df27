"""The process that reads hostile files: one after the other, a line of JSON in, a line out.

`python -m napari_noisyseg.benchmarks.faults.child`. Who asks watches its time and its memory.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import NoisySegError
from .readers import READERS

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.mkdir": 0, "os.remove": 0, "os.rmdir": 0, "os.truncate": 0, "os.rename": 1, "os.link": 1,
    "os.symlink": 1, "os.chmod": 0,
}  # fmt: skip
"""What Python tells its auditors, and which of the arguments is changed on the disk."""


WARM = "warm"
"""An argument: import all that readers import before the first file."""


class Guard:
    """Notes what is written outside the places where that may be."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] = ()
        self.outside: list[str] = []
        self.watching = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What Python is about to do."""
        if not self.watching:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes, os.PathLike)) and (flags or 0) & WRITING:
                self._note(path)
        elif event in CHANGES:
            folder = arguments[-1] if event != "os.truncate" else -1
            self._note(arguments[CHANGES[event]], folder)

    def _note(self, path: Any, folder: int | None = None) -> None:
        """A path that is written through links, or (in an open folder, or -1) changed itself."""
        self.watching = False
        try:
            place = Path(os.fsdecode(path))
            if folder is not None and folder >= 0:
                place = Path(f"/proc/self/fd/{folder}").resolve() / place
            real = place.resolve() if folder is None else place.parent.resolve() / place.name
            if not str(real).startswith((*self.allowed, "/dev/")):
                self.outside.append(str(real))
        except (OSError, ValueError, TypeError, RuntimeError):
            pass
        finally:
            self.watching = True


def main() -> None:
    """Answer until there are no more questions."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    if WARM in sys.argv:
        _warm_up()
    guard = Guard()
    sys.addaudithook(guard)
    print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_tried(guard, **asked)), file=answers, flush=True)


def _warm_up() -> None:
    """Import what readers import, so that no file pays for it."""
    import onnxruntime
    import torch

    from ... import registry
    from ...training import checkpoint, predict
    from ...worker.adoption import adopt

    registry.load("supervised")
    del onnxruntime, torch, checkpoint, predict, adopt


def _tried(guard: Guard, reader: str, path: str, out: str) -> dict[str, Any]:
    """What came of one file."""
    places = (out, Path(path).parent, tempfile.gettempdir())
    guard.allowed = tuple(os.path.realpath(place) for place in places)
    guard.outside = []
    _forget_peak()
    began = time.monotonic()
    guard.watching = True
    outcome, words = "read", ""
    try:
        _reader(reader)(Path(path), Path(out))
    except NoisySegError as error:
        outcome, words = "refused", str(error)
    except MemoryError:
        outcome, words = "memory", "MemoryError"
    # whatever is no word for a person is a fault of ours
    except BaseException:
        outcome, words = "internal", traceback.format_exc()
    guard.watching = False
    return {
        "outcome": outcome, "words": words[-4000:], "seconds": time.monotonic() - began,
        "peak": _peak(), "outside": guard.outside[:5],
    }  # fmt: skip


def _reader(name: str) -> Callable[[Path, Path], None]:
    """One of `READERS`, or a function of another module (`module:function`)."""
    module, _, function = name.partition(":")
    if not function:
        return READERS[name]
    found: Callable[[Path, Path], None] = getattr(importlib.import_module(module), function)
    return found


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Bytes that this process had at most since `_forget_peak`; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    main()
