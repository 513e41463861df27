"""worth: what the rough masks of a project are worth, before any training."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..annotation.advice import nuclei
from ..annotation.worth import Worth
from ..annotation.worth import worth as worth_of
from ..errors import NoisySegError
from ..store import Project
from .output import Json, Progress, print_json, show
from .paths import ProjectPath, open_project


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(worth)


def worth(
    project: ProjectPath,
    image: Annotated[str | None, typer.Option(help="One image. Default: all with masks.")] = None,
    as_json: Json = False,
) -> None:
    """Tell whether rough masks are too large or small, or incomplete."""
    with open_project(project) as opened:
        names = [image] if image is not None else _rough(opened)
        if not names:
            raise NoisySegError(
                f"{opened.path.name} has no rough masks: paint some under Annotate, or import "
                "them (noisyseg import --as rough)"
            )
        found = []
        with Progress("worth") as progress:
            for done, name in enumerate(names):
                progress.update(done / len(names), name)
                found.append(worth_of(opened, name))
    if as_json:
        print_json({"images": {seen.image: _row(seen) for seen in found}})
        return
    for seen in found:
        masks = f"{seen.masks} rough mask{'' if seen.masks == 1 else 's'}"
        show(f"{seen.image}: {masks}, {nuclei(seen.accepted, 'accepted ')}")
        show("\n".join(f"  {line}" for line in [*seen.lines(), seen.advice]))


def _rough(project: Project) -> list[str]:
    return [i.name for i in project.images() if "rough" in project.nuclei.planes(i.name)]


def _row(seen: Worth) -> dict[str, Any]:
    return {
        "masks": seen.masks,
        "accepted": seen.accepted,
        "bias_um": seen.bias_um,
        "bias_interval": seen.bias_interval,
        "missing": seen.missing,
        "missing_interval": seen.missing_interval,
        "missing_of": seen.missing_of,
        "matrix": None if seen.matrix is None else seen.matrix.tolist(),
        "rank": seen.rank,
        "distance": seen.distance,
        "distance_interval": seen.distance_interval,
        "mean_density": float(seen.density.mean()),
        "more": seen.more,
        "method": seen.method,
        "advice": seen.advice,
    }
