"""suggest: where nuclei without a point may be, learned from clicked ones or from none."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import NoisySegError
from ..review import suggestions
from ..store import Project
from .output import DryRun, Json, print_json, print_table, say, show
from .paths import ProjectPath, open_project


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(suggest)


def suggest(
    project: ProjectPath,
    image: Annotated[
        str | None, typer.Option(help="One image. Default: those with points, else all.")
    ] = None,
    keep_above: Annotated[
        float | None, typer.Option(metavar="P", help="Keep those with at least this score.")
    ] = None,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Fields are not complete: unmarked is unknown.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Propose nuclei that have no point yet.

    --keep-above gives the likely ones a point.
    """
    if keep_above is not None and not 0 <= keep_above <= 1:
        raise NoisySegError(f"--keep-above {keep_above}: give a score from 0 to 1")
    writes = (keep_above is not None or incomplete) and not dry_run
    with open_project(project, write=writes) as opened:
        names = [image] if image is not None else _marked(opened)
        if incomplete and not dry_run:
            _take_back(opened, names)
        found = [s for name in names for s in suggestions.suggestions(opened, name)]
        sure = [s for s in found if keep_above is not None and s.score >= keep_above]
        if dry_run:
            say(f"{len(sure)} would be kept; nothing is written")
            sure = []
        kept = suggestions.keep(opened, sure) if sure else 0
        found = suggestions.pending(opened, found)
        promised = suggestions.promised(opened, found)
        points = opened.nuclei.counts().points
    _print(found, {"kept": kept, "points": points, "in_complete_fields": promised}, as_json)


def _marked(project: Project) -> list[str]:
    """Images with points; all of them where no image has any."""
    names = [image.name for image in project.images()]
    return [name for name in names if project.nuclei.of(name)] or names


def _take_back(project: Project, names: list[str]) -> None:
    with project.nuclei.together("declare fields incomplete"):
        for field in (f for name in names for f in project.nuclei.fields(name) if f.complete):
            project.nuclei.change_field(field.id, complete=False)


def _print(found: list[suggestions.Suggestion], state: dict[str, int], as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"image": s.image, "x": round(s.x, 1), "y": round(s.y, 1), "score": round(s.score, 3)}
        for s in found
    ]
    if state["in_complete_fields"]:
        say(
            f"{state['in_complete_fields']} of them are in complete fields, where training takes "
            "everything without a point for background; --incomplete makes these fields incomplete"
        )
    if as_json:
        print_json({**state, "suggested": len(rows), "suggestions": rows})
        return
    show(f"{len(rows)} suggested, {state['kept']} kept; {state['points']} points now")
    print_table(rows[:20])
