"""starter: the networks that come with the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import NoisySegError
from .output import say, show

SOURCES = ("tnbc", "dsb2018")


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    starter = typer.Typer(
        help="Train the networks that come with the package again.", no_args_is_help=True
    )
    starter.command()(train)
    starter.callback()(lambda: None)  # so that the one command keeps its name
    app.add_typer(starter, name="starter")


def train(
    data: Annotated[Path, typer.Option(help="Folder with tnbc, tnbc_samples and dsb2018/hist.")],
    out: Annotated[Path, typer.Option(help="Folder for the weights.")] = Path("starter"),
    network: Annotated[
        Literal["all", "outline", "centres", "first"],
        typer.Option(help="Which; 'first': first weights of the methods' own small networks."),
    ] = "all",
    steps: Annotated[
        int | None, typer.Option(min=1, help="For each network. Default: as shipped.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    without: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Leave a source out, and score on it.")
    ] = None,
) -> None:
    """Train the starter's weights again, on data with licences that allow shipping them."""
    if find_spec("torch") is None:
        raise NoisySegError("training needs torch: pip install 'napari-noisyseg[train]'")
    from ..learning.starter.remake import remake
    from ..training import pretraining

    if without not in (None, *SOURCES):
        raise NoisySegError(f"there is no source {without!r}: leave out {' or '.join(SOURCES)}")
    names = tuple(name for name in ("outline", "centres") if network in ("all", name))
    if names:
        for path in remake(data, out, names, steps, seed, without, say):
            show(path)
    if network in ("all", "first"):
        show(pretraining.remake(data, out, steps, seed, without, say))
