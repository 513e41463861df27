"""`python -m napari_noisyseg.gui.wander FOLDER SEED ACTS [DATA]` prints one line of JSON.

On a display or a virtual one. ACTS is how many, or their numbers as 3,17,29.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(folder: Path, seed: int, acts: list[int], data: Path | None) -> None:
    """Walk, and print what it came to."""
    # before napari is imported: the walk touches nobody's settings and nobody's projects
    os.environ["NAPARI_CONFIG"] = str(folder / "settings.yaml")
    os.environ["XDG_DATA_HOME"] = str(folder)
    from napari_noisyseg.gui.wander.scene import build
    from napari_noisyseg.gui.wander.wandering import Wandering

    wandering = Wandering(build(folder, data), seed)
    walked = wandering.walk(acts)
    wandering.close()
    print(json.dumps(walked.document()))


def numbers(words: str) -> list[int]:
    """The acts' numbers: so many from 0 on, or just those that are named."""
    return [int(v) for v in words.split(",")] if "," in words else list(range(int(words)))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]), int(given[1]), numbers(given[2]), Path(given[3]) if given[3:] else None)
