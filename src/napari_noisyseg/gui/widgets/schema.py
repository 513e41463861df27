"""What a form must know of a method's settings, read from their JSON schema; no Qt here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Value = bool | int | float | str
Kind = Literal["bool", "int", "float", "str", "choice"]

IMPORTANT = ("preset", "working_mpp", "batch_size")
"""settings of every method that come first; a method's own choices come right after them"""
SELDOM = ("splitting",)
"""choices of every method that the presets make well"""


@dataclass(frozen=True, slots=True)
class FormField:
    """One setting: what it is, what it may be, and the sentence that explains it."""

    name: str
    kind: Kind
    default: Value
    help: str = ""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    @property
    def label(self) -> str:
        """The name as a person reads it."""
        words = self.name.replace("_", " ").strip()
        return words[:1].upper() + words[1:]

    @property
    def important(self) -> bool:
        """Whether it stands in the open or under “More”."""
        return self.name in IMPORTANT or (self.kind == "choice" and self.name not in SELDOM)

    def problem(self, value: Value) -> str:
        """Why this value cannot be, in words; empty when it can."""
        if self.kind not in ("int", "float") or not isinstance(value, int | float):
            return ""
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return f"{self.label}: must be {'above' if self.low_open else 'at least'} {self.low:g}"
        if self.high is not None and (value > self.high or (self.high_open and value == self.high)):
            return f"{self.label}: must be {'below' if self.high_open else 'at most'} {self.high:g}"
        return ""


def form_fields(schema: Mapping[str, Any], hidden: Sequence[str] = ()) -> list[FormField]:
    """The settings of a pydantic JSON schema in their order, important ones first.

    A setting of a kind that a form cannot show raises TypeError: settings are flat by rule.
    """
    found = [
        _field(name, entry) for name, entry in schema["properties"].items() if name not in hidden
    ]
    rank = {name: k for k, name in enumerate(IMPORTANT)}
    return sorted(found, key=lambda f: (not f.important, rank.get(f.name, len(rank))))


def _field(name: str, entry: Mapping[str, Any]) -> FormField:
    kind = _kind(name, entry)
    choices = entry.get("enum") or ([entry["const"]] if "const" in entry else [])
    low, low_open = _bound(entry, "minimum", "exclusiveMinimum")
    high, high_open = _bound(entry, "maximum", "exclusiveMaximum")
    return FormField(
        name=name,
        kind=kind,
        default=float(entry["default"]) if kind == "float" else entry["default"],
        help=" ".join(str(entry.get("description", "")).split()),
        choices=tuple(choices),
        low=low,
        high=high,
        low_open=low_open,
        high_open=high_open,
    )


def _kind(name: str, entry: Mapping[str, Any]) -> Kind:
    if "enum" in entry or "const" in entry:
        return "choice"
    kinds: dict[str, Kind] = {
        "boolean": "bool",
        "integer": "int",
        "number": "float",
        "string": "str",
    }
    if entry.get("type") not in kinds or "default" not in entry:
        raise TypeError(f"setting {name!r} is not flat or has no default: {dict(entry)}")
    return kinds[entry["type"]]


def _bound(entry: Mapping[str, Any], closed: str, opened: str) -> tuple[float | None, bool]:
    if opened in entry:
        return entry[opened], True
    return entry.get(closed), False
