"""The keys that work now: which they are, what they do in words, and how they reach us.

napari's layers take plain keys and Ctrl+Z for themselves, so ours are caught before them, on the
canvas and on the panel, by an event filter. `Keys` knows no Qt; `KeyFilter` is the Qt side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psygnal import Signal

ALWAYS = "always"
"""The scope of keys that work in every step."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One key: `press` runs once when it goes down, `release` when it comes up (for holding)."""

    key: str
    words: str
    press: Callable[[], object]
    release: Callable[[], object] | None = None
    footer: bool = True


class Keys:
    """Which keys each step has. A key is named as Qt writes it: "A", "Ctrl+Z", "Space", "F1"."""

    changed = Signal()

    def __init__(self) -> None:
        self._bindings: dict[str, dict[str, Binding]] = {}
        self._scope = ""

    @property
    def scope(self) -> str:
        """The step whose keys work now ("" when none is open)."""
        return self._scope

    @scope.setter
    def scope(self, scope: str) -> None:
        self._scope = scope
        self.changed.emit()

    def bind(self, scope: str, *bindings: Binding) -> None:
        """Give `scope` (a step's name or ALWAYS) these keys; the same key again replaces it."""
        self._bindings.setdefault(scope, {}).update({b.key: b for b in bindings})
        self.changed.emit()

    def unbind(self, scope: str) -> None:
        """Take all keys from `scope`."""
        self._bindings.pop(scope, None)
        self.changed.emit()

    def find(self, key: str) -> Binding | None:
        """What `key` does now: the open step's binding, else one that always works."""
        for scope in (self._scope, ALWAYS):
            if found := self._bindings.get(scope, {}).get(key):
                return found
        return None

    def legend(self, scope: str | None = None) -> list[Binding]:
        """The bindings of a step (the open one by default) and then those that always work."""
        own = self._bindings.get(self._scope if scope is None else scope, {})
        always = self._bindings.get(ALWAYS, {})
        return [*own.values(), *(b for b in always.values() if b.key not in own)]

    def own(self, scope: str) -> list[Binding]:
        """The bindings of one scope alone."""
        return list(self._bindings.get(scope, {}).values())

    def scopes(self) -> list[str]:
        """The steps that have keys, in the order in which they were bound."""
        return [scope for scope in self._bindings if scope != ALWAYS]
