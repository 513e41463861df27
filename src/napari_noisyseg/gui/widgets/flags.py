"""Qt's flags as plain numbers, which is how PyQt6 wants them where Qt declares an int."""

from __future__ import annotations

from typing import Any


def number(flag: Any) -> int:
    """The number of a flag or of several joined by `|`, under any binding."""
    return int(getattr(flag, "value", flag))
