"""Learning in a child beside the window: `python -m ….worker.beside PROJECT OUT outlines|places`.

The child reads the project, which the window holds, and writes what it learned into a folder of
its own; whoever holds the lock uses it (`adapting.keep`, `places.keep`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Event
from typing import Literal

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.child.share import give_way
from napari_noisyseg.worker.lessons import adapting, places
from napari_noisyseg.worker.lessons.adapting import Lesson
from napari_noisyseg.worker.parent.process import PASSIVE, detached

LESSON, WEIGHTS = "lesson.json", "weights.safetensors"
GLANCE = 0.1
"""Seconds between two looks whether the child is done or is to be stopped."""
REFUSED = 3
"""The child's exit status where it has a word for a person."""


Subject = Literal["outlines", "places"]
LEARN = {"outlines": adapting.learn, "places": places.learn}
"""Outlines from decisions, or where nuclei lie from complete fields."""


def learn_beside(
    project: Path, stopping: Event, subject: Subject = "outlines"
) -> tuple[Lesson, bytes] | None:
    """What a child learned from the project of now; None where `stopping` was set before.

    Blocks, so call it out of the way. Raises NoisySegError with the child's word, JobError where
    it broke off.
    """
    with tempfile.TemporaryDirectory(prefix="noisyseg-") as scratch:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "napari_noisyseg.worker.lessons.beside", str(project),
             scratch, subject],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, **PASSIVE, "PYTHONUTF8": "1"}, cwd=scratch, **detached(),
        )  # fmt: skip
        words = _awaited(child, stopping)
        if words is None:
            return None
        if child.returncode:
            raise (NoisySegError if child.returncode == REFUSED else JobError)(
                f"learning did not work: {words[-300:]}"
            )
        return _read(Path(scratch))


def _awaited(child: subprocess.Popen[bytes], stopping: Event) -> str | None:
    """What a child said at its end; None where it was stopped."""
    while True:
        try:
            return child.communicate(timeout=GLANCE)[1].decode("utf-8", "replace").strip()
        except subprocess.TimeoutExpired:
            if stopping.is_set():
                child.kill()
                child.communicate()
                return None


def _read(folder: Path) -> tuple[Lesson, bytes]:
    lesson = Lesson(**bounded_json.read_record(folder / LESSON))
    return lesson, (folder / WEIGHTS).read_bytes()


def main(arguments: list[str]) -> int:
    """Learn, and write the lesson and the weights (empty where they are not to be used)."""
    path, out = map(Path, arguments[:2])
    give_way()
    try:
        with Project.open(path, write=False) as project:
            lesson, weights = LEARN[arguments[2]](project)
    except NoisySegError as error:
        print(error, file=sys.stderr)
        return REFUSED
    (out / WEIGHTS).write_bytes(weights)
    (out / LESSON).write_text(json.dumps(lesson.document()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
