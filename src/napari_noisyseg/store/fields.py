"""Fields: rectangles in which a person promises to have marked every nucleus."""

from __future__ import annotations

import uuid

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.records import Aspect, Field

_SELECT = """
SELECT f.id, i.name, f.y0, f.x0, f.y1, f.x1, f.complete
FROM field f JOIN image i ON i.id = f.image
"""
# undo writes a row again, so its rowid says nothing of its age; the action that made it does
_IN_ORDER = """
LEFT JOIN (SELECT id, min(action) AS born FROM field_log GROUP BY id) l ON l.id = f.id
WHERE f.image = ? ORDER BY l.born, f.rowid
"""


def add(context: Context, image: str, box: Box, complete: bool) -> Field:
    """A field, cut to the image; `complete` promises that every nucleus in it is marked."""
    inside, id = _cut(context, image, box), str(uuid.uuid4())
    row = context.images.row(image)
    with (
        context.history.action("add a field", row.id, Aspect.FIELDS) as action,
        action.changing("field", [id]),
    ):
        context.database.run(
            "INSERT INTO field VALUES (?, ?, ?, ?, ?, ?, ?)", (id, row.id, *inside, int(complete))
        )
    return Field(id, image, inside, complete)


def remove(context: Context, id: str) -> None:
    """Take a field away; the nuclei in it stay."""
    field = get(context, id)
    with (
        context.history.action(
            "remove a field", context.images.row(field.image).id, Aspect.FIELDS
        ) as action,
        action.changing("field", [id]),
    ):
        context.database.run("DELETE FROM field WHERE id = ?", (id,))


def change(context: Context, id: str, box: Box | None, complete: bool | None) -> Field:
    """Give a field another box or another promise."""
    old = get(context, id)
    inside = old.box if box is None else _cut(context, old.image, box)
    done = old.complete if complete is None else complete
    with (
        context.history.action(
            _words(box, complete), context.images.row(old.image).id, Aspect.FIELDS
        ) as action,
        action.changing("field", [id]),
    ):
        context.database.run(
            "UPDATE field SET y0 = ?, x0 = ?, y1 = ?, x1 = ?, complete = ? WHERE id = ?",
            (*inside, int(done), id),
        )
    return Field(id, old.image, inside, done)


def get(context: Context, id: str) -> Field:
    """One field; `NoisySegError` when there is none of this id."""
    found = context.database.row(f"{_SELECT} WHERE f.id = ?", (id,))
    if found is None:
        raise NoisySegError(f"there is no field {id}: it was removed meanwhile")
    return _field(found)


def of(context: Context, image: str) -> list[Field]:
    """The fields of an image, in the order in which they were drawn."""
    row = context.images.row(image)
    found = context.database.rows(f"{_SELECT} {_IN_ORDER}", (row.id,))
    return [_field(r) for r in found]


def known(context: Context, image: str, box: Box | None) -> NDArray[np.bool_]:
    """Bool (h, w) of `box` (else of the image): inside a field that is declared complete."""
    row = context.images.row(image)
    view = box if box is not None else Box(0, 0, row.height, row.width)
    inside = np.zeros(view.shape, bool)
    for field in of(context, image):
        if field.complete:
            inside[field.box.intersect(view).within(view)] = True
    return inside


def _words(box: Box | None, complete: bool | None) -> str:
    if box is not None or complete is None:
        return "change a field"
    return "declare a field complete" if complete else "declare a field incomplete"


def _field(row: tuple[str, str, int, int, int, int, int]) -> Field:
    return Field(row[0], row[1], Box(*row[2:6]), bool(row[6]))


def _cut(context: Context, image: str, box: Box) -> Box:
    row = context.images.row(image)
    inside = Box(*(int(v) for v in box)).clip((row.height, row.width))
    if inside.empty:
        raise NoisySegError(
            f"the field {tuple(box)} lies outside {image} ({row.width} x {row.height} pixels)"
        )
    return inside
