"""Labels of many small regions, written to a label layer in few large pieces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project

SIDE = 4096
"""pixels of a square that is written as one: whole chunks of the layer, at coarse levels too"""
FEW, LARGE = 4, 2048 * 2048
"""regions that are written each by itself, and pixels of one from which on all are"""


def lay(
    project: Project,
    image: str,
    kind: str,
    regions: Sequence[Box],
    labels_of: Callable[[int], NDArray[np.int32]],
    source: Mapping[str, Any],
) -> None:
    """Write the labels int32 (h, w) of each region, by its place in the list, into the layer.

    Pixels in no region stay as they are; where regions overlap the later one stands.
    """
    if len(regions) <= FEW or any(box.height * box.width > LARGE for box in regions):
        for k, box in enumerate(regions):
            write(project, image, kind, box, labels_of(k), source)
        return
    # a square is packed and waited for while the next one is made
    with ThreadPoolExecutor(1) as writer:
        writing: Future[None] | None = None
        for square, members in _squares(regions):
            box = Box.around(regions[k] for k in members).intersect(square)
            labels = _laid(project.labels.read(image, kind, box), box, regions, members, labels_of)
            if writing is not None:
                writing.result()
            writing = writer.submit(write, project, image, kind, box, labels, source)
            del labels
        if writing is not None:
            writing.result()


def _laid(
    stored: NDArray[Any] | None,
    box: Box,
    regions: Sequence[Box],
    members: Sequence[int],
    labels_of: Callable[[int], NDArray[np.int32]],
) -> NDArray[np.int32]:
    """The labels of a box: those of its regions over what is there already."""
    labels: NDArray[np.int32] = (
        np.zeros(box.shape, np.int32) if stored is None else stored.astype(np.int32, copy=False)
    )
    for k in members:
        both = regions[k].intersect(box)
        labels[both.within(box)] = labels_of(k)[both.within(regions[k])]
    return labels


def write(
    project: Project,
    image: str,
    kind: str,
    box: Box,
    values: NDArray[Any],
    source: Mapping[str, Any],
) -> None:
    """Write the pixels of a box; a box that is the whole image replaces the layer."""
    record = project.image(image)
    if box == Box(0, 0, record.height, record.width):
        project.labels.write(image, kind, values, dict(source))
    else:
        project.labels.write_box(image, kind, box, values, dict(source))
        project.labels.sync(image, kind, box)


def _squares(regions: Sequence[Box]) -> Iterator[tuple[Box, list[int]]]:
    """Every square that regions reach into, and which of them do."""
    found: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for k, box in enumerate(regions):
        for row in range(box.y0 // SIDE, -(-box.y1 // SIDE)):
            for column in range(box.x0 // SIDE, -(-box.x1 // SIDE)):
                found[row, column].append(k)
    for (row, column), members in sorted(found.items()):
        y, x = row * SIDE, column * SIDE
        yield Box(y, x, y + SIDE, x + SIDE), members
