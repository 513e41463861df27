"""The keys that work now: which they are, what they do in words, and how they reach us.

napari's layers take plain keys and Ctrl+Z for themselves, so ours are caught before them, on the
canvas and on the panel, by an event filter. `Keys` knows no Qt; `KeyFilter` is the Qt side.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from psygnal import Signal

from napari_noisyseg.errors import NoisySegError

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


Moves = Mapping[tuple[str, str], str]
"""(scope, the key as it comes) to the key that a person wants in its place"""


class Keys:
    """Which keys each step has. A key is named as Qt writes it: "A", "Ctrl+Z", "Space", "F1".

    A binding is known by the key that it comes with; `moved` are those that a person wants
    elsewhere.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._bindings: dict[str, dict[str, Binding]] = {}
        self.moved: Moves = {}
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
            if found := self._now(scope).get(key):
                return found
        return None

    def _now(self, scope: str) -> dict[str, Binding]:
        """A scope's bindings by the keys that they have now."""
        own = self._bindings.get(scope, {})
        keys = {shipped: self.moved.get((scope, shipped), shipped) for shipped in own}
        return {keys[shipped]: replace(b, key=keys[shipped]) for shipped, b in own.items()}

    def move(self, scope: str, shipped: str, key: str) -> None:
        """Let `key` do what `shipped` comes with; raises NoisySegError where it does something."""
        taken = self._now(scope).get(key) or self._now(ALWAYS).get(key)
        if taken is not None and key != self.moved.get((scope, shipped), shipped):
            raise NoisySegError(
                f"{shown(key)} is already used for “{taken.words}”: press another key"
            )
        moved = {**self.moved, (scope, shipped): key}
        self.moved = {name: wanted for name, wanted in moved.items() if name[1] != wanted}
        self.changed.emit()

    def reset(self) -> None:
        """All keys as they come."""
        self.moved = {}
        self.changed.emit()

    def legend(self, scope: str | None = None) -> list[Binding]:
        """The bindings of a step (the open one by default) and then those that always work."""
        own = self._now(self._scope if scope is None else scope)
        always = self._now(ALWAYS)
        return [*own.values(), *(b for b in always.values() if b.key not in own)]

    def own(self, scope: str) -> list[Binding]:
        """The bindings of one scope alone."""
        return list(self._now(scope).values())

    def shipped(self, scope: str) -> list[str]:
        """The keys that the bindings of `own` come with, in the same order."""
        return list(self._bindings.get(scope, {}))

    def scopes(self) -> list[str]:
        """The steps that have keys, in the order in which they were bound."""
        return [scope for scope in self._bindings if scope != ALWAYS]


def shown(key: str) -> str:
    """A key as it stands on this computer's keyboard: what Qt calls Ctrl is Cmd on a Mac."""
    return key.replace("Ctrl", "Cmd") if platform.system() == "Darwin" else key


def moves_of(text: str) -> dict[tuple[str, str], str]:
    """Moves as they are kept in the settings: `review S K, review M J`; what is odd is left out."""
    parts = [part.split() for part in text.split(",")]
    return {(p[0], p[1]): p[2] for p in parts if len(p) == 3}


def text_of(moves: Moves) -> str:
    """Undo of `moves_of`."""
    return ", ".join(f"{scope} {shipped} {key}" for (scope, shipped), key in moves.items())
