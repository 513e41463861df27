"""`tables`: every table of the papers from one version of the code, by one command.

Each call works for ten minutes and keeps what is done in ./benchmark-runs; call it until it is
complete. The tables so far stand in ./benchmark-runs/tables.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from . import ledger
from .ledger import Row
from .report import Report

TABLES = (
    "mmc-table2", "mmc-table4", "mmc-modes", "superpixel-noise", "ablation", "split-overlap",
    "unseen-image", "external", "mlbseg-ablation", "mlbseg-supervision", "structure", "igtt",
    "rough-field", "two-annotators",
)  # fmt: skip
SCORES = ("dice", "aji", "gain", "recall")
"""which column of a row is the cell's value, the first that is there"""


def run(data: Path, full: bool) -> Report:
    """Every table in turn, for one slice."""
    from . import load

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
    """Table, cell, value, deviation, seeds and the paper's number of each row that has a value."""
    found: list[Row] = []
    for row in report.rows:
        score = next((s for s in SCORES if isinstance(row.get(s), int | float)), None)
        if score is not None:
            own = {key: row.get(key) for key in ("std", "seeds", "paper")}
            found.append({"table": table, "cell": row["key"], "score": score,
                          "value": row[score], **own})  # fmt: skip
    return found


def markdown(rows: list[Row], complete: Mapping[str, bool]) -> str:
    """The page: a table per benchmark, and the version that made them all."""
    lines = [f"Version {ledger.version()} of the code made every cell.\n"]
    for table, done in complete.items():
        lines.append(f"## `{table}`{'' if done else ' (not complete)'}\n")
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
