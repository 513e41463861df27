"""adapt: outlines that learn from what was accepted and redrawn."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from ..errors import NoisySegError
from .output import Json, print_json, show
from .paths import ProjectPath, open_project


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(adapt)


def adapt(
    project: ProjectPath,
    places: Annotated[
        bool,
        typer.Option(
            "--places",
            help="Learn where nuclei lie, from complete fields, for predict and suggest; two "
            "minutes.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Learn from accepted, redrawn and rejected nuclei.

    Outlines at clicks learn from nuclei that you accepted or redrew; what is found, from finds that
    you rejected. The result is used only if it fits decisions that were held out better.
    """
    if find_spec("torch") is None:
        raise NoisySegError("learning needs torch: pip install 'napari-noisyseg[train]'")
    from ..worker.lessons.adapting import adapt as learn
    from ..worker.lessons.places import learn_places

    with open_project(project, write=True) as opened:
        lesson = learn_places(opened) if places else learn(opened)
    if as_json:
        print_json(lesson.document())
    else:
        show(lesson.words)
