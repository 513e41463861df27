"""Who looked at which nucleus: when, how long, how it came up, and what was said of it.

One row for each nucleus and person. The decision that stands is the nucleus's own; a verdict given
blind stands beside it and changes nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.history import IN_KEYS, Action, as_keys
from napari_noisyseg.store.packing import unpack_mask
from napari_noisyseg.store.records import STATES, Aspect, Look, Outline, State, Verdict, Way

_NEWEST = "(SELECT run FROM adoption a WHERE a.image = n.image ORDER BY seq DESC LIMIT 1)"
_BEFORE = "FROM verdict w WHERE w.id = n.id AND w.way IN ('queue', 'audit')"
# a nucleus that was drawn at random once is part of the sample for good, whoever decides again
_NOTE = f"""
INSERT INTO verdict (key, id, image, reviewer, state, way, run, time, ms, agreed)
SELECT n.id || ' ' || :reviewer, n.id, n.image, :reviewer, :state,
    iif(:way = 'blind', :way, coalesce((SELECT way {_BEFORE}), :way)),
    coalesce(n.run, {_NEWEST}, ''),
    iif(:way = 'blind', :time, coalesce((SELECT min(time) {_BEFORE}), :time)), :ms, NULL
FROM nucleus n WHERE n.id {IN_KEYS.replace("?", ":ids")}
ON CONFLICT (key) DO UPDATE SET state = excluded.state, way = excluded.way, run = excluded.run,
    time = excluded.time, ms = coalesce(excluded.ms, ms)
"""
_SEEING = "way != 'blind'"
_OUTLINES = f"""
SELECT v.key, c.y0, c.x0, c.y1, c.x1, c.mask, o.y0, o.x0, o.y1, o.x1, o.mask
FROM verdict v JOIN candidate c ON c.id = v.id AND c.image = v.image AND c.run = v.run
    JOIN outline o ON o.id = v.id AND o.frozen AND o.origin != 'candidate'
WHERE v.{_SEEING} AND v.state = 'accepted' AND v.id {IN_KEYS}
"""
_SELECT = """
SELECT v.id, i.name, v.reviewer, v.state, v.way, v.run, v.time, v.ms, v.agreed
FROM verdict v JOIN image i ON i.id = v.image
"""


def of(context: Context, image: str | None, ways: Sequence[Way]) -> list[Verdict]:
    """What each person said of each nucleus (of one image, or of all), the first look first."""
    sql = f"{_SELECT} WHERE v.way {IN_KEYS}"
    parameters: list[Any] = [as_keys(ways)]
    if image is not None:
        sql, parameters = f"{sql} AND v.image = ?", [*parameters, context.images.row(image).id]
    rows = context.database.rows(f"{sql} ORDER BY v.time, v.id", parameters)
    return [Verdict(*row) for row in rows]


def looks(context: Context) -> int:
    """How many nuclei were looked at one by one, by whoever decided."""
    sql = "SELECT count(*) FROM verdict WHERE way IN ('queue', 'audit')"
    return int(context.database.value(sql))


def looked_at(context: Context, id: str) -> bool:
    """Whether anybody who decided on a nucleus looked at it by itself."""
    sql = "SELECT 1 FROM verdict WHERE id = ? AND way = 'bulk'"
    return context.database.row(sql, (id,)) is None


class AsFound(NamedTuple):
    """A nucleus as the run found it on which it was judged."""

    outline: Outline
    score: float
    reason: str
    run: str


def machine(context: Context, image: str, ids: Collection[str]) -> dict[str, AsFound]:
    """These nuclei as a run found them, whatever a person drew or said since."""
    rows = context.database.rows(
        "SELECT n.id, c.score, c.reason, c.run, c.y0, c.x0, c.y1, c.x1, c.mask "
        "FROM candidate c JOIN nucleus n ON n.id = c.id "
        f"WHERE c.image = ? AND c.id {IN_KEYS} AND c.run = coalesce(n.run, {_NEWEST})",
        (context.images.row(image).id, as_keys(list(ids))),
    )
    return {
        str(id): AsFound(_outline(values), float(score), str(reason), str(run))
        for id, score, reason, run, *values in rows
    }


def of_run(context: Context, image: str, run: str, ids: Collection[str]) -> dict[str, Outline]:
    """The outlines of these nuclei as one run found them; those it lacks are left out."""
    rows = context.database.rows(
        "SELECT id, y0, x0, y1, x1, mask FROM candidate "
        f"WHERE image = ? AND run = ? AND id {IN_KEYS}",
        (context.images.row(image).id, run, as_keys(list(ids))),
    )
    return {str(id): _outline(values) for id, *values in rows}


def adopted(context: Context) -> dict[str, float]:
    """When each run's results came into the project first (Unix seconds)."""
    sql = "SELECT run, min(time) FROM adoption GROUP BY run ORDER BY min(time)"
    return {str(run): float(time) for run, time in context.database.rows(sql)}


def note(
    context: Context,
    action: Action,
    ids: Sequence[str],
    state: State,
    reviewer: str,
    look: Look | None,
) -> None:
    """Keep how the decision `state` on nuclei came about, inside the action that made it.

    What others, or the same person, said before is replaced: what stands was decided once.
    """
    keys = _keys(context, ids)
    if look is not None:
        keys += [f"{id} {reviewer}" for id in ids]
    if not keys:
        return
    run = context.database.run
    with action.changing("verdict", list(dict.fromkeys(keys))):
        passed = f"DELETE FROM verdict WHERE id {IN_KEYS} AND {_SEEING} AND"
        if look is None or state == "unreviewed":
            run(f"{passed} state != ?", (as_keys(ids), state))
        else:
            _put(context, ids, state, reviewer, look)
            run(f"{passed} reviewer != ?", (as_keys(ids), reviewer))
        _compare(context, ids)


def _keys(context: Context, ids: Sequence[str]) -> list[str]:
    sql = f"SELECT key FROM verdict WHERE id {IN_KEYS} AND {_SEEING}"
    return [str(key) for (key,) in context.database.rows(sql, (as_keys(ids),))]


def _put(context: Context, ids: Sequence[str], state: State, reviewer: str, look: Look) -> None:
    values = {
        "ids": as_keys(ids), "reviewer": reviewer, "state": state, "way": look.way,
        "time": time.time(), "ms": look.ms,
    }  # fmt: skip
    context.database.run(_NOTE, values)


def _compare(context: Context, ids: Sequence[str]) -> None:
    """How far the run's outlines agree with what a person made of them.

    Kept, as the run's outline may be drawn again later, in the light of this very decision.
    """
    run, wanted = context.database.run, as_keys(ids)
    run(
        "UPDATE verdict SET agreed = CASE state WHEN 'rejected' THEN 0.0 WHEN 'accepted' THEN 1.0 "
        f"END WHERE id {IN_KEYS} AND {_SEEING} AND run != ''",
        (wanted,),
    )
    for key, *values in context.database.rows(_OUTLINES, (wanted,)):
        found, drawn = _outline(values[:5]), _outline(values[5:])
        run("UPDATE verdict SET agreed = ? WHERE key = ?", (overlap(found, drawn), key))


def _outline(values: Sequence[Any]) -> Outline:
    box = Box(*values[:4])
    return Outline(box, unpack_mask(values[4], box))


def overlap(one: Outline, other: Outline) -> float:
    """Intersection over union of two outlines."""
    both = int(np.count_nonzero(one.cut(other.box) & other.mask))
    return both / max(one.area + other.area - both, 1)


def judge_blind(
    context: Context, ids: Sequence[str], state: State, reviewer: str, ms: int | None
) -> None:
    """Keep what a second person says of nuclei of one image, beside the decision that stands."""
    if state not in STATES:
        raise NoisySegError(f"{state!r} is not a decision: choose one of {', '.join(STATES)}")
    if not reviewer.strip():
        raise NoisySegError("a blind second review needs the reviewer's name")
    keys = [f"{id} {reviewer}" for id in ids]
    sql = f"SELECT id, image, way FROM verdict WHERE key {IN_KEYS}"
    known = context.database.rows(sql, (as_keys(keys),))
    if any(way != "blind" for _, _, way in known):
        raise NoisySegError(
            f"{reviewer} decided on this nucleus already: another person must judge it blind"
        )
    rows = context.database.rows(
        f"SELECT id, image FROM nucleus WHERE id {IN_KEYS}", (as_keys(ids),)
    )
    if len(rows) < len(set(ids)):
        raise NoisySegError("nobody has decided on this nucleus yet: there is nothing to compare")
    words = f"a second opinion on {len(ids)} nuclei" if len(ids) > 1 else "a second opinion"
    with (
        context.history.action(words, rows[0][1], Aspect.DECISIONS) as action,
        action.changing("verdict", keys),
    ):
        context.database.run(f"DELETE FROM verdict WHERE key {IN_KEYS}", (as_keys(keys),))
        if state != "unreviewed":
            _put(context, ids, state, reviewer, Look("blind", ms))
