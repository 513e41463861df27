"""What runs found: refined nuclei, their ids for life, and what a person said of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.decisions import GONE, as_outline, check
from napari_noisyseg.store.history import IN_KEYS, as_keys
from napari_noisyseg.store.images import ImageRow
from napari_noisyseg.store.matching import match
from napari_noisyseg.store.packing import pack_mask
from napari_noisyseg.store.records import Aspect, Candidate, Outline

# a frozen outline stands in place of the run's, and is there even where the run found nothing
_OF_RUN = f"""
SELECT c.id, c.serial, c.y, c.x, coalesce(o.y0, c.y0) AS top, coalesce(o.x0, c.x0) AS left,
    coalesce(o.y1, c.y1) AS bottom, coalesce(o.x1, c.x1) AS right, coalesce(o.mask, c.mask),
    c.score, c.reason, c.run, coalesce(n.state, 'unreviewed'), o.id IS NOT NULL, n.class
FROM candidate c LEFT JOIN nucleus n ON n.id = c.id
    LEFT JOIN outline o ON o.id = c.id AND o.frozen
WHERE c.image = :image AND c.run = :run AND c.id NOT IN ({GONE})
"""
_BESIDE = """
SELECT n.id, n.serial, n.y, n.x, o.y0, o.x0, o.y1, o.x1, o.mask, 1.0,
    iif(not o.frozen, 'not found by the newest run',
        iif(n.state = 'unreviewed', 'drawn by a person, not judged yet', 'settled by a person')),
    '', n.state, o.frozen,
    n.class
FROM outline o JOIN nucleus n ON n.id = o.id
WHERE o.image = :image AND NOT EXISTS
    (SELECT 1 FROM candidate c WHERE c.image = :image AND c.run = :run AND c.id = o.id)
"""
_FROZEN = " AND o.frozen"
_OF_IDS = f" AND {{0}}id {IN_KEYS.replace('?', ':ids')}"
_INSIDE = " AND {0}y0 < :bottom AND {0}y1 > :top AND {0}x0 < :right AND {0}x1 > :left"


def newest_run(context: Context, image: ImageRow) -> str | None:
    """The run whose results were adopted last for this image."""
    found = context.database.value(
        "SELECT run FROM adoption WHERE image = ? ORDER BY seq DESC LIMIT 1", (image.id,)
    )
    return None if found is None else str(found)


def of(context: Context, image: str, run: str | None, box: Box | None) -> list[Candidate]:
    """See `Nuclei.candidates`."""
    row = context.images.row(image)
    run = run if run is not None else newest_run(context, row)
    if run is None:
        return []
    first, second = _OF_RUN, _BESIDE + _FROZEN
    parameters: dict[str, Any] = {"image": row.id, "run": run}
    if box is not None:
        # an edited outline may reach where the run's did not: then it is found by `outline`
        first += _INSIDE.format("c.")
        second += _INSIDE.format("o.")
        parameters |= dict(zip(("top", "left", "bottom", "right"), box, strict=True))
    return _read(context, row, f"{first} UNION ALL {second}", parameters)


def judged(
    context: Context, image: str, run: str | None, ids: Collection[str] | None
) -> list[Candidate]:
    """See `Nuclei.judged`."""
    row = context.images.row(image)
    run = run if run is not None else newest_run(context, row)
    parameters: dict[str, Any] = {"image": row.id, "run": run or ""}
    first, second = _OF_RUN, _BESIDE
    if ids is not None:
        first, second = first + _OF_IDS.format("c."), second + _OF_IDS.format("o.")
        parameters["ids"] = as_keys(list(ids))
    return _read(context, row, f"{first} UNION ALL {second}", parameters)


def _read(
    context: Context, row: ImageRow, sql: str, parameters: Mapping[str, Any]
) -> list[Candidate]:
    found = context.database.rows(sql, parameters)
    return sorted((_candidate(r, row.mpp) for r in found), key=lambda c: c.serial)


def adopt(
    context: Context, image: str, run: str, candidates: Sequence[Candidate]
) -> list[Candidate]:
    """See `Nuclei.adopt`."""
    row = context.images.row(image)
    for candidate in candidates:
        check(candidate.outline, row.height, row.width)
    with context.database.transaction():
        named = _named(context, row, candidates)
        context.database.run("DELETE FROM candidate WHERE image = ? AND run = ?", (row.id, run))
        context.database.many(
            "INSERT INTO candidate VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    row.id, run, c.id, c.serial, c.y, c.x, *c.outline.box,
                    pack_mask(c.outline.mask), c.score, c.reason,
                )
                for c in named
            ],
        )  # fmt: skip
        context.database.run(
            "INSERT INTO adoption (image, run, time, found) VALUES (?, ?, ?, ?)",
            (row.id, run, time.time(), len(named)),
        )
        context.history.note_machine(f"results of run {run}", row.id, Aspect.CANDIDATES)
    return [replace(c, run=run) for c in named]


def _named(context: Context, row: ImageRow, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Ids by the rule: the point's, else that of the best IoU with an earlier one, else new."""
    serials = _serials(context, row, [c.id for c in candidates if c.id])
    open_ones = [k for k, c in enumerate(candidates) if c.id not in serials]
    # what a person took away does not come back under its id: it is a new find, to be judged anew
    gone = {str(id) for (id,) in context.database.rows(GONE)}
    earlier = _earlier(context, row, gone | set(serials))
    found = match([candidates[k].outline for k in open_ones], [o for _, _, o in earlier])
    named = [replace(c, serial=serials.get(c.id, 0)) for c in candidates]
    for i, j in found.items():
        named[open_ones[i]] = replace(named[open_ones[i]], id=earlier[j][0], serial=earlier[j][1])
    fresh = [open_ones[i] for i in range(len(open_ones)) if i not in found]
    for k, serial in zip(fresh, context.serials(len(fresh)), strict=True):
        named[k] = replace(named[k], id=str(uuid.uuid4()), serial=serial)
    return named


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


def _earlier(context: Context, row: ImageRow, claimed: set[str]) -> list[tuple[str, int, Outline]]:
    """The newest outline of every nucleus that this image had so far, a person's before a run's."""
    runs = context.database.rows(
        "SELECT c.id, c.serial, c.y0, c.x0, c.y1, c.x1, c.mask, max(a.seq) FROM candidate c "
        "JOIN adoption a ON a.image = c.image AND a.run = c.run WHERE c.image = ? GROUP BY c.id",
        (row.id,),
    )
    people = context.database.rows(
        "SELECT n.id, n.serial, o.y0, o.x0, o.y1, o.x1, o.mask FROM outline o "
        "JOIN nucleus n ON n.id = o.id WHERE o.image = ?",
        (row.id,),
    )
    newest = {r[0]: r for r in [*runs, *people] if r[0] not in claimed}
    return [(str(r[0]), int(r[1]), as_outline(r[2:7])) for r in newest.values()]


def _candidate(row: tuple[Any, ...], mpp: float) -> Candidate:
    id, serial, y, x, *pixels, score, reason, run, state, frozen, class_name = row
    outline = as_outline(pixels)
    # from the pixels: they and the µm per pixel may have changed since the run
    area = outline.area * mpp**2
    return Candidate(
        id, serial, y, x, outline, score, reason, run, area, state, bool(frozen), class_name
    )
