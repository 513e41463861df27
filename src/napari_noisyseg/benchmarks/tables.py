"""`tables`: every table of the papers, by one command, each from one version of its code.

Each call works for ten minutes and keeps what is done in ./benchmark-runs; call it until it is
complete. The tables so far stand in ./benchmark-runs/tables.md. A table's version is that of the
code that it can reach, so that an edit elsewhere costs no row.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import NoisySegError
from . import ledger
from .report import Report, Row

TABLES = (
    "mmc-table2", "mmc-table4", "mmc-modes", "superpixel-noise", "ablation", "split-overlap",
    "unseen-image", "external", "mlbseg-ablation", "mlbseg-supervision", "mlbseg-steered",
    "structure", "igtt", "rough-field", "two-annotators",
)  # fmt: skip
SCORES = ("dice", "aji", "gain", "recall")
"""which column of a row is the cell's value, the first that is there"""
SEVERAL: Mapping[str, tuple[str, ...]] = {
    "superpixel-noise": ("dice_near", "dice"),
    "rough-field": (
        "rough", "corrected", "untrained_starter", "corrected_starter", "gain_over_starter",
        "recall", "precision", "recall_starter", "precision_starter",
    ),
}  # fmt: skip
"""tables whose rows have more than one: what the paper's number stands beside comes first"""
OF_IMAGES = {"rough-field": "noise"}
"""tables with a row for each image: a cell is over all rows that are alike in this column"""
COLUMNS = {
    "cell": "cell", "score": "score", "value": "value", "std": "deviation", "worst": "worst",
    "of": "of", "paper": "paper",
}  # fmt: skip


def run(data: Path, full: bool) -> Report:
    """Every table in turn, for one slice.

    Raises NoisySegError, naming all such files at once, where rows are of another version.
    """
    from . import load

    if stale := ledger.stale(TABLES, full):
        raise NoisySegError(
            f"{', '.join(map(str, stale))}: rows of another version of the code that their tables "
            "depend on; move these files away to measure these tables again (the others go on), or "
            "go back to that version"
        )
    reports: dict[str, Report] = {}
    with ledger.sliced():
        for name in TABLES:
            reports[name] = load(name)(data, full)
    rows = [row for name, report in reports.items() for row in cells(name, report)]
    complete = {name: _complete(report) for name, report in reports.items()}
    figures = {
        f"{name}.{key}": value
        for name, report in reports.items()
        for key, value in report.figures.items()
        if not math.isnan(value)
    }
    page = markdown(rows, complete)
    ledger.FOLDER.mkdir(exist_ok=True)
    (ledger.FOLDER / "tables.md").write_text(page, encoding="utf-8")
    return Report("tables", {**figures, "complete": float(all(complete.values()))}, rows)


def _complete(report: Report) -> bool:
    return bool(report.figures.get("complete", bool(report.figures)))


def cells(table: str, report: Report) -> list[Row]:
    """Each row that has a value: its table and cell, the version of the code that made it, the
    value, its deviation, its worst, of what (`seeds: 3`, `images: 10`), and the paper's number.
    """
    rows = report.rows
    if table in OF_IMAGES:
        rows = _over_images(rows, OF_IMAGES[table], SEVERAL[table])
    about: Row = {"table": table, "version": ledger.version(table)}
    return [
        {**about, **_cell(row, score, score == scores[0])}
        for row in rows
        for scores in [_scores(table, row)]
        for score in scores
    ]


def _scores(table: str, row: Row) -> list[str]:
    """Columns of a row that are cells of its table."""
    several = table in SEVERAL
    there = [s for s in SEVERAL.get(table, SCORES) if isinstance(row.get(s), int | float)]
    return there if several else there[:1]


def _cell(row: Row, score: str, first: bool) -> Row:
    """`std` and `worst` of a row without a score's name are of the one that it is trained for."""
    own = f"std_{score}" in row
    seeds = row.get("seeds")
    return {
        "cell": row["key"], "score": score, "value": row[score],
        "std": row[f"std_{score}"] if own else row.get("std"),
        "worst": row.get(f"worst_{score}") if own else row.get("worst"),
        "of": row.get("of", "" if seeds is None else f"seeds: {seeds}"),
        "paper": row.get("paper") if first else None,
    }  # fmt: skip


def _over_images(rows: Sequence[Row], column: str, scores: Sequence[str]) -> list[Row]:
    """A row for each value of a column: the mean, the deviation and the worst over its images."""
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        kinds.setdefault(str(row[column]), []).append(row)
    found: list[Row] = []
    for kind, alike in kinds.items():
        cell: Row = {"key": kind, "of": f"images: {len(alike)}"}
        for score in scores:
            values = [float(v) for row in alike if isinstance(v := row.get(score), int | float)]
            if values:
                std = statistics.stdev(values) if len(values) > 1 else None
                cell |= {score: statistics.fmean(values), f"std_{score}": std}
                cell[f"worst_{score}"] = min(values)
        found.append(cell)
    return found


def markdown(rows: list[Row], complete: Mapping[str, bool]) -> str:
    """The page: a table per benchmark, and the version that made all its cells."""
    lines: list[str] = []
    for table, done in complete.items():
        lines.append(f"## `{table}`{'' if done else ' (not complete)'}\n")
        reached = len(ledger.code_of(table))
        lines.append(
            f"Version {ledger.version(table)} of the {reached} files that it depends on made every "
            "cell.\n"
        )
        lines.append(f"| {' | '.join(COLUMNS.values())} |\n|{'---|' * len(COLUMNS)}")
        lines += [
            f"| {' | '.join(_shown(row[key]) for key in COLUMNS)} |"
            for row in rows
            if row["table"] == table
        ]
        lines.append("")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
