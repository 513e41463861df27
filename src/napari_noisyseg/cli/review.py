"""review: the queue of doubtful nuclei, and accepting the sure ones."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import NoisySegError
from ..review.queue import ReviewQueue
from ..worker.clicked import offer
from .output import Json, print_json, print_table, say, show
from .projects import ProjectPath, open_project


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(review)


def review(
    project: ProjectPath,
    next_: Annotated[int, typer.Option("--next", min=1, help="How many to list.")] = 10,
    accept_above: Annotated[
        float | None, typer.Option(metavar="P", help="Accept nuclei of at least this confidence.")
    ] = None,
    clicks: Annotated[
        bool,
        typer.Option("--clicks", help="Without a training: judge the outlines at the clicks."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the nuclei that most need a look, with the reason; or accept the sure ones."""
    if accept_above is not None and not 0 <= accept_above <= 1:
        raise NoisySegError(f"--accept-above {accept_above}: give a confidence from 0 to 1")
    with open_project(project, write=clicks or accept_above is not None) as opened:
        if clicks:
            offer(opened)
        queue = ReviewQueue(opened)
        accepted = 0 if accept_above is None else queue.accept_above(accept_above)
        rows = [_row(item) for item in queue.next(next_)]
        counts = opened.nuclei.counts()
    state = {
        "nuclei": counts.candidates,
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "unsure": counts.unsure,
        "newly_accepted": accepted,
    }
    if as_json:
        print_json({**state, "next": rows})
        return
    if not counts.candidates and counts.points:
        say(f"no training has found nuclei yet; --clicks offers the {counts.points} clicked ones")
    show(f"{counts.reviewed} of {counts.candidates} reviewed, {counts.accepted} accepted")
    print_table(rows)


def _row(item: Any) -> dict[str, Any]:
    candidate = item.candidate
    return {
        "nucleus": candidate.id,
        "image": item.image,
        "x": round(candidate.x, 1),
        "y": round(candidate.y, 1),
        "area_um2": round(candidate.area_um2, 1),
        "score": round(candidate.score, 3),
        "reason": item.reason,
    }
