"""A run's plan: settings by preset, device and time, and how often to look and to save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import Method, MethodConfig, Preset

LONG_BUDGET = 600.0
"""Seconds on a GPU from which networks of the paper's size have time to converge."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to train and how often to show and save.

    epochs: None for the settings' own. deadline: Unix time by which training must be over; it
    rules the number of epochs where it is given. note: why it is so, in words.
    """

    epochs: int | None = None
    deadline: float | None = None
    seed: int = 0
    preview_seconds: float = 4.0
    checkpoint_seconds: float = 30.0
    note: str = ""


def settings(
    method: type[Method], given: Mapping[str, Any], device: str, time_budget: float | None
) -> tuple[MethodConfig, str]:
    """The settings of a run and a word on the preset: a person's choices over the preset's.

    Raises NoisySegError that names the setting and what it may be.
    """
    preset, why = _preset(given, device, time_budget)
    changes = {key: value for key, value in given.items() if key != "preset"}
    try:
        config = method.Config.from_preset(preset, **changes)
    except ValidationError as error:
        raise NoisySegError(words_of(error, method.Config)) from None
    return config, f"preset {preset} ({why})"


def _preset(given: Mapping[str, Any], device: str, time_budget: float | None) -> tuple[Preset, str]:
    chosen = given.get("preset")
    if chosen is not None:
        if chosen not in get_args(Preset):
            raise NoisySegError(f"preset {chosen!r}: choose recommended, small or paper")
        return chosen, "as asked"
    return automatic_preset(device, time_budget)


def automatic_preset(device: str, time_budget: float | None) -> tuple[Preset, str]:
    """What a run starts from where nobody chose, and why.

    time_budget: seconds; None where it goes by epochs.
    """
    if not device.startswith("cuda"):
        return "small", f"for {device.upper()}"
    if time_budget is not None and time_budget < LONG_BUDGET:
        return "small", "for a short time"
    return "recommended", "there is a GPU"


def words_of(error: ValidationError, config: type[MethodConfig]) -> str:
    """What is wrong with the first wrong setting, on one line."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]) or "settings"
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(config.model_fields))
        return f"setting {name!r} is not one of this method's: {known}"
    return f"setting {name}: {first['msg']} (given: {first['input']!r})"
