"""The parent's side of making a slide's coarser levels: start the child, hear how it ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from napari_noisyseg.worker.parent.process import PASSIVE, detached

LONGEST = 500
"""Letters of the child's last word."""


class Making:
    """A child that makes the coarser levels of an image; it outlives us."""

    def __init__(self, project: Path, image: str) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `leave`)
        self._child = subprocess.Popen(
            [
                sys.executable, "-P", "-m", "napari_noisyseg.worker.child.coarser", str(project),
                image,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said,
            env={**os.environ, **PASSIVE, "PYTHONUTF8": "1"}, cwd=tempfile.gettempdir(),
            **detached(),
        )  # fmt: skip

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self._child.poll() is not None

    def words(self) -> str:
        """Why it did not work, once it has ended; "" where it did."""
        if not self._child.returncode:
            return ""
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][-LONGEST:] if lines else "it was killed"

    def leave(self) -> None:
        """Let it go on by itself."""
        self._said.close()
        if self._child.poll() is None:
            # outliving us is what it is for: no warning
            self._child.returncode = 0
