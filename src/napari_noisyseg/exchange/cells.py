"""Text in a cell of a table, written so that no program takes it for a formula."""

from __future__ import annotations

_STARTS = ("=", "+", "-", "@", "\t", "\r")
_MARK = "'"


def cell(text: str) -> str:
    """A name as a cell holds it: a spreadsheet formula gets an apostrophe before it."""
    return _MARK + text if _would_run(text) else text


def text_of(cell: str) -> str:
    """Undo of `cell`."""
    return cell.removeprefix(_MARK) if _would_run(cell) else cell


def _would_run(text: str) -> bool:
    return text.lstrip(" " + _MARK).startswith(_STARTS)
