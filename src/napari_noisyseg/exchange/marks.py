"""The mark on a file that says that this program wrote it, and which command.

Each command replaces what it wrote itself and nothing else: an export holds a person's work.
"""

from __future__ import annotations

import re
from typing import Literal

from napari_noisyseg import __version__

Command = Literal["export", "predict", "simulate"]
MADE_BY = f"napari-noisyseg {__version__}"
_MARK = re.compile(rb"napari-noisyseg [0-9][^\s\"<>]*(?: (predict|simulate))?")


def mark(command: Command) -> str:
    """What a file of a command says in its head."""
    return MADE_BY if command == "export" else f"{MADE_BY} {command}"


def command_of(head: bytes) -> Command | None:
    """The command that wrote a file with this head; None for a file of somebody else."""
    found = _MARK.search(head)
    if found is None:
        return None
    named: Command = "predict" if found[1] == b"predict" else "simulate"
    return named if found[1] else "export"
