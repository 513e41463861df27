"""benchmark: the papers' tables and our own speed figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .. import benchmarks
from ..errors import NoisySegError
from .output import Json, print_json, print_table, show


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(benchmark)


def benchmark(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One of --list. Default: list them.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List all benchmarks.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="The long version; a stopped one continues.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Folder with real tissue.")] = None,
    as_json: Json = False,
) -> None:
    """Run a benchmark and print its figures."""
    if list_ or name is None:
        listed = [{"benchmark": n, "measures": benchmarks.words(n)} for n in benchmarks.names()]
        (print_json if as_json else print_table)(listed)
        return
    if name not in benchmarks.names():
        raise NoisySegError(f"benchmark {name!r}: choose from {', '.join(benchmarks.names())}")
    report = benchmarks.load(name)(_data(data), full)
    if as_json:
        print_json(report.document())
        return
    print_table(report.rows)
    show()
    print_table([{"figure": k, "value": v} for k, v in report.figures.items()])


def _data(given: Path | None) -> Path:
    named = os.environ.get("NOISYSEG_DATA")
    folder = given or (Path(named) if named else None)
    if folder is None or not (folder / "monuseg" / "images").is_dir():
        where = "no folder with data was named" if folder is None else f"no data in {folder}"
        raise NoisySegError(
            f"{where}: give --data DIR or set NOISYSEG_DATA to a folder with "
            "monuseg/images/NAME.png and monuseg/labels/NAME.tif (the MoNuSeg 2018 training set, "
            "from its grand-challenge page; docs/benchmarks.md describes the layout)"
        )
    return folder
