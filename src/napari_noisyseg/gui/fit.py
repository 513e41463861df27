"""Whether this napari and this Qt are ones that the panel works with, said before it is opened."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from importlib.util import find_spec

from napari_noisyseg.errors import NoisySegError

OLDEST = (0, 9)
OF_QT5 = ("PyQt5", "PySide2")
BINDINGS = (*OF_QT5, "PyQt6", "PySide6")
"""in the order in which qtpy looks for them"""


def check() -> None:
    """Raise NoisySegError, with how to mend it, where the panel cannot work."""
    words = trouble(napari_version(), binding())
    if words:
        raise NoisySegError(words)


def trouble(napari: str | None, qt: str | None) -> str | None:
    """What is wrong with this version of napari or this binding of Qt; None where nothing is."""
    if napari is None:
        return 'NoisySeg needs napari: pip install "napari-noisyseg[napari]"'
    numbers = tuple(int(n) for n in re.findall(r"\d+", napari)[:2])
    if numbers < OLDEST:
        return (
            f"NoisySeg needs napari 0.9, and this is napari {napari}: "
            'pip install --upgrade "napari>=0.9,<0.10", and start napari again'
        )
    if qt in OF_QT5:
        return (
            f"NoisySeg needs Qt 6, and this napari runs on {qt}: pip uninstall {qt}; "
            'pip install "napari-noisyseg[napari]"; and start napari again (where both are to '
            "stay, start it with QT_API=pyside6 or QT_API=pyqt6)"
        )
    return None


def napari_version() -> str | None:
    """The version of the napari that runs, or of the one installed; None without one."""
    running = getattr(sys.modules.get("napari"), "__version__", None)
    if running:
        return str(running)
    try:
        return importlib.metadata.version("napari")
    except importlib.metadata.PackageNotFoundError:
        return None


def binding() -> str | None:
    """The binding of Qt that is or will be used, as qtpy chooses it; None without one.

    Nothing is imported for it: parts of this package work without Qt.
    """
    chosen = getattr(sys.modules.get("qtpy"), "API_NAME", None)
    if chosen:
        return str(chosen)
    asked = os.environ.get("QT_API", "").lower()
    named = [name for name in BINDINGS if name.lower() == asked]
    loaded = [name for name in BINDINGS if name in sys.modules]
    there = [name for name in BINDINGS if find_spec(name) is not None]
    return next(iter([*loaded, *named, *there]), None)
