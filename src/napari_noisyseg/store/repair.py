"""Nuclei mended in a review: split, merged, named; and what a person wrote beside them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import points
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.decisions import adopt_as_nuclei, check_fit, put_outlines
from napari_noisyseg.store.history import IN_KEYS, as_keys
from napari_noisyseg.store.records import Aspect, Nucleus, Outline

SPLIT = "split"
"""`origin` of a nucleus that a person cut from one that was marked."""
LONGEST = 2000
"""letters of a comment"""
_REPAIR = Aspect.DECISIONS | Aspect.OUTLINES | Aspect.POINTS


def split(context: Context, id: str, parts: Sequence[Outline], run: str | None) -> list[Nucleus]:
    """Put two or more parts in place of a nucleus or candidate, with its decision and class."""
    if len(parts) < 2:
        raise NoisySegError("a nucleus is split into two parts at least")
    new = [str(uuid.uuid4()) for _ in parts[1:]]
    with context.history.action(f"split a nucleus in {len(parts)}", None, _REPAIR) as action:
        with action.changing("nucleus", [id]):
            adopt_as_nuclei(context, [id], run)
        whole = points.get(context, id)
        kept, *others = _keeper_first(whole, parts)
        outlines = {id: kept, **dict(zip(new, others, strict=True))}
        with action.changing("nucleus", [id, *new]), action.changing("outline", [id, *new]):
            for one, outline in zip(new, others, strict=True):
                _add_part(context, whole, one, outline)
            if not kept.holds(whole.y, whole.x):
                y, x = kept.middle()
                context.database.run("UPDATE nucleus SET y = ?, x = ? WHERE id = ?", (y, x, id))
            check_fit(context, outlines)
            put_outlines(context, outlines, "edit")
        context.history.touch(points.one_image(context, [id]), _REPAIR)
    return [points.get(context, one) for one in outlines]


def _keeper_first(whole: Nucleus, parts: Sequence[Outline]) -> list[Outline]:
    """The part that stays the nucleus: the one that holds its point, else the largest."""
    return sorted(parts, key=lambda part: (not part.holds(whole.y, whole.x), -part.area))


def _add_part(context: Context, whole: Nucleus, id: str, outline: Outline) -> None:
    (serial,) = context.serials(1)
    # a part of a mere find is one as well until somebody accepts it
    origin = points.FOUND_BY_RUN if whole.origin == points.FOUND_BY_RUN else SPLIT
    context.database.run(
        "INSERT INTO nucleus (id, serial, image, y, x, class, origin, state, run, reviewer) "
        "SELECT ?, ?, image, ?, ?, class, ?, state, run, reviewer FROM nucleus WHERE id = ?",
        (id, serial, *outline.middle(), origin, whole.id),
    )


def merge(context: Context, ids: Sequence[str], outline: Outline, run: str | None) -> None:
    """Let the first of these nuclei or candidates, of one image, stand for all of them."""
    kept, *gone = dict.fromkeys(ids)
    if not gone:
        raise NoisySegError("a nucleus is merged with another one, not with itself")
    with context.history.action(f"merge {len(gone) + 1} nuclei", None, _REPAIR) as action:
        with action.changing("nucleus", [kept, *gone]):
            adopt_as_nuclei(context, [kept, *gone], run)
        image = points.one_image(context, [kept, *gone])
        if image is None:
            raise NoisySegError("nuclei of different images cannot be merged")
        with (
            action.changing("nucleus", [kept, *gone]),
            action.changing("outline", [kept, *gone]),
            action.changing("replaced", gone),
        ):
            _replace(context, kept, gone)
            check_fit(context, {kept: outline})
            put_outlines(context, {kept: outline}, "edit")
        context.history.touch(image, _REPAIR)


def _replace(context: Context, kept: str, gone: Sequence[str]) -> None:
    """The others go; what they were called stays where the one that is kept has no class."""
    keys = as_keys(gone)
    run = context.database.run
    run(
        "UPDATE nucleus SET class = coalesce(class, (SELECT max(g.class) FROM nucleus g "
        f"WHERE g.id {IN_KEYS})) WHERE id = ?",
        (keys, kept),
    )
    run(
        "INSERT OR REPLACE INTO replaced SELECT id, image, serial, ? FROM nucleus "
        f"WHERE id {IN_KEYS}",
        (kept, keys),
    )
    for table in ("outline", "nucleus"):
        run(f"DELETE FROM {table} WHERE id {IN_KEYS}", (keys,))


def set_class(context: Context, ids: Sequence[str], name: str | None, run: str | None) -> None:
    """Name the class of nuclei or candidates (None takes it away); a new class is added."""
    if not ids:
        return
    words = "a nucleus" if len(ids) == 1 else f"{len(ids)} nuclei"
    words = f"name {words} {name.strip()}" if name else f"take the class of {words}"
    with context.history.action(words, None, Aspect.CLASSES) as action:
        with action.changing("nucleus", ids):
            adopt_as_nuclei(context, ids, run)
        points.set_class(context, ids, name)


def set_comment(context: Context, image: str, id: str, words: str) -> None:
    """What a person wants to say of a nucleus or candidate; "" takes it away."""
    words, row = words.strip(), context.images.row(image)
    if len(words) > LONGEST:
        raise NoisySegError(f"a comment may have {LONGEST} letters, this one has {len(words)}")
    if words == comment(context, id):
        return
    did = "comment on a nucleus" if words else "take a comment away"
    with (
        context.history.action(did, row.id, Aspect.COMMENTS) as action,
        action.changing("comment", [id]),
    ):
        context.database.run("DELETE FROM comment WHERE id = ?", (id,))
        if words:
            context.database.run("INSERT INTO comment VALUES (?, ?, ?)", (id, row.id, words))


def comment(context: Context, id: str) -> str:
    """What was said of one nucleus, "" where nothing was."""
    found = context.database.value("SELECT words FROM comment WHERE id = ?", (id,))
    return str(found or "")


def comments(context: Context, image: str) -> Mapping[str, str]:
    """Comments by nucleus id."""
    row = context.images.row(image)
    return dict(context.database.rows("SELECT id, words FROM comment WHERE image = ?", (row.id,)))
