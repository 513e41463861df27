"""field: say, without a window, in which parts of an image every nucleus is marked."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import NoisySegError
from ..slides import Box
from ..store import Project
from .output import DryRun, print_table, say, show
from .paths import ProjectPath, open_project

WHERE = "x,y,w,h"


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(field)


def field(
    project: ProjectPath,
    where: Annotated[list[str] | None, typer.Argument(metavar=WHERE, help="In pixels.")] = None,
    all_of_it: Annotated[bool, typer.Option("--whole", help="Declare the whole image.")] = False,
    image: Annotated[
        str | None, typer.Option(metavar="NAME", help="Needed where there are several images.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Declare fields in which every nucleus is marked.

    The rest of a field is background to a training. With no field named it lists those declared.
    """
    given = [box_of(text, WHERE) for text in where or ()]
    if given and all_of_it:
        raise NoisySegError("give fields or --whole, not both")
    writes = bool(given or all_of_it) and not dry_run
    with open_project(project, write=writes) as opened:
        if not given and not all_of_it:
            _list(opened, image)
            return
        name = _one(opened, image)
        boxes = [inside(opened, name, box) for box in given] or [whole(opened, name)]
        _declare(opened, name, list(dict.fromkeys(boxes)), dry_run)


def _declare(project: Project, name: str, boxes: list[Box], dry_run: bool) -> None:
    there = {one.box: one for one in project.nuclei.fields(name)}
    new = [box for box in boxes if box not in there or not there[box].complete]
    _warn_empty(project, name, new)
    if dry_run:
        say(f"would declare {_fields(len(new))} of {name}; nothing is written")
        return
    if new:
        with project.nuclei.together(f"declare {_fields(len(new))}"):
            for box in new:
                if box in there:
                    project.nuclei.change_field(there[box].id, complete=True)
                else:
                    project.nuclei.add_field(name, box)
    if len(new) < len(boxes):
        say(f"declared before: {len(boxes) - len(new)} of {len(boxes)}")
    show(f"{name}: {_fields(len(project.nuclei.fields(name)))}")


def _warn_empty(project: Project, name: str, boxes: list[Box]) -> None:
    """A field without a nucleus is background as a whole: hardly what a person means."""
    places = [(nucleus.y, nucleus.x) for nucleus in project.nuclei.of(name)]
    for box in boxes:
        if not any(box.contains(*place) for place in places):
            say(
                f"{_words(box)} of {name} holds no nucleus yet: mark its nuclei before a training, "
                "which takes all else in it for background"
            )


def _list(project: Project, image: str | None) -> None:
    names = [record.name for record in project.images()]
    rows = []
    for name in names if image is None else [project.image(image).name]:
        nuclei = project.nuclei.of(name)
        rows += [
            {
                "image": name,
                "field": _words(one.box),
                "complete": "yes" if one.complete else "no",
                "nuclei": sum(one.box.contains(n.y, n.x) for n in nuclei),
            }
            for one in project.nuclei.fields(name)
        ]
    print_table(rows)
    if not rows:
        say("no field yet: give x,y,w,h in pixels, or --whole for the whole image")


def _words(box: Box) -> str:
    return f"{box.x0},{box.y0},{box.width},{box.height}"


def _fields(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"


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
    """The part of a field that lies in an image, with a note if it is not all of it.

    NoisySegError where none does.
    """
    record = project.image(name)
    part = box.clip((record.height, record.width))
    if part.height < 1 or part.width < 1:
        raise NoisySegError(
            f"a field lies outside {name!r} ({record.width}x{record.height}): "
            "give x,y,w,h in pixels"
        )
    if part != box:
        say(
            f"the field {_words(box)} reaches beyond {name} ({record.width}x{record.height}): "
            f"{_words(part)} of it is taken"
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
