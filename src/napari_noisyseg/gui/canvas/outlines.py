"""Outlines of nuclei as lines, of one width on screen at every zoom.

They belong to a layer, lie right above it, and come and go with it. Paths are (n, 2) of (y, x) in
the layer's own pixels (level 0 of a pyramid), pixel centres on whole numbers; a path whose last
point is its first is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from napari.components.overlays.base import SceneOverlay
from napari.layers.base._base_constants import Blending
from numpy.typing import NDArray
from pydantic import PrivateAttr

from napari_noisyseg.gui.canvas.strips import SIDE, Strip, strips_of
from napari_noisyseg.gui.canvas.tracing import outline_paths, paths_of
from napari_noisyseg.gui.widgets.pens import Pen

__all__ = ["CALLED", "PENS", "OutlinesOverlay", "Pen", "outline_paths", "outlines_of", "paths_of"]

PENS: dict[str, Pen] = {
    "untouched": Pen("#35d0ff", 1.8, casing=0.7),
    "accepted": Pen("#b7ff5a", 2.8),
    "rejected": Pen("#ff6b35", 2.2, on=9, off=5, opacity=0.9),
    "unsure": Pen("#ffe14d", 3.0, on=3, off=4),
    "outline": Pen("#ffe14d", 1.6, casing=0.7),
    "local": Pen("#ffffff", 1.8, on=6, off=4, casing=0.9),
    "rough": Pen("#ff9f1c", 1.8, casing=0.7),
    "now": Pen("#ffffff", 3.0),
    "before": Pen("#ff9f1c", 2.0, on=6, off=4),
    "corrected": Pen("#ffffff", 1.6, casing=0.7),
    "chosen": Pen("#ffffff", 3.2, on=10, off=3, casing=1.6),
    "sketch": Pen("#ffffff", 2.2, casing=1.8),
}
"""What each state of a nucleus looks like: told apart by form and lightness, not by hue alone."""
CALLED = {"untouched": "not reviewed"}
"""states that have other words in a legend"""
KEY = "noisyseg_outlines"
STEP = 16
"""pens that a number can tell apart in each group"""

Paths = Sequence[NDArray[np.floating]]


class OutlinesOverlay(SceneOverlay):  # type: ignore[misc]
    """The outlines of one layer, by the nuclei's serial numbers; draws nothing by itself."""

    visible: bool = True
    blending: Blending = Blending.TRANSLUCENT_NO_DEPTH
    revision: int = 0
    by_group: bool = False
    """whether nuclei have the colour of their group; their pen still says how a line is drawn"""

    _paths: dict[int, Paths] = PrivateAttr(default_factory=dict)
    _states: dict[int, str] = PrivateAttr(default_factory=dict)
    _strips: dict[int, Strip] = PrivateAttr(default_factory=dict)
    _pinned: dict[int, tuple[Paths, str]] = PrivateAttr(default_factory=dict)
    _groups: dict[int, int] = PrivateAttr(default_factory=dict)
    _colors: tuple[str, ...] = PrivateAttr(default=())

    @property
    def paths(self) -> Mapping[int, Paths]:
        """What is drawn, by serial number; not to be changed."""
        return self._paths

    @property
    def states(self) -> Mapping[int, str]:
        """The state of every nucleus that is drawn."""
        return self._states

    @property
    def pinned(self) -> Mapping[int, tuple[Paths, str]]:
        """Paths and states that stand whatever else is said of these nuclei."""
        return self._pinned

    @property
    def groups(self) -> Mapping[int, int]:
        """The group of each nucleus that is in one, from 1; by serial number."""
        return self._groups

    @property
    def colors(self) -> Sequence[str]:
        """The colours of groups 1, 2 and so on, as #rrggbb."""
        return self._colors

    def group(self, groups: Mapping[int, int], colors: Sequence[str]) -> None:
        """Put nuclei into groups; those that are not named are in none."""
        groups = {serial: at for serial, at in groups.items() if 0 < at <= len(colors)}
        strips, states, before = self._strips, self._states, self._groups
        self._groups = groups
        for serial in before.keys() | groups.keys():
            if serial in strips and before.get(serial) != groups.get(serial):
                _ink(strips[serial], states[serial], groups.get(serial, 0))
        shown, self._colors = self.by_group, tuple(colors)
        if shown:  # the colours are sent again
            self.by_group = False
            self.by_group = True
        self._tell()

    def pin(self, paths: Mapping[int, Paths], state_of: Mapping[int, str]) -> None:
        """Let these stand from the next drawing on, in place of what is drawn of them then."""
        _check(state_of.values())
        self._pinned = {serial: (found, state_of[serial]) for serial, found in paths.items()}

    def set_all(self, paths: Mapping[int, Paths], state_of: Mapping[int, str]) -> None:
        """Draw these and no others; a nucleus without a state is untouched."""
        states = {serial: state_of.get(serial, "untouched") for serial in paths}
        paths = {**paths, **{serial: found for serial, (found, _) in self._pinned.items()}}
        states |= {serial: state for serial, (_, state) in self._pinned.items()}
        _check(states.values())
        before, known, strips = self._paths, self._states, self._strips
        self._strips = {
            serial: strip
            for serial, strip in strips.items()
            if states.get(serial) == known[serial] and _same(before[serial], paths[serial])
        }
        self._paths, self._states = dict(paths), states
        self._tell()

    def change(self, paths: Mapping[int, Paths], pen: str, gone: Iterable[int] = ()) -> None:
        """Draw some nuclei again and some no longer, at once; new ones are of the state `pen`."""
        _check((pen,))
        for serial in set(gone) - self._pinned.keys():
            self._forget(serial)
        for serial, found in paths.items():
            if serial in self._pinned:
                continue
            self._paths[serial] = found
            self._states.setdefault(serial, pen)
            self._strips.pop(serial, None)
        self._tell()

    def put(self, serial: int, paths: Paths, state: str) -> None:
        """Draw one nucleus, or draw it again; the others are not touched."""
        _check((state,))
        self._paths[serial], self._states[serial] = paths, state
        self._strips.pop(serial, None)
        self._tell()

    def drop(self, serial: int) -> None:
        """Draw one nucleus no longer, if it was."""
        if serial in self._paths:
            self._forget(serial)
            self._tell()

    def _forget(self, serial: int) -> None:
        for known in (self._paths, self._states, self._strips):
            known.pop(serial, None)

    def restate(self, states: Mapping[int, str]) -> None:
        """Give nuclei other looks; those that are not drawn are passed over."""
        _check(states.values())
        known, strips = self._states, self._strips
        for serial, state in states.items():
            if known.get(serial, state) != state:
                known[serial] = state
                if serial in strips:
                    _ink(strips[serial], state, self._groups.get(serial, 0))
        self._tell()

    def clear(self) -> None:
        """Draw nothing."""
        self.set_all({}, {})

    def pens(self) -> tuple[Pen, ...]:
        """The pens that the strips name by their number."""
        return tuple(PENS.values())

    def strips(self) -> Strip:
        """All corners to draw; only what is new since the last call is worked out."""
        # by their short names: pydantic takes 5 µs to find a private attribute
        paths, states, strips, groups = self._paths, self._states, self._strips, self._groups
        new = [serial for serial in paths if serial not in strips]
        for serial, strip in zip(new, strips_of([paths[s] for s in new]), strict=True):
            _ink(strip, states[serial], groups.get(serial, 0))
            strips[serial] = strip
        return np.concatenate([strips[serial] for serial in paths] or strips_of([()]))

    def _tell(self) -> None:
        self.revision += 1


def _same(a: Paths, b: Paths) -> bool:
    return len(a) == len(b) and all(map(np.array_equal, a, b))


def _check(states: Iterable[str]) -> None:
    if unknown := set(states) - set(PENS):
        raise ValueError(f"no pen for {sorted(unknown)}; there are {sorted(PENS)}")


def _ink(strip: Strip, state: str, group: int) -> None:
    """Write the numbers of pen and group into every corner; the sign says the side."""
    number = list(PENS).index(state) + 1 + STEP * group
    strip[:, SIDE] = np.copysign(number, strip[:, SIDE])


def outlines_of(layer: Any) -> OutlinesOverlay:
    """The outlines of a layer, made when first asked for."""
    found = layer._overlays.get(KEY)
    if found is None:
        # vispy is needed where there may be a window, and only then
        from napari_noisyseg.gui.canvas import strokes

        strokes.register(OutlinesOverlay)
        found = layer._overlays[KEY] = OutlinesOverlay()
    return found  # type: ignore[no-any-return]


def show_lines(layer: Any, shown: bool) -> None:
    """Draw a layer's outlines, or leave them out for a while; where it has none nothing happens."""
    found = layer._overlays.get(KEY)
    if found is not None and found.visible != shown:
        found.visible = shown
