"""What the decisions so far say of the machine's quality: how often its nuclei were accepted."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_noisyseg.review.items import Items

ENOUGH = 10
"""decisions below which a share is not used to suggest anything"""


@dataclass(frozen=True, slots=True)
class Share:
    """`accepted` of `judged` nuclei, and the 95 % interval of the share behind them."""

    accepted: int
    judged: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The share in 0..1; None when nothing was judged."""
        return self.accepted / self.judged if self.judged else None

    def words(self) -> str:
        """`28 of 30 right (79-98 %)`, or that nothing is known yet."""
        if not self.judged:
            return "none reviewed yet"
        interval = f"{100 * self.low:.0f}–{100 * self.high:.0f} %"
        return f"{self.accepted} of {self.judged} right ({interval})"


def share(accepted: int, judged: int, z: float = 1.959964) -> Share:
    """Wilson's score interval (1927): it holds for few decisions and shares near 0 and 1."""
    if not judged:
        return Share(0, 0, 0.0, 1.0)
    p, zz = accepted / judged, z * z / judged
    centre = (p + zz / 2) / (1 + zz)
    half = z * sqrt(p * (1 - p) / judged + zz / (4 * judged)) / (1 + zz)
    return Share(accepted, judged, max(0.0, centre - half), min(1.0, centre + half))


def share_above(items: Items, confidence: float) -> Share:
    """How many of the judged nuclei with at least this score were accepted; unsure not counted."""
    # what the run did not find says nothing of it
    sure = items.found & (items.scores >= confidence)
    accepted, rejected = (int((sure & items.are(s)).sum()) for s in ("accepted", "rejected"))
    return share(accepted, accepted + rejected)


def suggested_confidence(items: Items, wanted: float = 0.95, otherwise: float = 0.9) -> float:
    """The lowest score (in steps of 0.05) above which the wanted share was accepted so far.

    Needs `ENOUGH` decisions above it; without them, or where no step reaches `wanted`,
    `otherwise`.
    """
    for step in range(10, 20):
        found = share_above(items, step / 20)
        if found.judged >= ENOUGH and found.accepted >= wanted * found.judged:
            return step / 20
    return otherwise
