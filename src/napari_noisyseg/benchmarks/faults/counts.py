"""What a campaign of faults counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Counts:
    """kills: faults made. acts: human acts confirmed before them.

    lost: faults after which a confirmed act was gone, or another state than before or after the
    act in flight was found. half: faults after which something was there by halves: caches, undo,
    readers or results that disagree, leftovers, a project that does not open.
    """

    kills: int = 0
    acts: int = 0
    lost: int = 0
    half: int = 0

    def __add__(self, other: Self) -> Counts:
        return Counts(
            self.kills + other.kills, self.acts + other.acts,
            self.lost + other.lost, self.half + other.half,
        )  # fmt: skip
