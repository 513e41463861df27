"""`audit`: whether the interval of what is wrong in the rest holds, the queue's looks mixed in.

Reviews are simulated as they are in the window: the queue's order, one look in `EVERY` drawn at
random, broken off anywhere from `ENOUGH` draws on (before, no interval is told). Which nuclei are
wrong comes from real outlines, at clicks and found without, and true masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..review.agreement import share
from ..review.audit import ENOUGH, EVERY, WANTED, Rest, due, interval, sample, wrong_before
from ..store.records import Verdict
from .coarse import FIRST
from .report import Report, Row, mean
from .review_value import RIGHT, case_of
from .tissue import Field, fields

REVIEWS = 5000
NUCLEI = (300, 3000)
LOOKED_AT = (0.1, 0.7)
"""share of the nuclei, when a review is broken off"""
BETTER = (0.0, 0.9)
"""share of the wrong nuclei that a better machine would have made right"""
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tissue:
    """Nuclei of one field: how doubtful the machine calls each, and whether it is wrong."""

    doubt: F64
    wrong: NDArray[np.bool_]


def run(data: Path, full: bool) -> Report:
    """5,000 reviews of what the starter outlines on ten fields of MoNuSeg; `full`: 20,000.

    `coverage` is given when a review is broken off anywhere; `right_to_stop`: how often at most
    `WANTED` of the rest are wrong at the first word that one may stop, looked up after every draw.
    """
    tissues = [_tissue(field) for field in fields(data, "monuseg")[:FIRST]]
    random = np.random.default_rng(0)
    rows = [_row(str(n), tissues, random) for n in range(REVIEWS * (4 if full else 1))]
    stopped = [_stop(tissues, random) for _ in range(REVIEWS // 20)]
    ended = [found for found in stopped if found is not None]
    return Report(
        "audit",
        {
            "reviews": float(len(rows)),
            "coverage": mean(rows, "covered"),
            "too_low": mean(rows, "too_low"),
            "width": mean(rows, "width"),
            "width_ratio": mean(rows, "width") / mean(rows, "wilson"),
            "wilson_coverage": mean(rows, "wilson_covered"),
            "draws": mean(rows, "draws"),
            "right_to_stop": float(np.mean(ended)) if ended else float("nan"),
            "stopped": len(ended) / len(stopped),
        },
        rows[:20],
    )


def _tissue(field: Field) -> Tissue:
    case = case_of(field)
    return Tissue(case.value, case.overlap < RIGHT)


class _Review:
    """One review under way, of nuclei drawn from a field's."""

    def __init__(self, tissues: list[Tissue], random: np.random.Generator) -> None:
        tissue = tissues[random.integers(len(tissues))]
        number = int(np.exp(random.uniform(*np.log(NUCLEI))))
        chosen = random.integers(len(tissue.doubt), size=number)
        self.wrong = tissue.wrong[chosen] & (random.random(number) > random.uniform(*BETTER))
        doubt = tissue.doubt[chosen] + random.normal(0, 1e-6, number)
        self.order = [f"{n:04d}" for n in np.argsort(-doubt)]
        self._by_id = [f"{n:04d}" for n in random.permutation(number)]
        self.verdicts: list[Verdict] = []
        self._looked: set[str] = set()

    def look(self) -> bool:
        """At one more nucleus; whether it was drawn at random."""
        audit = due(len(self.verdicts))
        among = self._by_id if audit else self.order
        id = next(n for n in among if n not in self._looked)
        self._looked.add(id)
        agreed = float(not self.wrong[int(id)])
        way = "audit" if audit else "queue"
        time = float(len(self.verdicts))
        self.verdicts.append(
            Verdict(id, "", "", "accepted", way, "r", time, None, agreed)  # type: ignore[arg-type]
        )
        return audit

    def rest(self) -> Rest:
        """What the audit says."""
        return interval(sample(self.verdicts, self.order))

    def truth(self) -> float:
        """The share of wrong ones that nobody looked at."""
        left = [int(id) for id in self.order if id not in self._looked]
        return float(self.wrong[left].mean()) if left else 0.0


def _row(key: str, tissues: list[Tissue], random: np.random.Generator) -> Row:
    review = _Review(tissues, random)
    for _ in range(max(ENOUGH * EVERY, round(len(review.order) * random.uniform(*LOOKED_AT)))):
        review.look()
    found, truth = review.rest(), review.truth()
    drawn = [wrong_before(v) for v in review.verdicts if v.way == "audit"]
    wilson = share(sum(drawn), len(drawn))
    return {
        "key": key, "nuclei": len(review.order), "looks": len(review.verdicts),
        "draws": len(drawn), "truth": truth, "low": found.low, "high": found.high,
        "covered": float(found.low - 1e-9 <= truth <= found.high + 1e-9),
        "too_low": float(truth > found.high + 1e-9), "width": found.high - found.low,
        "wilson": wilson.high - wilson.low,
        "wilson_covered": float(wilson.low <= truth <= wilson.high),
    }  # fmt: skip


def _stop(tissues: list[Tissue], random: np.random.Generator) -> bool | None:
    """Whether few enough were wrong at the first word to stop; None: it never came."""
    review = _Review(tissues, random)
    for _ in range(len(review.order) - 1):
        if review.look():
            found = review.rest()
            if found.rest and found.done:
                return review.truth() <= WANTED
    return None
