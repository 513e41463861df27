"""field: say, without a window, in which parts of an image every nucleus is marked."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import NoisySegError
from ..slides import Box
from ..store import Project
from .output import DryRun, say, show
from .paths import ProjectPath, open_project

WHERE = "x,y,w,h"


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(field)


def field(
    project: ProjectPath,
    where: Annotated[
        list[str] | None,
        typer.Argument(metavar=f"[{WHERE}...]", help="In pixels. Default: the whole image."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="NAME", help="Needed where there are several images.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Declare fields in which every nucleus is marked.

    The rest of a field is background to a training.
    """
    given = [box_of(text, WHERE) for text in where or ()]
    with open_project(project, write=not dry_run) as opened:
        name = _one(opened, image)
        boxes = [inside(opened, name, box) for box in given] or [whole(opened, name)]
        there = {one.box: one for one in opened.nuclei.fields(name)}
        new = [box for box in dict.fromkeys(boxes) if box not in there or not there[box].complete]
        if dry_run:
            say(f"would declare {len(new)} fields of {name}; nothing is written")
            return
        if new:
            with opened.nuclei.together(f"declare {len(new)} fields"):
                for box in new:
                    if box in there:
                        opened.nuclei.change_field(there[box].id, complete=True)
                    else:
                        opened.nuclei.add_field(name, box)
        if len(new) < len(boxes):
            say(f"{len(boxes) - len(new)} of them were declared before")
        show(f"{name}: {len(opened.nuclei.fields(name))} fields")


def _one(project: Project, image: str | None) -> str:
    names = [record.name for record in project.images()]
    if image is None and len(names) != 1:
        raise NoisySegError(
            f"which image? give --image NAME: {', '.join(names) or 'none is there'}"
        )
    return project.image(image or names[0]).name


def whole(project: Project, name: str) -> Box:
    """All of an image."""
    record = project.image(name)
    return Box(0, 0, record.height, record.width)


def inside(project: Project, name: str, box: Box) -> Box:
    """The part of a field that lies in an image; NoisySegError where none does."""
    record = project.image(name)
    part = box.clip((record.height, record.width))
    if part.height < 1 or part.width < 1:
        raise NoisySegError(
            f"a field lies outside {name} ({record.width}x{record.height}): give x,y,w,h in pixels"
        )
    return part


def box_of(text: str, what: str) -> Box:
    """A field as it is written: x,y,w,h in pixels. `what` names it in NoisySegError."""
    try:
        x, y, w, h = (int(float(part)) for part in text.split(","))
    except (ValueError, OverflowError):
        raise NoisySegError(f"{what} {text!r}: give four numbers x,y,w,h in pixels") from None
    if w < 1 or h < 1:
        raise NoisySegError(f"{what} {text!r}: width and height must be at least 1 pixel")
    return Box(y, x, y + h, x + w)
