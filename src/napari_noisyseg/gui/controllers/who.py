"""The name that decisions carry where a person gave none."""

from __future__ import annotations

import getpass
from functools import cache


@cache
def system_name() -> str:
    """The name by which the system knows the person; empty where it knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
