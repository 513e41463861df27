"""Nuclei of the project's label images: rough masks, and masks that a method corrected."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_noisyseg.coarse.project import WHOLE_PIXELS
from napari_noisyseg.exchange.nuclei import ExportedImage, ExportedNucleus
from napari_noisyseg.slides import Box
from napari_noisyseg.store import ImageRecord, Outline, Project

Ints = NDArray[np.int64]
Read = Callable[[Box], NDArray[np.integer] | None]
STRIP = 2**24
"""Pixels that are read at once."""
IDS = uuid.UUID("6f2b3c52-6a0e-4f0e-9d0b-9b1d5f6f9a31")
"""The name space of ids: such nuclei have no id in the project, and get the same in each file."""


def rough(project: Project, record: ImageRecord) -> ExportedImage | None:
    """What was painted or imported as rough masks, each number a nucleus; None where nothing was.

    A brush numbers the fields of a large image each for itself: there connected pixels of one
    number are a nucleus.
    """
    if "rough" not in project.nuclei.planes(record.name):
        return None
    large = record.height * record.width > WHOLE_PIXELS
    return _image(project, record, "rough", partial(project.nuclei.painted, record.name), large)


def corrected(project: Project, record: ImageRecord) -> ExportedImage | None:
    """The rough masks as a run left them; None where no run did.

    Runs number the nuclei of each region for itself, so that connected pixels of one number are a
    nucleus. That holds for masks of 0 and 1, too.
    """
    if "corrected" not in project.labels.kinds(record.name):
        return None
    return _image(project, record, "corrected", partial(project.labels.read, record.name), True)


def _image(
    project: Project,
    record: ImageRecord,
    kind: str,
    read: Callable[[str, Box], NDArray[np.integer] | None],
    apart: bool,
) -> ExportedImage | None:
    runs = _runs(record, partial(read, kind))
    nuclei = [
        ExportedNucleus(
            str(uuid.uuid5(IDS, f"{record.sha} {record.name} {kind} {serial}")),
            serial, *outline.middle(), outline, "unreviewed", None, None, None,
        )
        for serial, outline in _outlines(runs, _pieces(runs) if apart else runs.value)
    ]  # fmt: skip
    nuclei.sort(key=lambda n: n.serial)
    return ExportedImage(project, record, nuclei) if nuclei else None


class _Runs(NamedTuple):
    """Pixels of one value side by side: row, first column, the column after the last, value."""

    row: Ints
    start: Ints
    end: Ints
    value: Ints


def _runs(record: ImageRecord, read: Read) -> _Runs:
    """What is labelled in an image, strip by strip, in reading order."""
    rows = max(1, STRIP // record.width)
    found = [_runs_of(np.zeros((0, 0), np.int32), 0)]
    for y in range(0, record.height, rows):
        labels = read(Box(y, 0, min(y + rows, record.height), record.width))
        if labels is not None and labels.any():
            found.append(_runs_of(labels, y))
    return _Runs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _runs_of(labels: NDArray[np.integer], first: int) -> _Runs:
    framed = np.pad(np.maximum(labels, 0), ((0, 0), (1, 1)))
    change = framed[:, 1:] != framed[:, :-1]
    y, x = np.nonzero(change & (framed[:, 1:] > 0))
    _, end = np.nonzero(change & (framed[:, :-1] > 0))
    return _Runs(y + first, x, end, framed[y, x + 1].astype(np.int64))


def _pieces(runs: _Runs) -> Ints:
    """For each run the number of its piece: connected pixels (corners count) of one value."""
    stride = int(runs.end.max(initial=0)) + 2
    starts, ends = runs.row * stride + runs.start, runs.row * stride + runs.end
    low = np.searchsorted(ends, starts + stride, "left")
    high = np.searchsorted(starts, ends + stride, "right")
    count = np.maximum(high - low, 0)
    upper = np.repeat(np.arange(len(count)), count)
    lower = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - low, count)
    same = runs.value[upper] == runs.value[lower]
    links = coo_array(
        (np.ones(int(same.sum()), bool), (upper[same], lower[same])), (len(count), len(count))
    )
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _outlines(runs: _Runs, groups: Ints) -> Iterator[tuple[int, Outline]]:
    """A number and the outline of each group of runs.

    The number is the group's value; groups after the first of that value get numbers of their own.
    """
    if not groups.size:
        return
    order = np.argsort(groups, kind="stable")
    borders = np.flatnonzero(np.diff(groups[order])) + 1
    used: set[int] = set()
    free = int(runs.value.max()) + 1
    for members in sorted(np.split(order, borders), key=lambda m: int(m[0])):
        serial = int(runs.value[members[0]])
        if serial in used:
            serial, free = free, free + 1
        used.add(serial)
        yield serial, _filled(_Runs(*(part[members] for part in runs)))


def _filled(runs: _Runs) -> Outline:
    """The pixels of runs, in their smallest box."""
    y, x = int(runs.row[0]), int(runs.start.min())
    mask = np.zeros((int(runs.row[-1]) + 1 - y, int(runs.end.max()) - x), bool)
    for row, start, end in zip(runs.row - y, runs.start - x, runs.end - x, strict=True):
        mask[row, start:end] = True
    return Outline(Box(y, x, y + mask.shape[0], x + mask.shape[1]), mask)
