"""Text in a cell of a table, as text: no program takes it for a formula."""

from __future__ import annotations

_STARTS = ("=", "+", "-", "@", "\t", "\r")
_MARK = "'"


def cell(text: str) -> str:
    """A name as a cell holds it: what a spreadsheet would run gets an apostrophe before it."""
    return _MARK + text if text.lstrip(" ").startswith(_STARTS) else text


def text_of(cell: str) -> str:
    """Undo of `cell`."""
    inner = cell.removeprefix(_MARK)
    return inner if inner.lstrip(" ").startswith(_STARTS) else cell
