"""Named, coloured classes of nuclei."""

from __future__ import annotations

import re
from collections.abc import Iterable

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.records import Aspect, NucleusClass

# Okabe and Ito: told apart by colour-blind people as well
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")

# told apart from the pens of the decisions as well
STARTING = (
    NucleusClass("tumour", "#d55e00"),
    NucleusClass("lymphocyte", "#0072b2"),
    NucleusClass("stroma", "#009e73"),
    NucleusClass("other", "#999999"),
)
"""classes to begin with, where a project has none"""


def listed(context: Context) -> list[NucleusClass]:
    """All classes in the order in which they came."""
    found = context.database.rows("SELECT name, color FROM class ORDER BY position, name")
    return [NucleusClass(*r) for r in found]


def add(context: Context, name: str, color: str | None) -> NucleusClass:
    """A new class; without a colour (#rrggbb) the next of a colour-blind safe palette."""
    name = _free(context, name)
    with (
        context.history.action(f"add the class {name}", None, Aspect.CLASSES) as action,
        action.changing("class", [name]),
    ):
        position = context.database.value("SELECT coalesce(max(position), -1) + 1 FROM class")
        chosen = _checked(color) if color else PALETTE[position % len(PALETTE)]
        context.database.run("INSERT INTO class VALUES (?, ?, ?)", (name, chosen, position))
    return NucleusClass(name, chosen)


def recolor(context: Context, name: str, color: str) -> None:
    """Another colour (#rrggbb) for a class."""
    _known(context, name)
    with (
        context.history.action(f"recolour {name}", None, Aspect.CLASSES) as action,
        action.changing("class", [name]),
    ):
        context.database.run("UPDATE class SET color = ? WHERE name = ?", (_checked(color), name))


def rename(context: Context, name: str, new: str) -> None:
    """Another name for a class; its nuclei go with it."""
    _known(context, name)
    new = _free(context, new)
    with (
        context.history.action(f"rename {name} to {new}", None, Aspect.CLASSES) as action,
        action.changing("class", [name, new]),
        action.changing("nucleus", _ids(context, name)),
    ):
        context.database.run("UPDATE class SET name = ? WHERE name = ?", (new, name))
        context.database.run("UPDATE nucleus SET class = ? WHERE class = ?", (new, name))


def remove(context: Context, name: str, into: str | None) -> None:
    """Take a class away; its nuclei are then of the class `into`, or of none."""
    _known(context, name)
    if into is not None:
        _known(context, into)
    if into == name:
        raise NoisySegError(f"the nuclei of {name} cannot stay in it when it is removed")
    with (
        context.history.action(f"remove the class {name}", None, Aspect.CLASSES) as action,
        action.changing("class", [name]),
        action.changing("nucleus", _ids(context, name)),
    ):
        context.database.run("DELETE FROM class WHERE name = ?", (name,))
        context.database.run("UPDATE nucleus SET class = ? WHERE class = ?", (into, name))


def sizes(context: Context) -> dict[str, int]:
    """How many nuclei each class has, in all images."""
    # those of removed images are out of sight
    found = context.database.rows(
        "SELECT c.name, count(i.id) FROM class c LEFT JOIN nucleus n ON n.class = c.name "
        "LEFT JOIN image i ON i.id = n.image GROUP BY c.name"
    )
    return {str(name): int(count) for name, count in found}


def trimmed(name: str | None) -> str | None:
    """A class as it is kept: without blanks around it."""
    return None if name is None else name.strip()


def ensure(context: Context, names: Iterable[str]) -> None:
    """Add those that there are not yet."""
    wanted = set(names)
    if wanted:
        for name in sorted(wanted - {c.name for c in listed(context)}):
            add(context, name, None)


def _free(context: Context, name: str) -> str:
    """A name for a class, without blanks around it, that no class has yet."""
    name = name.strip()
    if not name:
        raise NoisySegError("a class needs a name")
    if any(c.name == name for c in listed(context)):
        raise NoisySegError(f"there is already a class {name!r}: choose another name")
    return name


def _ids(context: Context, name: str) -> list[str]:
    found = context.database.rows("SELECT id FROM nucleus WHERE class = ?", (name,))
    return [str(row[0]) for row in found]


def _known(context: Context, name: str) -> None:
    if all(c.name != name for c in listed(context)):
        raise NoisySegError(f"there is no class {name!r}")


def _checked(color: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise NoisySegError(f"{color!r} is not a colour: write it as #rrggbb")
    return color.lower()
