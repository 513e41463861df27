"""`tables`: every table of the papers, by one command, each from one version of its code.

Each call works for ten minutes and keeps what is done in ./benchmark-runs; call it until it is
complete. The tables so far stand in ./benchmark-runs/tables.md. A table's version is that of the
code that it can reach, so that an edit elsewhere costs no row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from ..errors import NoisySegError
from . import ledger
from .report import Report, Row

TABLES = (
    "mmc-table2", "mmc-table4", "mmc-modes", "superpixel-noise", "ablation", "split-overlap",
    "unseen-image", "external", "mlbseg-ablation", "mlbseg-supervision", "structure", "igtt",
    "rough-field", "two-annotators",
)  # fmt: skip
SCORES = ("dice", "aji", "gain", "recall")
"""which column of a row is the cell's value, the first that is there"""
SEVERAL: Mapping[str, tuple[str, ...]] = {
    "superpixel-noise": ("dice_near", "dice"),
    "rough-field": ("corrected_starter", "untrained_starter", "corrected", "recall"),
}
"""tables whose rows have more than one: what the paper's number stands beside comes first"""


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
    value, its deviation, its seeds and the paper's number.
    """
    found: list[Row] = []
    version = ledger.version(table)
    for row in report.rows:
        for score in _scores(table, row):
            std = row.get(f"std_{score}", row.get("std"))
            own = {"value": row[score], "std": std, "seeds": row.get("seeds")}
            paper = row.get("paper") if score == _scores(table, row)[0] else None
            found.append({"table": table, "version": version, "cell": row["key"], "score": score,
                          **own, "paper": paper})  # fmt: skip
    return found


def _scores(table: str, row: Row) -> list[str]:
    """Columns of a row that are cells of its table."""
    several = table in SEVERAL
    there = [s for s in SEVERAL.get(table, SCORES) if isinstance(row.get(s), int | float)]
    return there if several else there[:1]


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
        lines.append(
            "| cell | score | value | deviation | seeds | paper |\n|---|---|---|---|---|---|"
        )
        for row in (row for row in rows if row["table"] == table):
            values = (row[key] for key in ("cell", "score", "value", "std", "seeds", "paper"))
            lines.append(f"| {' | '.join(_shown(value) for value in values)} |")
        lines.append("")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
