"""Outlines at the clicks, drawn again; those that a person accepted or drew replace them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.coarse.project import clicked, outlined
from napari_noisyseg.exchange.nuclei import ExportedImage, ExportedNucleus, drawn
from napari_noisyseg.slides import Box, windows_of
from napari_noisyseg.store import ImageRecord, Nucleus, Outline, Project

TOUCHING = np.ones((3, 3), bool)


def outline(project: Project, record: ImageRecord) -> ExportedImage | None:
    """The outline at each click, by the starter's network; None without any click."""
    return _made(project, record, "outline")


def local(project: Project, record: ImageRecord) -> ExportedImage | None:
    """The untrained outline at each click; None without any click."""
    return _made(project, record, "local")


def count(project: Project, record: ImageRecord) -> int:
    """How many nuclei these layers hold, without outlining any."""
    settled = drawn(project, record)
    return len(settled) + sum(len(n) for _, n in _open(project, record, settled))


def _made(
    project: Project, record: ImageRecord, kind: Literal["outline", "local"]
) -> ExportedImage | None:
    settled = drawn(project, record)
    found, doubts = list(settled), []
    for region, nuclei in _open(project, record, settled):
        if nuclei:
            labels, doubt = outlined(project, record.name, region, kind)
            found += _cut_out(labels, region, nuclei, settled)
            doubts.append(doubt)
    if not found:
        return None
    note = "; ".join(dict.fromkeys(filter(None, doubts)))
    return ExportedImage(project, record, sorted(found, key=lambda n: n.serial), note)


def _open(
    project: Project, record: ImageRecord, settled: Sequence[ExportedNucleus]
) -> list[tuple[Box, list[Nucleus]]]:
    """Every region with those of its clicks whose nucleus nobody has decided on yet.

    Of clicks on one pixel the first has the nucleus; a click in an outline that a person settled
    is of that nucleus.
    """
    found = []
    for region, nuclei in clicked(project, record.name):
        first: dict[tuple[int, int], Nucleus] = {}
        for n in nuclei:
            first.setdefault((int(np.floor(n.y + 0.5)), int(np.floor(n.x + 0.5))), n)
        taken = _inside(list(first), [s.outline for s in settled])
        free = [n for n, under in zip(first.values(), taken, strict=True) if not under]
        found.append((region, [n for n in free if n.state != "rejected" and not n.frozen]))
    return found


def _inside(pixels: Sequence[tuple[int, int]], outlines: Iterable[Outline]) -> NDArray[np.bool_]:
    """Which of the pixels lie in any of the outlines."""
    places = np.array(pixels, int).reshape(-1, 2)
    order = np.argsort(places[:, 0], kind="stable")
    ys, xs = places[order].T
    under = np.zeros(len(places), bool)
    for outline in outlines:
        box = outline.box
        rows = slice(*np.searchsorted(ys, (box.y0, box.y1)).tolist())
        near = np.flatnonzero((xs[rows] >= box.x0) & (xs[rows] < box.x1)) + rows.start
        under[order[near]] |= outline.mask[ys[near] - box.y0, xs[near] - box.x0]
    return under


def _cut_out(
    labels: NDArray[np.int32],
    region: Box,
    nuclei: Sequence[Nucleus],
    settled: Sequence[ExportedNucleus],
) -> list[ExportedNucleus]:
    """The nuclei of a label image (h, w) of a region, without what settled ones cover."""
    for other in settled:
        other.outline.paste(labels, region, 0)
    windows = windows_of(labels)
    found = []
    for n in nuclei:
        window = windows.get(n.serial)
        if window is None:
            continue
        box = Box.of_slices(*window).shift(*region.origin)
        outline = Outline.of(_largest_part(labels[window] == n.serial), box)
        if outline is not None:
            found.append(
                ExportedNucleus(
                    n.id, n.serial, n.y, n.x, outline, n.state, n.class_name, None, None
                )
            )
    return found


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A settled neighbour may have cut a nucleus in two."""
    parts, number = ndimage.label(mask, TOUCHING)
    if number < 2:
        return mask
    return np.asarray(parts == np.bincount(parts[mask]).argmax())
