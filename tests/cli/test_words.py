"""Options that take several values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.main import get_command

from napari_noisyseg.cli import _app
from napari_noisyseg.cli.words import FLAGS, MANY, spread


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("create p --images a b --points c", "create p --images a --images b --points c"),
        ("create p --images a --mpp 0.25 --clean-complete", None),
        ("create --images a b p", "create --images a --images b p"),
        ("create p --images a --images b c", "create p --images a --images b --images c"),
        ("create p --field 0,0,9,9 5,5,9,9", "create p --field 0,0,9,9 --field 5,5,9,9"),
        ("create --dry-run p --images a b", "create --dry-run p --images a --images b"),
        ("create --icc p --images a b", "create --icc p --images a --images b"),
        ("train p --set a=1 b=2", "train p --set a=1 --set b=2"),
        ("train --set a=1 p", None),
        (
            "train --method scnet --set a=1 b=2 p --seed 3",
            "train --method scnet --set a=1 --set b=2 p --seed 3",
        ),
        ("derive p --kind local voronoi", "derive p --kind local --kind voronoi"),
        ("derive --kind local p", None),
        ("predict a b --model m --output o", None),
        ("methods", None),
        ("", None),
    ],
)
def test_values_are_given_their_option(said: str, meant: str | None) -> None:
    assert spread(said.split()) == (meant or said).split()


@pytest.mark.parametrize("name", MANY)
def test_flags_are_those_of_the_commands(name: str) -> None:
    (command,) = (one for one in get_command(_app(name)).commands.values() if one.name == name)  # type: ignore[attr-defined]
    flags = {word for one in command.params if getattr(one, "is_flag", False) for word in one.opts}
    assert flags <= FLAGS


def test_several_images_after_one_option(noisyseg, field: Path) -> None:
    other = field / "other.png"
    other.write_bytes((field / "field.png").read_bytes())
    project = field / "two.noisyseg"
    words = ("--images", field / "field.png", other, "--points", field / "field.csv")
    done = noisyseg("create", project, *words)
    assert done.code == 0, done.err
    images = json.loads(noisyseg("info", project, "--json").out)["images"]
    assert [image["name"] for image in images] == ["field", "other"]
