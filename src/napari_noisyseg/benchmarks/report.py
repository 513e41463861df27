"""What a benchmark gives back, and the words it needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

Row = dict[str, object]
"""of a table, by column"""


@dataclass(frozen=True, slots=True)
class Report:
    """A benchmark's figures (key to number) and the rows of its table."""

    benchmark: str
    figures: dict[str, float]
    rows: list[Row] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As `noisyseg benchmark NAME --json` prints it."""
        return asdict(self)


def mean(rows: Iterable[Row], key: str) -> float:
    """Mean of a column over the rows that have it; NaN for none."""
    values = [float(v) for row in rows if isinstance(v := row.get(key), int | float)]
    return sum(values) / len(values) if values else float("nan")
