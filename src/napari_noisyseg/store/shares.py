r"""Network shares of Windows (\\HOST\SHARE): only those that a person named are asked for files.

Asking sends the person's name, and a proof of the password, to whoever HOST is; and where a slide
lies may have been written by a stranger.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path, PureWindowsPath

import platformdirs

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError

WINDOWS = os.name == "nt"
NAME = "shares.json"


def share_of(path: str | Path) -> str | None:
    """The share that a path lies on; None for a disk of this machine, and on other systems."""
    drive = PureWindowsPath(str(path)).drive
    return drive.lower() if WINDOWS and drive.startswith("\\\\") else None


def is_free(path: str | Path, beside: Path) -> bool:
    """Whether a path may be looked at: on no share, on one named before, or on that of `beside`."""
    share = share_of(path)
    return share is None or share == share_of(beside) or share in _named()


def name(path: Path) -> None:
    """A person has given this path, so its share is one of theirs."""
    share, named = share_of(path), _named()
    if share is None or share in named:
        return
    # where this cannot be kept, the person is asked again
    with contextlib.suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(json.dumps([*named, share]), "utf-8")


def _file() -> Path:
    return platformdirs.user_config_path("napari-noisyseg", False) / NAME


def _named() -> list[str]:
    try:
        found = bounded_json.read(_file(), bounded_json.RECORD_BYTES)
    except NoisySegError:
        return []
    return [str(share) for share in found] if isinstance(found, list) else []
