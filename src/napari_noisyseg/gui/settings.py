"""What a person set for the plugin in napari's preferences."""

from __future__ import annotations

import contextlib
from typing import TypeVar

from napari.settings import get_plugin_settings

T = TypeVar("T", bool, float, str)


def setting(group: str, key: str, default: T) -> T:
    """A setting of napari.yaml's `configurations`; the default where napari has none."""
    try:
        return type(default)(getattr(getattr(get_plugin_settings("napari-noisyseg"), group), key))
    except (AttributeError, KeyError, TypeError, ValueError):
        return default


def keep(group: str, key: str, value: bool | float | str) -> None:
    """Set a setting of napari.yaml's `configurations`, for good; nothing where napari has none."""
    with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError, OSError):
        settings = get_plugin_settings("napari-noisyseg")
        setattr(getattr(settings, group), key, value)
        settings.save()
