"""What runs found: refined nuclei, their ids for life, and what a person said of them."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import reach
from napari_noisyseg.store.columns import KINDS, Columns
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.decisions import GONE, as_outline, check
from napari_noisyseg.store.history import IN_KEYS, as_keys
from napari_noisyseg.store.images import ImageRow
from napari_noisyseg.store.making import uncollected
from napari_noisyseg.store.matching import match
from napari_noisyseg.store.packing import count_masks
from napari_noisyseg.store.records import Aspect, Candidate, Outline

# a frozen outline stands in place of the run's, and is there even where the run found nothing
_OF_RUN = f"""
SELECT c.id, c.serial, c.y, c.x, coalesce(o.y0, c.y0) AS top, coalesce(o.x0, c.x0) AS left,
    coalesce(o.y1, c.y1) AS bottom, coalesce(o.x1, c.x1) AS right, coalesce(o.mask, c.mask),
    c.score, c.reason, 1, n.state, o.id IS NOT NULL, n.class, coalesce(o.area, c.area)
FROM candidate c LEFT JOIN nucleus n ON n.id = c.id
    LEFT JOIN outline o ON o.id = c.id AND o.frozen
WHERE c.image = :image AND c.run = :run AND c.id NOT IN ({GONE})
"""
_BESIDE = """
SELECT n.id, n.serial, n.y, n.x, o.y0, o.x0, o.y1, o.x1, o.mask, 1.0,
    iif(not o.frozen, 'not found by the newest run',
        iif(n.state = 'unreviewed', 'drawn by a person, not judged yet', 'settled by a person')),
    0, n.state, o.frozen, n.class, o.area
FROM outline o JOIN nucleus n ON n.id = o.id
WHERE o.image = :image AND NOT EXISTS
    (SELECT 1 FROM candidate c WHERE c.image = :image AND c.run = :run AND c.id = o.id)
"""
_FROZEN = " AND o.frozen = 1"
_OF_IDS = f" AND {{0}}id {IN_KEYS.replace('?', ':ids')}"


AT_ONCE = 20_000
"""nuclei that are written together"""


def newest_run(context: Context, image: ImageRow) -> str | None:
    """The run whose results were adopted last for this image."""
    found = context.database.value(
        "SELECT run FROM adoption WHERE image = ? ORDER BY seq DESC LIMIT 1", (image.id,)
    )
    return None if found is None else str(found)


def of(context: Context, image: str, run: str | None, box: Box | None) -> list[Candidate]:
    """Refined nuclei of an adopted run (None: the newest), in order of serial."""
    row = context.images.row(image)
    run = run if run is not None else newest_run(context, row)
    if run is None:
        return []
    first, second = _OF_RUN, _BESIDE + _FROZEN
    parameters: dict[str, Any] = {"image": row.id, "run": run}
    if box is not None:
        # an edited outline may reach where the run's did not: then it is found by `outline`
        first += reach.INSIDE.format("c.")
        second += reach.INSIDE.format("o.")
        parameters |= reach.parameters(context, box)
    with uncollected():
        return (
            _read(context, row, f"{first} UNION ALL {second}", parameters).by_serial().candidates()
        )


def judged(context: Context, image: str, run: str | None, ids: Collection[str] | None) -> Columns:
    """The nuclei of a review, each once, in no order; with `ids` those of them alone."""
    row = context.images.row(image)
    run = run if run is not None else newest_run(context, row)
    parameters: dict[str, Any] = {"image": row.id, "run": run or ""}
    first, second = _OF_RUN, _BESIDE
    if ids is not None:
        first, second = first + _OF_IDS.format("c."), second + _OF_IDS.format("o.")
        parameters["ids"] = as_keys(list(ids))
    with uncollected():
        return _read(context, row, f"{first} UNION ALL {second}", parameters)


def _read(context: Context, row: ImageRow, sql: str, parameters: Mapping[str, Any]) -> Columns:
    columns = context.database.columns(sql, parameters, KINDS)
    # µm per pixel may have changed since the run
    return Columns.read(columns, str(parameters["run"]), row.mpp)


def adopt(context: Context, image: str, run: str, nuclei: Columns, core: Box | None = None) -> None:
    """Take over what a run found in an image; not part of the undo history.

    The nuclei get their ids and serials for life in place.
    """
    row = context.images.row(image)
    areas = _areas(nuclei, row)
    with context.database.transaction():
        _name(context, row, nuclei, core)
        _take_away(context, row, run, None if core is None else nuclei.ids)
        _insert(context, row, run, nuclei, areas)
        sides = nuclei.boxes[:, 2:] - nuclei.boxes[:, :2]
        reach.note(context, int(sides.max(initial=0)))
        _note_adoption(context, row, run, len(nuclei), core is not None)
        context.history.note_machine(f"results of run {run}", row.id, Aspect.CANDIDATES)


def _insert(
    context: Context, row: ImageRow, run: str, nuclei: Columns, areas: NDArray[np.int64]
) -> None:
    for begin in range(0, len(nuclei), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        rows = zip(
            repeat(row.id), repeat(run), nuclei.ids[part], nuclei.serials[part].tolist(),
            nuclei.y[part].tolist(), nuclei.x[part].tolist(), *nuclei.boxes[part].T.tolist(),
            nuclei.masks[part], nuclei.scores[part].tolist(), nuclei.reasons[part],
            areas[part].tolist(),
        )  # fmt: skip
        context.database.many(
            "INSERT INTO candidate VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
        )


def _take_away(context: Context, row: ImageRow, run: str, ids: Sequence[str] | None) -> None:
    """What the run found before; ids: of a tile, those that are found once more.

    Not what lies in the tile: the middle of a nucleus may lie in the tile beside its own.
    """
    sql = "DELETE FROM candidate WHERE image = :image AND run = :run"
    named: dict[str, Any] = {"image": row.id, "run": run}
    if ids is not None:
        sql += _OF_IDS.format("")
        named["ids"] = as_keys(ids)
    context.database.run(sql, named)


def _note_adoption(context: Context, row: ImageRow, run: str, count: int, part: bool) -> None:
    """That a run's results came in; the parts of one run, one after the other, are one note."""
    if part and newest_run(context, row) == run:
        context.database.run(
            "UPDATE adoption SET found = (SELECT count(*) FROM candidate WHERE image = :image AND "
            "run = :run) WHERE seq = (SELECT max(seq) FROM adoption WHERE image = :image)",
            {"image": row.id, "run": run},
        )
        return
    context.database.run(
        "INSERT INTO adoption (image, run, time, found) VALUES (?, ?, ?, ?)",
        (row.id, run, time.time(), count),
    )


def _areas(nuclei: Columns, row: ImageRow) -> NDArray[np.int64]:
    """Areas in pixels; `NoisySegError` where an outline is empty or does not fit."""
    y0, x0, y1, x1 = nuclei.boxes.T
    inside = (y0 >= 0) & (y0 < y1) & (y1 <= row.height) & (x0 >= 0) & (x0 < x1) & (x1 <= row.width)
    areas = np.zeros(len(nuclei), np.int64)
    if inside.all():
        areas = count_masks(nuclei.masks, nuclei.boxes)
    for wrong in np.flatnonzero(~inside | (areas == 0)).tolist():
        check(nuclei.outline(wrong), row.height, row.width)
    return areas


def _name(context: Context, row: ImageRow, nuclei: Columns, core: Box | None) -> None:
    """Ids and serials: the point's, else those of the best IoU with an earlier one, else new."""
    known = _serials(context, row, [id for id in nuclei.ids if id])
    names = [(id, known[id]) if id in known else None for id in nuclei.ids]
    open_ones = [k for k, name in enumerate(names) if name is None]
    # what a person removed does not come back under its id: it is a new find, to be judged again
    gone = {str(id) for (id,) in context.database.rows(GONE)}
    earlier = _earlier(context, row, gone | set(known), _around(nuclei, core))
    if earlier:
        outlines = [nuclei.outline(k) for k in open_ones]
        for i, j in match(outlines, [o for *_, o in earlier]).items():
            names[open_ones[i]] = earlier[j][:2]
    fresh = zip(_new_ids(names.count(None)), context.serials(names.count(None)), strict=True)
    named = [name if name is not None else next(fresh) for name in names]
    nuclei.ids[:] = [id for id, _ in named]
    nuclei.serials[:] = [serial for _, serial in named]


def _around(nuclei: Columns, core: Box | None) -> Box | None:
    """Where earlier ones may be met: the part that is new and what reaches out of it; None: all."""
    if core is None or not len(nuclei):
        return core
    (y0, x0), (y1, x1) = nuclei.boxes[:, :2].min(axis=0), nuclei.boxes[:, 2:].max(axis=0)
    return Box.around([core, Box(int(y0), int(x0), int(y1), int(x1))])


def _new_ids(count: int) -> list[str]:
    """Random UUIDs in rising order: indices grow at their end then, several times as fast."""
    letters = os.urandom(16 * count).hex()
    found = (letters[at : at + 32] for at in range(0, len(letters), 32))
    # version 4, as `uuid.uuid4` makes them one by one
    return sorted(
        f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) % 4]}{h[17:20]}-{h[20:]}"
        for h in found
    )


def _serials(context: Context, row: ImageRow, ids: Sequence[str]) -> dict[str, int]:
    """Serials of those ids that this image knows, each to be used once."""
    if len(set(ids)) < len(ids):
        raise NoisySegError("a run claims the same nucleus twice: its results cannot be adopted")
    found = context.database.rows(
        f"SELECT id, serial FROM nucleus WHERE image = ? AND id {IN_KEYS} UNION "
        f"SELECT id, serial FROM candidate WHERE image = ? AND id {IN_KEYS}",
        (row.id, as_keys(ids), row.id, as_keys(ids)),
    )
    return {str(id): int(serial) for id, serial in found}


def _earlier(
    context: Context, row: ImageRow, claimed: set[str], box: Box | None
) -> list[tuple[str, int, Outline]]:
    """The newest outline of every nucleus that this image had so far, a person's before a run's.

    box: of those that reach into it.
    """
    inside, named = "", {"image": row.id}
    if box is not None:
        inside, named = reach.INSIDE, {**named, **reach.parameters(context, box)}
    runs = context.database.rows(
        "SELECT c.id, c.serial, c.y0, c.x0, c.y1, c.x1, c.mask, max(a.seq) FROM candidate c "
        "JOIN adoption a ON a.image = c.image AND a.run = c.run WHERE c.image = :image"
        f"{inside.format('c.')} GROUP BY c.id",
        named,
    )
    people = context.database.rows(
        "SELECT n.id, n.serial, o.y0, o.x0, o.y1, o.x1, o.mask FROM outline o "
        f"JOIN nucleus n ON n.id = o.id WHERE o.image = :image{inside.format('o.')}",
        named,
    )
    newest = {r[0]: r for r in [*runs, *people] if r[0] not in claimed}
    return [(str(r[0]), int(r[1]), as_outline(r[2:7])) for r in newest.values()]
