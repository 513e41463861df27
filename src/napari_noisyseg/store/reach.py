"""How long outlines are at most: an index by their first pixel then finds those in a box."""

from __future__ import annotations

from napari_noisyseg.slides import Box
from napari_noisyseg.store.context import Context

_FACT = "SELECT value FROM fact WHERE name = 'longest side'"
# undo brings back what is in the log
_ALL = "SELECT max(side) FROM ({})".format(
    " UNION ALL ".join(
        f"SELECT max(max(y1 - y0, x1 - x0)) AS side FROM {table}"
        for table in ("candidate", "outline", "outline_log")
    )
)
INSIDE = (
    " AND {0}y0 > :above AND {0}y0 < :bottom AND {0}x0 > :before AND {0}x0 < :right"
    " AND {0}y1 > :top AND {0}x1 > :left"
)
"""Outlines that reach into a box, with `parameters`."""


def parameters(context: Context, box: Box) -> dict[str, int]:
    """What `INSIDE` asks for."""
    found = context.database.value(_FACT)
    # a project of an earlier version, in which nothing was outlined since: then any may be long
    longest = int(found) if found is not None else 2**31
    named = dict(zip(("top", "left", "bottom", "right"), box, strict=True))
    return {**named, "above": box.y0 - longest, "before": box.x0 - longest}


def note(context: Context, longest: int) -> None:
    """Remember the longest side of new outlines; in the transaction that writes them.

    What is remembered only grows: what undo brings back is no longer.
    """
    known = context.database.value(_FACT)
    before = int(known if known is not None else context.database.value(_ALL) or 0)
    if known is None or longest > before:
        context.database.run(
            "INSERT OR REPLACE INTO fact VALUES ('longest side', ?)", (str(max(longest, before)),)
        )
