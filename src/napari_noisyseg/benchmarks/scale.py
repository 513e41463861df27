"""`scale`, `export`: a project of half a million nuclei, from adoption to the exported file."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import JobError
from . import many
from .report import Report, Row

NUCLEI = {"scale": (50_000, 500_000), "export": (50_000, 200_000)}
"""nuclei of the quick and of the long form"""


def run(data: Path, full: bool) -> Report:
    """Adopt, open, review, look and export, each in a fresh process; with `full` half a million."""
    rows = _steps(data, NUCLEI["scale"][full], ("adopt", "use", "export"))
    figures = {k: float(str(v)) for row in rows for k, v in row.items() if k.endswith(_FIGURES)}
    figures["export_per_second"] = min(figures["geojson_per_second"], figures["csv_per_second"])
    figures["memory_mb"] = max(float(str(row["memory_mb"])) for row in rows)
    return Report("scale", figures, rows)


def export(data: Path, full: bool) -> Report:
    """GeoJSON and CSV of very many nuclei; with `full` 200,000."""
    rows = _steps(data, NUCLEI["export"][full], ("adopt", "export"))
    figures = {
        k: float(str(v)) for row in rows for k, v in row.items() if k.endswith("_per_second")
    }
    return Report("export", figures, rows)


_FIGURES = ("_seconds", "_ms", "_per_second")


def _steps(data: Path, count: int, steps: tuple[str, ...]) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        many.make(data, Path(folder), count)
        return [_child(Path(folder), step) for step in steps]


def _child(folder: Path, step: str) -> Row:
    """One step in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-P", "-m", f"{__package__}.scale_steps", str(folder), step]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"scale: {step} broke off: {done.stderr.strip()[-300:]}")
    row: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return row
