"""`ablation`, `split-overlap` and `external`: SC-Net's Tables II, IV and V.

Trained on some images, tested on others without points; no other process, and no project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from . import scnet_case as case
from .ledger import rows_of
from .report import Report, Row
from .scnet_case import AS_USERS, OURS, PAPERS, SMALL, How, Settings
from .seeds import Job, figures, over_seeds
from .tissue import Field, fields

UPDATES, FULL_UPDATES = 600, 2000
TRAINED, TESTED = 6, 6

ABLATION: dict[str, Settings] = {
    "a": {"use_clu": False, "use_cot": False, "use_color": False},
    "b": {"use_cot": False, "use_color": False},
    "c": {"use_color": False},
    "d": {},
}
"""Table II: which losses each model leaves out"""
PAPER_II = {"a": 0.4301, "b": 0.5177, "c": 0.5296, "d": 0.5620, "clean": 0.5893}
"""AJI; clean: Table III, supervised"""
PAPER_IV = {"0": 0.5620, "20": 0.5469, "40": 0.5465, "60": 0.5305, "80": 0.5413, "100": 0.5302}
PAPER_V = {"cpm15": 0.5132}
SAME = {"0": ("ablation", "d"), "clean": ("ablation", "clean")}
"""arms of Table IV that are models of Table II"""


def ablation(data: Path, full: bool) -> Report:
    """Models A to D of Table II with the paper's labels, and true masks as the ceiling."""
    train, test = split(data)
    updates = updates_of(full)
    arms: dict[str, Job] = {
        model: partial(of_points, train, test, updates, {**PAPERS, **left_out}, how=case.how(full))
        for model, left_out in ABLATION.items()
    }
    arms["clean"] = partial(of_masks, train, test, updates, PAPERS, how=case.how(full))
    return _table("ablation", full, arms, PAPER_II)


def split_overlap(data: Path, full: bool) -> Report:
    """Table IV with the paper's labels: how much of the tiles the two networks share."""
    train, test = split(data)
    updates, made = updates_of(full), case.how(full)
    arms: dict[str, Job] = {
        f"{share}": partial(
            of_points, train, test, updates, {**PAPERS, "split_overlap": share / 100}, how=made
        )
        for share in ((0, 20, 40, 60, 80, 100) if full else (0, 40, 100))
    }
    arms["clean"] = partial(of_masks, train, test, updates, PAPERS, how=made)
    return _table("split-overlap", full, arms, {**PAPER_IV, "clean": PAPER_II["clean"]}, SAME)


def external(data: Path, full: bool) -> Report:
    """Trained on MoNuSeg, tested on CPM-15 and on the stained tissue of DSB 2018.

    Random weights and what they predict alone; as people get it, from first weights and read with
    the starter [`aji_SET_starter`]; the starter untrained [`aji_SET_untrained`]. The starter
    learned from masks of tissue, those of `hist` among it.
    """
    train = fields(data, "monuseg")
    sets = {"cpm15": fields(data, "cpm15"), "hist": fields(data, "dsb2018/hist")}

    @cache
    def trained(starter: bool, seed: int) -> Row:
        settings, how = (AS_USERS, SMALL) if starter else (OURS, case.how(full))
        return _external(train, sets, settings, 2 * updates_of(full), seed, how)

    arms: dict[str, Job] = {
        arm: partial(trained, starter) for arm, starter in (("scnet", False), ("starter", True))
    }
    parts: list[Row] = []
    for name in sets:  # a training is one row, of which each set is a column
        rows, complete = over_seeds("external", full, arms, f"aji_{name}")
        parts += [_part(name, row) for row in rows]
    alone: list[tuple[str, Callable[[], Row]]] = [
        (f"{name}_untrained", partial(case.untrained, test)) for name, test in sets.items()
    ]
    others, done = rows_of("external-untrained", full, alone)
    found = figures(parts, "aji", "aji_")
    found |= {f"aji_{row['key']}": float(str(row["aji"])) for row in others}
    return Report("external", {**found, "complete": float(complete and done)}, [*parts, *others])


def _external(
    train: Sequence[Field],
    sets: Mapping[str, Sequence[Field]],
    settings: Settings,
    updates: int,
    seed: int,
    how: How,
) -> Row:
    model, row = case.trained("scnet", case.points_of(train), settings, updates, seed, how)
    for name, test in sets.items():
        row |= {f"{key}_{name}": value for key, value in case.tested(model, test).items()}
    return row


def _part(name: str, row: Row) -> Row:
    """The cell of one set."""
    key = name if row["key"] == "scnet" else f"{name}_starter"
    scores = {score: row[f"{score}_{name}"] for score in case.SCORES}
    about = {column: row[column] for column in ("std", "worst", "seeds")}
    return {"key": key, **scores, **about, "paper": PAPER_V.get(key)}


def _table(
    name: str,
    full: bool,
    arms: Mapping[str, Job],
    paper: Mapping[str, float],
    same: Mapping[str, tuple[str, str]] | None = None,
) -> Report:
    rows, complete = over_seeds(name, full, arms, "aji", paper, same)
    found = figures(rows, "aji", "aji_")
    return Report(name, {**found, "complete": float(complete)}, rows)


def updates_of(full: bool) -> int:
    """Of every network, in each arm."""
    return FULL_UPDATES if full else UPDATES


def split(data: Path) -> tuple[list[Field], list[Field]]:
    """The images of MoNuSeg to train on and to test on."""
    images = fields(data, "monuseg")
    return images[:TRAINED], images[TRAINED : TRAINED + TESTED]


def of_points(
    train: Sequence[Field],
    test: Sequence[Field],
    updates: int,
    settings: Settings,
    seed: int,
    starter: bool = False,
    how: How = SMALL,
) -> Row:
    """SC-Net from points; with `starter` its prediction is read in that way as well."""
    model, row = case.trained("scnet", case.points_of(train), settings, updates, seed, how)
    read: Row = {"aji_starter": case.read_by_starter(model, test)} if starter else {}
    return {**row, **read, **case.tested(model, test)}


def of_masks(
    train: Sequence[Field],
    test: Sequence[Field],
    updates: int,
    settings: Settings,
    seed: int,
    how: How = SMALL,
) -> Row:
    """Two networks on true masks, as SC-Net has two."""
    two = {**settings, "networks": 2}
    model, row = case.trained("supervised", case.masks_of(train), two, updates, seed, how)
    return {**row, **case.tested(model, test)}
