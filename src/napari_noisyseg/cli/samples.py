"""samples: real tissue to try the program on."""

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
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Created if it does not exist.")],
) -> None:
    """Copy the sample images, points and nuclei into a folder."""
    for path in bundled.copy_to(folder):
        show(path)
