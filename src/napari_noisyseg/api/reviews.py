"""The review from a script or a notebook: look, accept, reject."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review import audit
from napari_noisyseg.review.queue import ReviewItem, ReviewProgress, ReviewQueue
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Outline, Project, State
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.adoption.clicked import offer

Which = ReviewItem | str | int
"""A nucleus: an item of the review, its id, or its serial number."""


class Picture(NamedTuple):
    """A nucleus with what is around it: rgb uint8 (h, w, 3), mask bool (h, w), box in the image."""

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    box: Box


class Review:
    """The nuclei of a project to review; those that most likely need correction come first.

    project: open for writing. images: names; None for all. reviewer: who decides, saved with each
    decision. The results of finished runs are taken in first; without any run, the outlines at
    the clicks are reviewed. Every decision is on the disk when the call returns, and
    `project.nuclei.undo()` takes it back. What you accept is frozen: no later run changes it. An
    image that cannot be read is left out, with a warning.
    """

    def __init__(
        self, project: Project, images: Sequence[str] | None = None, reviewer: str = ""
    ) -> None:
        if not project.writable:
            raise NoisySegError(
                f"{project.path} is open read-only: a review saves decisions; open it for writing"
            )
        adopt_finished(project)
        offer(project, images, tell=partial(warnings.warn, stacklevel=3))
        self._project = project
        self._queue = ReviewQueue(project, images, reviewer=reviewer)

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[ReviewItem]:
        return iter(self._queue.items)

    def next(self, n: int = 10) -> list[ReviewItem]:
        """The first n nuclei without a decision; `.reason`, `.candidate.score` (0..1)."""
        return self._queue.next(n)

    def accept(self, *nuclei: Which) -> None:
        """Accept nuclei, as items, ids or serials.

        Several in one call are one action for each image, and count as accepted without a look.
        """
        self._decide(nuclei, "accepted")

    def reject(self, *nuclei: Which) -> None:
        """Reject nuclei: exports leave them out, and trainings learn that they are no nuclei."""
        self._decide(nuclei, "rejected")

    def unsure(self, *nuclei: Which) -> None:
        """Put nuclei aside; they come again at the end."""
        self._decide(nuclei, "unsure")

    def accept_above(self, confidence: float) -> int:
        """Accept, as one action, all undecided nuclei with at least this score (0..1); how many."""
        return self._queue.accept_above(confidence)

    def redraw(self, nucleus: Which, mask: ArrayLike, origin: tuple[int, int] = (0, 0)) -> None:
        """Give a nucleus the outline that you drew, as a mask: bool (h, w).

        origin: the place (y, x) of the mask's first pixel in the image. The decision stays.
        """
        drawn = np.asarray(mask, bool)
        if drawn.ndim != 2 or not drawn.any():
            raise NoisySegError("the mask of a nucleus is bool (h, w) with at least one pixel")
        ys, xs = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
        tight = drawn[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        y, x = int(origin[0] + ys[0]), int(origin[1] + xs[0])
        box = Box(y, x, y + tight.shape[0], x + tight.shape[1])
        self._queue.redraw(self._item(nucleus).id, Outline(box, tight))

    def picture(self, nucleus: Which, margin_um: float = 8.0) -> Picture:
        """A nucleus with its surroundings, to be shown."""
        item = self._item(nucleus)
        outline, record = self._queue.outline(item), self._project.image(item.image)
        box = outline.box.grow(round(margin_um / record.mpp)).clip((record.height, record.width))
        mask = np.zeros(box.shape, np.int32)
        outline.paste(mask, box, 1)
        with self._project.pixels(item.image) as slide:
            return Picture(slide.read(box), mask > 0, box)

    @property
    def progress(self) -> ReviewProgress:
        """How far it is: total, accepted, rejected, unsure, reviewed; `.words()`."""
        return self._queue.progress()

    def rest(self) -> str:
        """How many of the nuclei that nobody looked at are wrong, estimated from random ones."""
        return audit.sentence(audit.assess(self._project, self._queue.items))

    def _decide(self, nuclei: Iterable[Which], state: State) -> None:
        by_image: dict[str, list[str]] = defaultdict(list)
        for item in [self._item(nucleus) for nucleus in nuclei]:
            by_image[item.image].append(item.id)
        for ids in by_image.values():
            self._queue.decide(ids, state)

    def _item(self, nucleus: Which) -> ReviewItem:
        if isinstance(nucleus, Integral):  # numpy's and pandas' numbers, too
            item = next(iter(self._queue.items.numbered([int(nucleus)])), None)
        else:
            row = self._queue.row(nucleus.id if isinstance(nucleus, ReviewItem) else str(nucleus))
            item = None if row is None else self._queue.items[row]
        if item is not None:
            return item
        raise NoisySegError(f"nucleus {nucleus}: it is not among those to be judged")
