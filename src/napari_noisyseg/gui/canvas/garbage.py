"""napari's search for garbage after each batch of layers, left out where nothing went."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

SEARCHES = "napari._vispy.canvas"
"""the module of napari that calls `gc.collect` so that the driver frees what a gone layer held"""


@contextmanager
def unsearched() -> Iterator[None]:
    """Inside, napari does not look through all objects: that takes a tenth of a second or more."""
    module = sys.modules.get(SEARCHES)
    found = getattr(module, "gc", None)
    if found is None:
        yield
        return
    setattr(module, "gc", SimpleNamespace(collect=int))  # noqa: B010 (mypy forbids the plain way)
    try:
        yield
    finally:
        setattr(module, "gc", found)  # noqa: B010
