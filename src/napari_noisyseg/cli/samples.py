"""samples: real tissue to try with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import samples as bundled
from .output import show


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(samples)


def samples(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made where it is not there.")],
) -> None:
    """Copy the sample images, points and nuclei into a folder, to try with."""
    for path in bundled.copy_to(folder):
        show(path)
