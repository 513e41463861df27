"""What runs found: refined nuclei, their ids for life, and what a person said of them."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import reach
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
    c.score, c.reason, 1, n.state, o.id IS NOT NULL, n.class
FROM candidate c LEFT JOIN nucleus n ON n.id = c.id
    LEFT JOIN outline o ON o.id = c.id AND o.frozen
WHERE c.image = :image AND c.run = :run AND c.id NOT IN ({GONE})
"""
_BESIDE = """
SELECT n.id, n.serial, n.y, n.x, o.y0, o.x0, o.y1, o.x1, o.mask, 1.0,
    iif(not o.frozen, 'not found by the newest run',
        iif(n.state = 'unreviewed', 'drawn by a person, not judged yet', 'settled by a person')),
    0, n.state, o.frozen,
    n.class
FROM outline o JOIN nucleus n ON n.id = o.id
WHERE o.image = :image AND NOT EXISTS
    (SELECT 1 FROM candidate c WHERE c.image = :image AND c.run = :run AND c.id = o.id)
"""
_FROZEN = " AND o.frozen = 1"
_OF_IDS = f" AND {{0}}id {IN_KEYS.replace('?', ':ids')}"


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
        return _read(context, row, f"{first} UNION ALL {second}", parameters)


def judged(
    context: Context, image: str, run: str | None, ids: Collection[str] | None
) -> list[Candidate]:
    """The nuclei of a review, each once, in order of serial; with `ids` those of them alone."""
    row = context.images.row(image)
    run = run if run is not None else newest_run(context, row)
    parameters: dict[str, Any] = {"image": row.id, "run": run or ""}
    first, second = _OF_RUN, _BESIDE
    if ids is not None:
        first, second = first + _OF_IDS.format("c."), second + _OF_IDS.format("o.")
        parameters["ids"] = as_keys(list(ids))
    with uncollected():
        return _read(context, row, f"{first} UNION ALL {second}", parameters)


def _read(
    context: Context, row: ImageRow, sql: str, parameters: Mapping[str, Any]
) -> list[Candidate]:
    rows = context.database.rows(sql, parameters)
    rows.sort(key=itemgetter(1))
    boxes = [Box(*r[4:8]) for r in rows]
    # from the pixels: they and the µm per pixel may have changed since the run
    areas = (count_masks([r[8] for r in rows], boxes) * row.mpp**2).tolist()
    run, reasons = str(parameters["run"]), dict[str, str]()
    return [
        Candidate(
            id, serial, y, x, Outline.packed(box, mask), score, reasons.setdefault(reason, reason),
            run if of_run else "", area, state or "unreviewed", frozen == 1, name,
        )
        for (id, serial, y, x, _, _, _, _, mask, score, reason, of_run, state, frozen, name), box,
        area in zip(rows, boxes, areas, strict=True)
    ]  # fmt: skip


def adopt(
    context: Context, image: str, run: str, candidates: Sequence[Candidate], core: Box | None = None
) -> list[Candidate]:
    """Take over what a run found in an image; not part of the undo history."""
    row = context.images.row(image)
    masks = [_checked(c.outline, row) for c in candidates]
    with context.database.transaction():
        names = _names(context, row, candidates, core)
        _take_away(context, row, run, None if core is None else [id for id, _ in names])
        context.database.many(
            "INSERT INTO candidate VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (row.id, run, id, serial, c.y, c.x, *c.outline.box, mask, c.score, c.reason)
                for c, (id, serial), mask in zip(candidates, names, masks, strict=True)
            ),
        )
        reach.note(context, (c.outline for c in candidates))
        _note_adoption(context, row, run, len(names), core is not None)
        context.history.note_machine(f"results of run {run}", row.id, Aspect.CANDIDATES)
    return [
        Candidate(id, serial, c.y, c.x, c.outline, c.score, c.reason, run, c.area_um2, c.state,
                  c.frozen, c.class_name)
        for c, (id, serial) in zip(candidates, names, strict=True)
    ]  # fmt: skip


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


def _checked(outline: Outline, row: ImageRow) -> bytes:
    """The outline's packed mask; `NoisySegError` where it is empty or does not fit."""
    y0, x0, y1, x1 = outline.box
    inside = 0 <= y0 < y1 <= row.height and 0 <= x0 < x1 <= row.width
    if not (inside and outline.fits):
        check(outline, row.height, row.width)
    return outline.packed_mask


def _names(
    context: Context, row: ImageRow, candidates: Sequence[Candidate], core: Box | None
) -> list[tuple[str, int]]:
    """Ids and serials: the point's, else those of the best IoU with an earlier one, else new."""
    serials = _serials(context, row, [c.id for c in candidates if c.id])
    names: list[tuple[str, int] | None] = [
        (c.id, serials[c.id]) if c.id in serials else None for c in candidates
    ]
    open_ones = [k for k, name in enumerate(names) if name is None]
    # what a person took away does not come back under its id: it is a new find, to be judged anew
    gone = {str(id) for (id,) in context.database.rows(GONE)}
    around = None if core is None else Box.around([core, *(c.outline.box for c in candidates)])
    earlier = _earlier(context, row, gone | set(serials), around)
    for i, j in match([candidates[k].outline for k in open_ones], [o for *_, o in earlier]).items():
        names[open_ones[i]] = earlier[j][:2]
    fresh = zip(_new_ids(names.count(None)), context.serials(names.count(None)), strict=True)
    return [name if name is not None else next(fresh) for name in names]


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
