"""Nuclei as points: add, move, remove, name."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import classes as naming
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.history import IN_KEYS, as_keys
from napari_noisyseg.store.images import ImageRow
from napari_noisyseg.store.records import Aspect, Nucleus, State

FOUND_BY_RUN = "candidate"
"""`origin` of a nucleus that a run found and a person decided on."""
SUGGESTED = "suggested"
"""`origin` of a nucleus that was suggested and that a person kept."""
DROPPED = "dropped"
"""`origin` of a place that was suggested and that a person says is no nucleus."""

_SELECT = """
SELECT n.id, n.serial, i.name, n.y, n.x, n.class, n.origin, n.state,
    o.id IS NOT NULL
FROM nucleus n JOIN image i ON i.id = n.image LEFT JOIN outline o ON o.id = n.id AND o.frozen
"""
# what a run found is a nucleus once a person says so; a mere guess marks nothing
STANDS = f"(n.origin NOT IN ('{FOUND_BY_RUN}', '{DROPPED}') OR n.state = 'accepted')"


def add_many(
    context: Context,
    image: str,
    points: ArrayLike,
    classes: Sequence[str | None] | None,
    origin: str,
) -> list[Nucleus]:
    """One action for all of them; see `Nuclei.add_many`."""
    row = context.images.row(image)
    places = _inside(points, row)
    names = [naming.trimmed(n) for n in classes] if classes is not None else [None] * len(places)
    if len(names) != len(places):
        raise NoisySegError(f"{len(names)} classes were given for {len(places)} points")
    if not len(places):
        return []
    ids = [str(uuid.uuid4()) for _ in places]
    state: State = "rejected" if origin == DROPPED else "unreviewed"
    words = _words(origin, len(ids))
    with context.history.action(words, row.id, Aspect.POINTS) as action:
        naming.ensure(context, {n for n in names if n is not None})
        serials = context.serials(len(ids))
        with action.changing("nucleus", ids):
            context.database.many(
                "INSERT INTO nucleus (id, serial, image, y, x, class, origin, state, run, reviewer)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, '')",
                [
                    (id, serial, row.id, y, x, name, origin, state)
                    for id, serial, (y, x), name in zip(
                        ids, serials, places.tolist(), names, strict=True
                    )
                ],
            )
    return [
        Nucleus(id, serial, image, y, x, name, origin, state, False)
        for id, serial, (y, x), name in zip(ids, serials, places.tolist(), names, strict=True)
    ]


def _words(origin: str, count: int) -> str:
    if origin == DROPPED:
        return "drop a suggestion" if count == 1 else f"drop {count} suggestions"
    verb = "keep" if origin == SUGGESTED else "add"
    return f"{verb} a point" if count == 1 else f"{verb} {count} points"


def dropped(context: Context, image: str) -> NDArray[np.float64]:
    """Places (n, 2) of (y, x) of suggestions that a person dropped."""
    rows = context.database.rows(
        "SELECT y, x FROM nucleus WHERE image = ? AND origin = ? ORDER BY serial",
        (context.images.row(image).id, DROPPED),
    )
    return np.array(rows, np.float64).reshape(-1, 2)


def move(context: Context, id: str, y: float, x: float) -> None:
    """Put a nucleus's point elsewhere in its image; its outline stays."""
    nucleus = get(context, id)
    row = context.images.row(nucleus.image)
    _inside([(y, x)], row)
    with (
        context.history.action("move a point", row.id, Aspect.POINTS) as action,
        action.changing("nucleus", [id]),
    ):
        context.database.run(
            "UPDATE nucleus SET y = ?, x = ? WHERE id = ?", (float(y), float(x), id)
        )


def remove(context: Context, ids: Sequence[str]) -> None:
    """Take nuclei away, with their outlines and decisions."""
    if not ids:
        return
    image = one_image(context, ids)
    words = "remove a nucleus" if len(ids) == 1 else f"remove {len(ids)} nuclei"
    aspects = Aspect.POINTS | Aspect.OUTLINES
    with (
        context.history.action(words, image, aspects) as action,
        action.changing("outline", ids),
        action.changing("nucleus", ids),
    ):
        for table in ("outline", "nucleus"):
            context.database.run(f"DELETE FROM {table} WHERE id {IN_KEYS}", (as_keys(ids),))


def set_class(context: Context, ids: Sequence[str], name: str | None) -> None:
    """Name the class of nuclei or candidates (None takes it away); a new class is added."""
    if not ids:
        return
    image, name = one_image(context, ids), naming.trimmed(name)
    words = f"name {len(ids)} nuclei {name}" if name else f"take the class of {len(ids)} nuclei"
    with context.history.action(words, image, Aspect.CLASSES) as action:
        naming.ensure(context, {name} if name is not None else set())
        with action.changing("nucleus", ids):
            context.database.run(
                f"UPDATE nucleus SET class = ? WHERE id {IN_KEYS}", (name, as_keys(ids))
            )


def of(
    context: Context, image: str, box: Box | None, every: bool, ids: Collection[str] | None = None
) -> list[Nucleus]:
    """The nuclei of an image whose point's pixel lies in `box`, in order of serial."""
    where, parameters = _where(context, image, box, every, ids)
    return [as_nucleus(r) for r in context.database.rows(f"{_SELECT} {where}", parameters)]


def marks(
    context: Context, image: str, box: Box | None
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Serials (n,) and points (n, 2) of `of`, as arrays: for many nuclei much faster."""
    where, parameters = _where(context, image, box, every=False)
    rows = context.database.rows(f"SELECT n.serial, n.y, n.x FROM nucleus n {where}", parameters)
    table = np.array(rows, np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int32), table[:, 1:]


def _where(
    context: Context, image: str, box: Box | None, every: bool, ids: Collection[str] | None = None
) -> tuple[str, list[float | str]]:
    parameters: list[float | str] = [float(context.images.row(image).id)]
    sql = "WHERE n.image = ?"
    if ids is not None:
        sql += f" AND n.id {IN_KEYS}"
        parameters.append(as_keys(list(ids)))
    if not every:
        sql += f" AND {STANDS}"
    if box is not None:
        # the pixel of a point is floor(c + 0.5)
        sql += " AND n.y >= ? AND n.y < ? AND n.x >= ? AND n.x < ?"
        parameters += [v - 0.5 for v in (box.y0, box.y1, box.x0, box.x1)]
    return f"{sql} ORDER BY n.serial", parameters


def get(context: Context, id: str) -> Nucleus:
    """One nucleus; `NoisySegError` when there is none of this id."""
    found = context.database.row(f"{_SELECT} WHERE n.id = ?", (id,))
    if found is None:
        raise NoisySegError(f"there is no nucleus {id} in {context.images.root.name}")
    return as_nucleus(found)


def one_image(context: Context, ids: Sequence[str]) -> int | None:
    """The image of nuclei that all exist (None when they lie in several)."""
    found = context.database.rows(
        f"SELECT image, count(*) FROM nucleus WHERE id {IN_KEYS} GROUP BY image", (as_keys(ids),)
    )
    missing = len(set(ids)) - sum(r[1] for r in found)
    if missing:
        raise NoisySegError(
            f"{missing} of these {len(set(ids))} nuclei are not in {context.images.root.name}: "
            "they were removed meanwhile"
        )
    return int(found[0][0]) if len(found) == 1 else None


def as_nucleus(row: tuple[Any, ...]) -> Nucleus:
    """A nucleus from its row: its fields in order."""
    id, serial, image, y, x, class_name, origin, state, frozen = row
    return Nucleus(id, serial, image, y, x, class_name, origin, state, bool(frozen))


def _inside(points: ArrayLike, row: ImageRow) -> NDArray[np.float64]:
    """The points as float (n, 2); `NoisySegError` when one has no pixel in the image."""
    places = np.asarray(points, np.float64).reshape(-1, 2)
    pixels = np.floor(places + 0.5)
    good = np.isfinite(places).all(axis=1)
    good &= ((pixels >= 0) & (pixels < (row.height, row.width))).all(axis=1)
    if not good.all():
        y, x = places[~good][0]
        raise NoisySegError(
            f"{(~good).sum()} of {len(places)} points lie outside {row.name} "
            f"({row.width} x {row.height} pixels), the first at x {x:g}, y {y:g}: check that the "
            "points belong to this image and are in its full-resolution pixels"
        )
    return places
