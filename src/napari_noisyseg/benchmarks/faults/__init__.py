"""`faults`: programs killed, power cut, files of strangers; what was lost, and what broke?"""

from __future__ import annotations

import importlib
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from ..report import Report
from . import hostile

SEED, KEPT, READERS = "NOISYSEG_FAULTS_SEED", "NOISYSEG_FAULTS_KEPT", "NOISYSEG_FAULTS_READERS"
"""of the environment: another seed; a folder in which what failed stays; readers (a,b) only"""
INPUTS, KILLS = (2_000, 10_000), (200, 1_000)
"""of the short form, and of the long one"""
ENGINES = {"kills": 0.85, "power": 0.25, "full": 0.1, "commands": 0.1, "windows": 0.02}
"""The modules that kill, with their share of the kills: `run(*, kills, seed, folder)` of each gives
`counts.Counts`. To open a window takes seconds, so that few of them are killed."""
FIGURES = (
    "kills", "acts", "lost", "inputs", "internal", "hangs", "over_memory", "outside", "half",
)  # fmt: skip


def run(data: Path, full: bool) -> Report:
    """Kill while people's acts are stored, then read what was damaged on purpose."""
    seed = int(os.environ.get(SEED, "1"))
    readers = tuple(filter(None, os.environ.get(READERS, "").split(",")))
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(os.environ.get(KEPT) or scratch)
        killed = {
            name: _engine(name, round(share * KILLS[full]), seed, kept / f"{name}-{seed}")
            for name, share in ENGINES.items()
        }
        folder = kept / f"hostile-{seed}"
        campaign = hostile.run(inputs=INPUTS[full], seed=seed, folder=folder, readers=readers)
    counts = [*killed.values(), campaign.counts()]
    figures = {name: float(sum(c.get(name, 0) for c in counts)) for name in FIGURES}
    parts = {**killed, **campaign.by_reader}
    rows: list[dict[str, object]] = [{"part": name, **found} for name, found in parts.items()]
    return Report("faults", figures, _square([*rows, *map(_fault, campaign.faults)]))


def _engine(name: str, kills: int, seed: int, folder: Path) -> dict[str, int]:
    """Counts of one of `ENGINES`."""
    folder.mkdir(parents=True)
    module = importlib.import_module(f"{__name__}.{name}")
    return asdict(module.run(kills=kills, seed=seed, folder=folder))


def _fault(found: hostile.Tried) -> dict[str, object]:
    last = found.words.strip().splitlines()[-1:]
    return {"part": found.reader, "fault": found.outcome, "file": str(found.path), "words": last}


def _square(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows with the same columns, as a table has them."""
    columns = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in columns} for row in rows]
