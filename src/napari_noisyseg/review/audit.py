"""How right the nuclei are that nobody looked at, from some drawn at random among the looks.

One look in `EVERY` goes to a nucleus drawn evenly from all that were not looked at yet. The queue
takes the doubtful ones out of the rest meanwhile, so that each draw is from another rest; but what
it took out is known. If E of the nuclei were wrong at first, and w of them had been found when r
were left, a draw then is wrong with probability (E - w) / r, whatever the queue did and why. The
product over all draws is the likelihood of E, and of what is wrong in the rest now, a whole number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

from napari_noisyseg.store.records import Verdict

if TYPE_CHECKING:
    from napari_noisyseg.review.items import Items
    from napari_noisyseg.store.project import Project

EVERY = 7
"""Looks of which one is drawn at random."""
FROM = 100
"""Nuclei from which on any are drawn: fewer are looked at altogether."""
ENOUGH = 20
"""Draws from which on they are worth a sentence."""
WANTED = 0.05
"""Share of wrong nuclei in the rest, at most, with which one may stop."""
RIGHT = 0.5
"""IoU with what a person made of it from which on an outline was right."""
STRATA = 20
"""Parts of the queue; what was drawn in a part that is done says nothing of the rest."""
PRIOR = 0.5
"""Jeffreys' prior, as a beta-binomial distribution; chosen by simulation (`benchmark audit`)."""
CELLS = 4000
"""Numbers of wrong nuclei that are told apart."""
CERTAIN = 0.95
STOPPING = 0.998
"""Certainty of each word to stop, which is asked for again and again until it comes."""

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Draw:
    """One nucleus drawn at random: of how many, after how many wrong ones, and what it was."""

    rest: int
    found: int
    wrong: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """All draws; how many nuclei are not looked at now, and how many wrong ones were found."""

    draws: tuple[Draw, ...]
    rest: int
    found: int


@dataclass(frozen=True, slots=True)
class Rest:
    """What `draws` of them say of the `rest` nuclei not looked at: the share of wrong ones.

    `low` and `high` bound it with 95 % certainty; `value` lies in the middle of what is likely.
    `most` bounds it for those who look after every draw and stop at the first good word: with
    `STOPPING` certainty each time.
    """

    low: float
    value: float
    high: float
    draws: int
    rest: int
    most: float = 1.0

    @property
    def enough(self) -> bool:
        """Whether enough were drawn to say anything."""
        return self.draws >= ENOUGH

    @property
    def done(self) -> bool:
        """Whether one may stop: few enough of the rest are wrong, for certain."""
        return not self.rest or (self.enough and self.most <= WANTED)

    @property
    def precision(self) -> tuple[float, float, float]:
        """Share of right ones in the rest: at least, about, at most."""
        return 1 - self.high, 1 - self.value, 1 - self.low


def due(looks: int) -> bool:
    """Whether the look after so many is one at random: one in every `EVERY`, at an odd place."""
    block, at = divmod(looks, EVERY)
    digest = blake2b(f"audit {block}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % EVERY == at


def draw(ids: Iterable[str], is_open: Callable[[str], bool]) -> str | None:
    """The nucleus to be drawn next among those that are open; None where none is.

    That of the smallest id: ids are random numbers themselves (UUID 4) and say nothing of a
    nucleus, so the draw is the same after a restart. ids: in ascending order.
    """
    return next((id for id in ids if is_open(id)), None)


def sample(verdicts: Iterable[Verdict], order: Sequence[str]) -> Sample:
    """Of the nuclei `order` (ids, in the queue's order): those not looked at, and all draws.

    verdicts: of looks, the first look first. What was drawn where the queue is done is left out.
    """
    looked = {v.id: v for v in verdicts if v.agreed is not None}
    part = {id: at * STRATA // max(len(order), 1) for at, id in enumerate(order)}
    live = {part[id] for id in order if id not in looked}
    rest, found = sum(at in live for at in part.values()), 0
    draws = []
    for id, verdict in looked.items():
        if part.get(id) not in live:
            continue
        wrong = wrong_before(verdict)
        if verdict.way == "audit":
            draws.append(Draw(rest, found, wrong))
        rest, found = rest - 1, found + wrong
    return Sample(tuple(draws), rest, found)


def wrong_before(verdict: Verdict) -> bool:
    """Whether what the run had found was wrong: no nucleus, or an outline that had to be redrawn.

    A small correction is none: see `RIGHT`.
    """
    return verdict.agreed is not None and verdict.agreed < RIGHT


def interval(drawn: Sample) -> Rest:
    """The share of wrong nuclei in the rest, with its 95 % interval of highest density."""
    rest, count = drawn.rest, len(drawn.draws)
    if not rest:
        return Rest(0.0, 0.0, 0.0, count, 0, 0.0)
    wrong, width = _numbers(rest)
    chance = _likely(drawn, wrong)
    middle = wrong[int(np.searchsorted(np.cumsum(chance), 0.5))]
    dense = np.argsort(-chance, kind="stable")
    kept = dense[: int(np.searchsorted(np.cumsum(chance[dense]), CERTAIN)) + 1]
    low, high = wrong[kept.min()] - width / 2, wrong[kept.max()] + width / 2
    most = wrong[int(np.searchsorted(np.cumsum(chance), STOPPING))] + width / 2
    ends = (max(low, 0) / rest, middle / rest, min(high, rest) / rest)
    return Rest(*ends, count, rest, min(max(most, high), rest) / rest)


def _numbers(rest: int) -> tuple[F64, float]:
    """Numbers of wrong nuclei to be told apart, and how far each reaches; 0: whole numbers."""
    if rest < CELLS:
        return np.arange(rest + 1, dtype=np.float64), 0.0
    width = rest / CELLS
    return np.asarray((np.arange(CELLS) + 0.5) * width, np.float64), width


def _likely(drawn: Sample, wrong: F64) -> F64:
    """Probability of each number of wrong nuclei in the rest."""
    rest = drawn.rest
    ways = gammaln(rest + 1) - gammaln(wrong + 1) - gammaln(rest - wrong + 1)
    odds = ways + betaln(wrong + PRIOR, rest - wrong + PRIOR)
    with np.errstate(divide="ignore", invalid="ignore"):
        for one in drawn.draws:
            left = wrong + (drawn.found - one.found)
            odds = odds + np.log((left if one.wrong else one.rest - left) / one.rest)
    odds = np.nan_to_num(odds, nan=-np.inf)
    chance = np.exp(odds - odds.max())
    likely: F64 = chance / chance.sum()
    return likely


def assess(project: Project, items: Items, above: float = 0.0) -> Rest:
    """How right those of a queue are that nobody looked at, from a confidence on.

    Those accepted many at once are among them. Only what the newest run found counts, and looks at
    it; nuclei that a person is unsure of are left out. Half a million take seconds: not for a
    handler.
    """
    runs = {name: project.nuclei.adopted_run(name) for name in items.images()}
    said = project.nuclei.verdicts(ways=("queue", "audit"))
    known = [v for v in said if v.run and v.run == runs.get(v.image)]
    counted = {v.id for v in known} | {v.id for v in project.nuclei.verdicts(ways=("bulk",))}
    wanted = (items.scores >= above) & ~items.are("unsure")
    still = items.are("unreviewed") & items.found
    order = [
        id
        for id, one, other in zip(items.ids, wanted.tolist(), still.tolist(), strict=True)
        if one and (other or id in counted)
    ]
    return interval(sample(known, order))


def sentence(found: Rest) -> str:
    """`about 3 in 100 of the 812 not looked at are wrong, at most 6 (41 drawn at random)`."""
    if not found.rest:
        return "every nucleus was looked at"
    if not found.enough:
        return (
            f"{found.draws} of {ENOUGH} nuclei drawn at random: too few to say how many of the "
            f"{found.rest:,} not looked at are wrong"
        )
    about = round(100 * found.value)
    share = f"about {about} in 100" if about else "fewer than 1 in 100"
    most = max(ceil(100 * found.high - 1e-9), 1)
    return (
        f"{share} of the {found.rest:,} not looked at are wrong, at most {most} "
        f"({found.draws} drawn at random)"
    )


def advice(found: Rest, wanted: float = WANTED) -> str:
    """Whether to stop, and what is missing if not."""
    percent = f"{100 * wanted:g} in 100"
    if not found.rest:
        return "the review is done"
    if not found.enough:
        return f"go on: {ENOUGH - found.draws} more random nuclei are needed"
    if found.most <= wanted:
        return f"you can stop: at most {percent} are wrong"
    if found.value >= wanted:
        return f"go on: more than {percent} are wrong"
    return f"go on: it is not yet certain that at most {percent} are wrong"
