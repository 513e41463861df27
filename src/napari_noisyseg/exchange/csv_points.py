"""Points in a table: columns x, y and perhaps class, one row for each nucleus.

Other columns, as our own tables of measurements have them, are ignored.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.cells import text_of
from napari_noisyseg.regular_file import read_text

MAX_BYTES = 128 * 2**20
MAX_POINTS = 3_000_000
"""Of a file; a whole slide has some hundred thousand nuclei."""
COLUMNS = ("x", "y", "class")
DELIMITERS = (",", ";", "\t")
EXPECTED = (
    "the first line must name the columns x and y (level-0 pixels, pixel centres at integers) and "
    "perhaps class, each once, like x,y,class"
)


@dataclass(frozen=True, slots=True)
class PointTable:
    """`points`: (n, 2) of y, x in level-0 pixels; their `classes` and the `lines` they are from."""

    points: NDArray[np.float64]
    classes: list[str | None]
    lines: list[int]


def read(path: Path) -> PointTable:
    """The points of a CSV file; `NoisySegError` names the file, the lines and what is wrong."""
    text = read_text(path, MAX_BYTES)
    header = text.splitlines()[0]
    delimiter = _delimiter(header, path)
    columns = [_clean(c) for c in next(csv.reader([header], delimiter=delimiter))]
    rows: list[tuple[float, float]] = []
    classes: list[str | None] = []
    lines: list[int] = []
    wrong: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        next(reader)
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(lines) + len(wrong) >= MAX_POINTS:
                raise NoisySegError(
                    f"{path} has more than {MAX_POINTS:,} rows: give the points in parts"
                )
            point = _point(row, columns)
            if isinstance(point, str):
                wrong.append(f"line {reader.line_num}: {point}")
                continue
            rows.append(point[:2])
            classes.append(point[2])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise NoisySegError(f"{path}, line {reader.line_num}: {error}") from error
    if wrong:
        raise NoisySegError(f"{path}: {listed(wrong)}; correct these lines")
    if not rows:
        raise NoisySegError(f"{path} holds no points: {EXPECTED}, and the rows below it the points")
    return PointTable(np.array(rows, float), classes, lines)


def listed(items: Sequence[str], limit: int = 5) -> str:
    """The first few of many, and how many there are more."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return "; ".join(items[:limit]) + more


def _clean(column: str) -> str:
    return column.strip().strip('"').lower()


def _delimiter(header: str, path: Path) -> str:
    for delimiter in DELIMITERS:
        columns = [_clean(c) for c in header.split(delimiter)]
        counts = [columns.count(name) for name in COLUMNS]
        if counts in ([1, 1, 0], [1, 1, 1]):
            return delimiter
    raise NoisySegError(f"{path}, line 1: the columns are {header[:80]!r}; {EXPECTED}")


def _point(row: list[str], columns: list[str]) -> tuple[float, float, str | None] | str:
    """y, x and class of a row, or what is wrong with it."""
    if len(row) != len(columns):
        return f"{len(row)} values instead of {len(columns)}"
    cells = dict(zip(columns, row, strict=True))
    try:
        x, y = float(cells["x"]), float(cells["y"])
    except ValueError:
        return f"x, y are {cells['x']!r}, {cells['y']!r}, no numbers"
    if not (math.isfinite(x) and math.isfinite(y)):
        return f"x, y are {cells['x']}, {cells['y']}"
    return y, x, text_of(cells.get("class", "").strip()).strip() or None
