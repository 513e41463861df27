"""A day's work in one window in fast motion: `python -m … FOLDER SEED ACTS [DATA]`.

Prints one line of JSON, as the walk does, with how the memory grew.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

EVERY = 25
"""acts between two readings of the memory"""


def soak(folder: Path, seed: int, acts: int, data: Path | None) -> dict[str, Any]:
    """What came of so many acts."""
    from napari_noisyseg.gui.wander.day import ROUND, Day
    from napari_noisyseg.gui.wander.memory import Memory
    from napari_noisyseg.gui.wander.scene import build
    from napari_noisyseg.gui.wander.wandering import Wandering

    wandering, memory = Wandering(build(folder, data), seed), Memory()
    day, layers = Day(wandering.hands), list[int]()
    day.tour(wandering.work.rest)
    for number in range(acts):
        wandering.work_on(number, day.table(number), look=number % ROUND == ROUND - 1)
        if number % EVERY == EVERY - 1:
            memory.read(number + 1)
            layers.append(len(wandering.viewer.layers))
            told = f"{number + 1} acts: {memory.megabytes[-1]:.0f} MB"
            print(told, file=sys.stderr, flush=True)
    wandering.close()
    return {
        **wandering.walked.document(), "memory_growth_mb": memory.growth(),
        "megabytes": memory.megabytes, "layers": layers, "grown": memory.grown(),
    }  # fmt: skip


def main(words: list[str]) -> None:
    """Work, and print what it came to."""
    folder = Path(words[0])
    # before napari is imported, as in the walk
    os.environ["NAPARI_CONFIG"] = str(folder / "settings.yaml")
    os.environ["XDG_DATA_HOME"] = str(folder)
    data = Path(words[3]) if words[3:] else None
    print(json.dumps(soak(folder, int(words[1]), int(words[2]), data)))


if __name__ == "__main__":
    main(sys.argv[1:])
