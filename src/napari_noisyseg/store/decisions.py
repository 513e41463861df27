"""Outlines and decisions: what a person accepted, rejected, doubts or drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import reach, verdicts
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.history import IN_KEYS, as_keys
from napari_noisyseg.store.points import FOUND_BY_RUN, as_nucleus, one_image
from napari_noisyseg.store.records import STATES, Aspect, Look, Nucleus, Outline, State

ACCEPTED_OF_RUN = "candidate"
"""`origin` of an outline that was taken from a run as it was."""

_REMOVAL = Aspect.POINTS | Aspect.OUTLINES
# a point that a person removed is no find of a run either; one never decided on has no row yet
GONE = f"""
SELECT DISTINCT l.id FROM action a CROSS JOIN nucleus_log l ON l.action = a.id AND l.side = 0
WHERE a.state = 'done' AND a.aspects & {_REMOVAL:d} = {_REMOVAL:d} AND NOT EXISTS
    (SELECT 1 FROM nucleus_log m WHERE m.action = l.action AND m.side = 1 AND m.id = l.id)
    AND NOT EXISTS (SELECT 1 FROM nucleus n WHERE n.id = l.id)
UNION SELECT id FROM replaced
"""
# the rows of a run that ids stand for: of the run named, else of their image's newest
NEWEST = "(SELECT run FROM adoption a WHERE a.image = c.image ORDER BY seq DESC LIMIT 1)"
_CHOSEN = f"c.id {IN_KEYS} AND c.run = coalesce(?, {NEWEST})"


def set_outlines(context: Context, outlines: Mapping[str, Outline], origin: str) -> None:
    """Many outlines as one action."""
    if not outlines:
        return
    ids = list(outlines)
    image = one_image(context, ids)
    check_fit(context, outlines)
    words = f"outline {len(ids)} nuclei" if len(ids) > 1 else "outline a nucleus"
    with (
        context.history.action(words, image, Aspect.OUTLINES) as action,
        action.changing("outline", ids),
    ):
        put_outlines(context, outlines, origin)


def outline(context: Context, id: str) -> Outline | None:
    """The outline that a person drew or decided on, or None."""
    found = context.database.row("SELECT y0, x0, y1, x1, mask FROM outline WHERE id = ?", (id,))
    return None if found is None else as_outline(found)


def outlines(
    context: Context, image: str, states: Sequence[State], box: Box | None
) -> list[tuple[Nucleus, Outline]]:
    """Nuclei in these states with their outlines (rejected ones with what was rejected)."""
    row = context.images.row(image)
    sql = (
        "SELECT n.id, n.serial, :name, n.y, n.x, n.class, n.origin, n.state, o.frozen, "
        "o.y0, o.x0, o.y1, o.x1, o.mask FROM outline o JOIN nucleus n ON n.id = o.id "
        f"WHERE o.image = :image AND n.state {IN_KEYS.replace('?', ':states')}"
    )
    parameters: dict[str, Any] = {"name": image, "image": row.id, "states": as_keys(states)}
    if box is not None:
        # frozen or not: said, so that the index is used
        sql += " AND o.frozen IN (0, 1)" + reach.INSIDE.format("o.")
        parameters |= reach.parameters(context, box)
    found = context.database.rows(f"{sql} ORDER BY n.serial", parameters)
    return [(as_nucleus(r[:9]), as_outline(r[9:])) for r in found]


def settled(
    context: Context, image: str, box: Box, labels: NDArray[np.int32], rejected: bool
) -> NDArray[np.int32]:
    """A run's nuclei, int32 (h, w) of `box`, as a person has left them: in a new array."""
    found = outlines(context, image, STATES, box)
    kept = [(n, o) for n, o in found if n.frozen and n.state != "rejected"]
    gone = [n.serial for n, _ in kept]
    if not rejected:
        gone += [n.serial for n, _ in found if n.state == "rejected"]
        gone += _taken_away(context, image)
    left: NDArray[np.int32] = labels.astype(np.int32)
    if gone:
        left[np.isin(labels, gone)] = 0
    for nucleus, outline in kept:
        outline.paste(left, box, nucleus.serial)
    return left


def _taken_away(context: Context, image: str) -> list[int]:
    """Serials of finds that a person removed or merged into another nucleus."""
    found = context.database.rows(
        f"SELECT DISTINCT c.serial FROM ({GONE}) g CROSS JOIN candidate c ON c.id = g.id "
        "WHERE c.image = ? UNION SELECT serial FROM replaced WHERE image = ?",
        (context.images.row(image).id, context.images.row(image).id),
    )
    return [int(serial) for (serial,) in found]


def decide(
    context: Context,
    ids: Sequence[str],
    state: State,
    run: str | None,
    reviewer: str,
    outlines: Mapping[str, Outline],
    look: Look | None = None,
) -> None:
    """Decide on nuclei or candidates as one action; `look`: how it came about, to be kept."""
    if state not in STATES:
        raise NoisySegError(f"{state!r} is not a decision: choose one of {', '.join(STATES)}")
    ids = list(dict.fromkeys(ids))
    if not ids:
        return
    with context.history.action(_words(state, len(ids)), None, Aspect.DECISIONS) as action:
        with action.changing("nucleus", ids), action.changing("outline", ids):
            adopt_as_nuclei(context, ids, run)
            image = one_image(context, ids)
            check_fit(context, outlines)
            _keep_outlines(context, ids, state, run, outlines)
            context.database.run(
                f"UPDATE nucleus SET state = ?, reviewer = ?, "
                f"run = coalesce(?, run, (SELECT c.run FROM candidate c WHERE c.id = nucleus.id "
                f"AND c.run = {NEWEST})) WHERE id {IN_KEYS}",
                (state, reviewer, run, as_keys(ids)),
            )
        verdicts.note(context, action, ids, state, reviewer, look)
        context.history.touch(image, Aspect.OUTLINES | Aspect.POINTS)


def _words(state: State, count: int) -> str:
    verb = {"accepted": "accept", "rejected": "reject", "unsure": "be unsure of"}.get(state)
    things = "a nucleus" if count == 1 else f"{count} nuclei"
    return f"{verb} {things}" if verb else f"take back the decision on {things}"


def adopt_as_nuclei(context: Context, ids: Sequence[str], run: str | None) -> None:
    """What a run found becomes a nucleus of the project when a person decides on it."""
    context.database.run(
        "INSERT OR IGNORE INTO nucleus "
        "(id, serial, image, y, x, class, origin, state, run, reviewer) "
        f"SELECT c.id, c.serial, c.image, c.y, c.x, NULL, '{FOUND_BY_RUN}', 'unreviewed', c.run, ''"
        f" FROM candidate c WHERE {_CHOSEN}",
        (as_keys(ids), run),
    )


def _keep_outlines(
    context: Context,
    ids: Sequence[str],
    state: State,
    run: str | None,
    outlines: Mapping[str, Outline],
) -> None:
    wanted = as_keys(ids)
    if state == "unreviewed":
        # an outline that a person drew stays; one that was accepted as it was goes
        context.database.run(
            f"DELETE FROM outline WHERE id {IN_KEYS} AND origin = '{ACCEPTED_OF_RUN}'", (wanted,)
        )
    else:
        # also of a rejected one: what was rejected there is a hard negative, whatever runs follow
        context.database.run(
            "INSERT OR REPLACE INTO outline "
            f"SELECT c.id, c.image, c.y0, c.x0, c.y1, c.x1, c.mask, '{ACCEPTED_OF_RUN}', 0, c.area "
            f"FROM candidate c WHERE {_CHOSEN} AND NOT EXISTS "
            "(SELECT 1 FROM outline o WHERE o.id = c.id AND o.frozen)",
            (wanted, run),
        )
        context.database.run(
            f"UPDATE outline SET frozen = ? WHERE id {IN_KEYS} AND origin = '{ACCEPTED_OF_RUN}'",
            (int(state == "accepted"), wanted),
        )
    put_outlines(context, {id: outlines[id] for id in ids if id in outlines}, "edit")
    if state == "accepted":
        _refuse_without_outline(context, ids)


def _refuse_without_outline(context: Context, ids: Sequence[str]) -> None:
    count = context.database.value(
        f"SELECT count(*) FROM outline WHERE frozen AND id {IN_KEYS}", (as_keys(ids),)
    )
    if count < len(ids):
        raise NoisySegError(
            f"{len(ids) - count} of {len(ids)} nuclei have no outline to accept: train or predict "
            "first, or draw them"
        )


def put_outlines(context: Context, outlines: Mapping[str, Outline], origin: str) -> None:
    """Write outlines that a person drew or brought; inside an action."""
    if outlines:
        reach.note(context, max(max(o.box.shape) for o in outlines.values()))
    context.database.many(
        "INSERT OR REPLACE INTO outline "
        "SELECT n.id, n.image, ?, ?, ?, ?, ?, ?, 1, ? FROM nucleus n WHERE n.id = ?",
        [(*o.box, o.packed_mask, origin, o.area, id) for id, o in outlines.items()],
    )


def check_fit(context: Context, outlines: Mapping[str, Outline]) -> None:
    """Refuse outlines that do not fit into the images of their nuclei."""
    found = context.database.rows(
        "SELECT n.id, i.height, i.width FROM nucleus n JOIN image i ON i.id = n.image "
        f"WHERE n.id {IN_KEYS}",
        (as_keys(list(outlines)),),
    )
    for id, height, width in found:
        check(outlines[id], height, width)


def check(outline: Outline, height: int, width: int) -> None:
    """Refuse an outline that is empty, reaches out of its image, or whose mask is not its box."""
    box, mask = outline.box, outline.mask
    if mask.shape != box.shape or box.clip((height, width)) != box or not mask.any():
        raise NoisySegError(
            f"an outline of {mask.shape} pixels in the box {tuple(box)} is empty or does not fit "
            f"into the image ({height} x {width} pixels)"
        )


def as_outline(values: Sequence[Any]) -> Outline:
    """An outline from its row: four corners and the packed mask."""
    return Outline.packed(Box(*values[:4]), values[4])
