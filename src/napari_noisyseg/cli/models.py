"""model: networks for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import NoisySegError
from .output import say, show
from .paths import ended, open_project

Format = Literal["onnx", "bioimageio"]
ENDINGS: dict[str, Format] = {".onnx": "onnx", ".zip": "bioimageio"}


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    words = "Export models for other programs: ONNX, or bioimage.io."
    models = typer.Typer(help=words, no_args_is_help=True)
    models.command()(export)
    models.callback()(lambda: None)  # so that the one command keeps its name
    app.add_typer(models, name="model")


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN_DIR|starter|PROJECT",
            help="A run's folder; 'starter'; or a project, for the starter with what it learned.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file, .onnx or .zip.")],
    format_: Annotated[
        Format | None, typer.Option("--format", help="Default: by OUT's ending.")
    ] = None,
    network: Annotated[
        Literal["centres", "outline"],
        typer.Option(help="Part of the starter: where nuclei lie, or the outline at a click."),
    ] = "centres",
    author: Annotated[
        str, typer.Option(metavar="NAME", help="Who made the model; needed for a package.")
    ] = "",
) -> None:
    """Write a model as ONNX or as a bioimage.io package, checked against torch on real tissue."""
    from ..api.models import export_model

    chosen = format_ or ENDINGS.get(out.suffix.lower())
    if chosen is None:
        raise NoisySegError(f"{out}: name a file ending in .onnx or .zip, or give --format")
    if ended(Path(model)).is_dir() and model != "starter":
        with open_project(Path(model)) as opened:
            found = export_model(opened, out, chosen, network, author)
    else:
        found = export_model(model, out, chosen, network, author)
    checked = "no torch here to compare with"
    if found.difference is not None:
        checked = f"differs from torch by {found.difference:.1e} at most, on real tissue"
    say(checked)
    show(found.path)
