"""Cells of a table over several seeds: mean, deviation, how many, and the paper's number."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..errors import NoisySegError
from .ledger import row_of, rows_of
from .report import Row

SEEDS = 3
"""of every cell; $NOISYSEG_SEEDS overrides it"""
DIGITS = 6
"""of a mean: more than any page shows, so that what it shows is rounded once"""
Job = Callable[[int], Row]
"""one training by its seed"""


def seeds() -> int:
    """How many trainings a cell is the mean of."""
    given = os.environ.get("NOISYSEG_SEEDS", "")
    if not given:
        return SEEDS
    if not given.isdecimal() or not 1 <= int(given) <= 100:
        raise NoisySegError(f"NOISYSEG_SEEDS is {given!r}: give a whole number from 1 to 100")
    return int(given)


def over_seeds(
    name: str,
    full: bool,
    arms: Mapping[str, Job],
    score: str = "dice",
    paper: Mapping[str, float] | None = None,
    same: Mapping[str, tuple[str, str]] | None = None,
) -> tuple[list[Row], bool]:
    """A row per arm: the mean of `score` and its deviation over the seeds, and the paper's.

    All arms with one seed come before any with the next, so that what is there can be compared.
    same: arms that are the very same training as an arm of another table, by (table, arm): what
    that one has kept is not trained again.
    """
    twins = same or {}
    jobs = [
        (f"{arm} seed {seed}", partial(_once, job, seed, full, twins.get(arm)))
        for seed in range(seeds())
        for arm, job in arms.items()
    ]
    rows, complete = rows_of(name, full, jobs)
    found = [_cell(arm, _of(arm, rows), score, (paper or {}).get(arm)) for arm in arms]
    return [row for row in found if row["seeds"]], complete


def _once(job: Job, seed: int, full: bool, twin: tuple[str, str] | None) -> Row:
    kept = None if twin is None else row_of(twin[0], full, f"{twin[1]} seed {seed}")
    return job(seed) if kept is None else kept


def _of(arm: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if str(row["key"]).rpartition(" seed ")[0] == arm]


def _cell(arm: str, rows: Sequence[Row], score: str, paper: float | None) -> Row:
    """Every number of the rows as its mean; of scores the deviation too (two seeds or more).

    `std`: that of the score; `std_KEY`: of a further column whose name begins as the score's does.
    """
    values = {
        key: [float(str(row[key])) for row in rows]
        for key in (rows[0] if rows else {})
        if key != "key" and all(isinstance(row.get(key), int | float) for row in rows)
    }
    means: Row = {key: round(statistics.fmean(of_key), DIGITS) for key, of_key in values.items()}
    many = len(rows) > 1
    deviation = round(statistics.stdev(values[score]), DIGITS) if many else None
    worst = min(values[score]) if rows else None
    further = [key for key in values if key.startswith(f"{score.partition('_')[0]}_")]
    others = {f"std_{k}": round(statistics.stdev(values[k]), DIGITS) for k in further if many}
    about = {"std": deviation, "worst": worst, "seeds": len(rows), "paper": paper}
    return {"key": arm, **means, **others, **about}


def figures(rows: Sequence[Row], score: str = "dice", prefix: str = "dice_") -> dict[str, float]:
    """`PREFIX`KEY: the mean, and std_KEY: the deviation where there are seeds for one."""
    found: dict[str, float] = {}
    for row in rows:
        key = str(row["key"]).removeprefix(prefix)
        found[f"{prefix}{key}"] = float(str(row[score]))
        if row["std"] is not None:
            found[f"std_{key}"] = float(str(row["std"]))
    return found
