"""Files of annotation come into the image in front: read out of the way, said once they are in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from napari_noisyseg.exchange.importing import Imported
from napari_noisyseg.gui.session import Session

Read = Callable[[Any, str, Path], Imported]
"""A project, an image's name and a file to what came in; one action, or NoisySegError."""


def bring_in(session: Session, path: Path, read: Read, masks: str = "rough masks") -> None:
    """Import a file into the image in front; masks: what its masks are called afterwards.

    A file of many nuclei takes seconds to read, and the window must not wait for it.
    """
    with session.acting():
        record, project = session.require_image(), session.require_project()
        session.say(f"importing {path.name} …")
        done = partial(_came, session, project, record.name, masks)
        session.submit(partial(read, project, record.name, path), done)


def _came(session: Session, project: Any, image: str, masks: str, found: Imported) -> None:
    if session.project is not project:  # closed meanwhile; the nuclei are in it all the same
        return
    with session.acting():
        kind = "points" if found.points else masks
        kind = kind.removesuffix("s") if found.count == 1 else kind
        note = f" {found.note}." if found.note else ""
        session.say(f"imported {found.count} {kind} into {image}; undo removes them.{note}")
