"""What a benchmark gives back, and the words it needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """A benchmark's figures (key to number) and the rows of its table."""

    benchmark: str
    figures: dict[str, float]
    rows: list[dict[str, object]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As `noisyseg benchmark NAME --json` prints it."""
        return asdict(self)
