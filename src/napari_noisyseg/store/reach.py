"""How tall outlines are at most: an index by their first row then finds those in a box."""

from __future__ import annotations

from collections.abc import Iterable

from napari_noisyseg.slides import Box
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.records import Outline

_FACT = "SELECT value FROM fact WHERE name = 'tallest'"
# undo brings back what is in the log
_ALL = "SELECT max(tall) FROM ({})".format(
    " UNION ALL ".join(
        f"SELECT max(y1 - y0) AS tall FROM {table}"
        for table in ("candidate", "outline", "outline_log")
    )
)


def first_row(context: Context, box: Box) -> int:
    """No outline that reaches into the box begins above this row."""
    found = context.database.value(_FACT)
    # a project of an earlier version, in which nothing was outlined since: then any may
    return box.y0 - int(found) if found is not None else -(2**31)


def note(context: Context, outlines: Iterable[Outline]) -> None:
    """Remember how tall new outlines are; inside a transaction, before or after they are written.

    What is remembered only grows: what undo brings back is no taller.
    """
    tallest = max((outline.box.height for outline in outlines), default=0)
    known = context.database.value(_FACT)
    before = int(known if known is not None else context.database.value(_ALL) or 0)
    if known is None or tallest > before:
        context.database.run(
            "INSERT OR REPLACE INTO fact VALUES ('tallest', ?)", (str(max(tallest, before)),)
        )
