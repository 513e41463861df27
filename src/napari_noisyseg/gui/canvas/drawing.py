"""Nuclei of a label layer as lines: all of them at once, or those round a box that was changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.gui.canvas.outlines import Paths, outline_paths, outlines_of, paths_of
from napari_noisyseg.gui.kinds import KINDS
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import State

REACH = 96
"""pixels round a changed box in which a nucleus that it touches is looked for as a whole"""
SETTLED: tuple[State, ...] = ("accepted", "rejected", "unsure")


class Drawn(NamedTuple):
    """Outlines by serial number, and the state of those that a person decided on.

    `groups`: the number of each one's class, from 1; `colors`: those of the classes.
    """

    paths: Mapping[int, Paths]
    states: Mapping[int, str]
    groups: Mapping[int, int] = MappingProxyType({})
    colors: Sequence[str] = ()


def of_results(project: Project, image: str, labels: NDArray[np.int32]) -> Drawn:
    """A run's nuclei as lines, with what a person said of them; rejected ones stay to be seen."""
    paths, states = dict(paths_of(labels)), dict[int, str]()
    for nucleus, outline in project.nuclei.outlines(image, SETTLED):
        states[nucleus.serial] = nucleus.state
        if nucleus.state == "rejected":
            paths[nucleus.serial] = outline_paths(outline)
    return Drawn(paths, states, *classed(project, image))


def classed(project: Project, image: str) -> tuple[dict[int, int], list[str]]:
    """By serial number the number of each nucleus's class, from 1; and the classes' colours."""
    known = project.nuclei.classes()
    numbers = {one.name: at for at, one in enumerate(known, 1)}
    named = project.nuclei.of(image, every=True) if known else []
    groups = {n.serial: numbers[n.class_name] for n in named if n.class_name in numbers}
    return groups, [one.color for one in known]


def draw(layer: Any, kind: str, drawn: Drawn | None = None) -> None:
    """Draw all nuclei of a label layer of that kind, traced already or not."""
    pen = KINDS[kind].pen
    if not pen or not isinstance(layer.data, np.ndarray):
        return
    found = drawn if drawn is not None else Drawn(paths_of(layer.data), {})
    overlay = outlines_of(layer)
    overlay.set_all(found.paths, {s: found.states.get(s, pen) for s in found.paths})
    if (found.groups, tuple(found.colors)) != (overlay.groups, tuple(overlay.colors)):
        overlay.group(found.groups, found.colors)


def redraw(layer: Any, kind: str, box: Box) -> None:
    """Draw again the nuclei that a changed box (in the layer's pixels) touches; no others."""
    pen, data = KINDS[kind].pen, layer.data
    if not pen or not isinstance(data, np.ndarray):
        return
    overlay, near = outlines_of(layer), box.grow(REACH).clip(data.shape)
    touched = set(np.unique(data[box.grow(1).clip(data.shape).slices]).tolist()) - {0}
    met = {serial for serial, paths in overlay.paths.items() if _meets(paths, box)}
    part = data[near.slices]
    traced = paths_of(np.where(np.isin(part, list(touched)), part, 0))
    moved = {s: [path + near.origin for path in paths] for s, paths in traced.items()}
    overlay.change(moved, pen, gone=met - touched)


def _meets(paths: Paths, box: Box) -> bool:
    """Whether any path comes into a box or next to it."""
    low, high = np.array(box.origin) - 1.5, np.array((box.y1, box.x1)) + 0.5
    return any(
        bool((path.max(axis=0) >= low).all() and (path.min(axis=0) <= high).all())
        for path in paths
        if len(path)
    )
