"""Windows where there is no screen: a virtual one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from ..errors import NoisySegError

SCREEN = "-screen 0 1600x1000x24 +extension GLX"


def has_display() -> bool:
    """Whether a window can be shown: always on Windows and macOS, else by the environment."""
    linux = sys.platform.startswith("linux")
    return not linux or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def on_display(command: Sequence[str]) -> list[str]:
    """The command, under xvfb-run where there is no display. Raises where that is missing."""
    if has_display():
        return list(command)
    if shutil.which("xvfb-run") is None:
        raise NoisySegError("no display, and no virtual one: apt-get install xvfb xauth")
    return ["xvfb-run", "-a", "-s", SCREEN, *command]
