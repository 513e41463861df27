"""Which nuclei of a queue are to be shown: by image, field, class, run, decision, reason, size."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import inf

from napari_noisyseg.review.queue import ReviewItem
from napari_noisyseg.store.records import Field, State

NO_CLASS = ""
"""Stands in `Filter.classes` for nuclei without a class."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a nucleus must be; None is anything. All of it must hold.

    classes: names, `NO_CLASS` for none; areas in µm², score in 0..1, both ends included; ids: none
    but these, such as those that two people see differently.
    """

    images: Collection[str] | None = None
    field: Field | None = None
    classes: Collection[str] | None = None
    runs: Collection[str] | None = None
    states: Collection[State] | None = None
    reasons: Collection[str] | None = None
    smallest_um2: float = 0.0
    largest_um2: float = inf
    least_score: float = 0.0
    most_score: float = 1.0
    ids: Collection[str] | None = None

    def takes(self, item: ReviewItem) -> bool:
        """Whether a nucleus is one of those."""
        found = item.candidate
        pairs = (
            (item.image, self.images),
            (found.class_name or NO_CLASS, self.classes),
            (found.run, self.runs),
            (item.state, self.states),
            (item.reason, self.reasons),
            (item.id, self.ids),
        )
        return (
            all(among is None or value in among for value, among in pairs)
            and self.smallest_um2 <= found.area_um2 <= self.largest_um2
            and self.least_score <= 1 - item.doubt <= self.most_score
            and (self.field is None or self._inside(self.field, item))
        )

    @staticmethod
    def _inside(field: Field, item: ReviewItem) -> bool:
        return item.image == field.image and field.box.contains(item.candidate.y, item.candidate.x)


def rows(items: Sequence[ReviewItem], wanted: Filter) -> list[int]:
    """The rows of a queue that a filter leaves, in the queue's order."""
    return [row for row, item in enumerate(items) if wanted.takes(item)]


def reasons(items: Iterable[ReviewItem]) -> list[tuple[str, int]]:
    """The reasons to look that a queue has, each with its number of nuclei, the commonest first."""
    counts: dict[str, int] = {}
    for item in items:
        counts[item.reason] = counts.get(item.reason, 0) + 1
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
