"""Take the documentation's pictures anew: walk the demo's path in the real window and keep them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from napari_noisyseg.benchmarks.display import on_display

IMAGES = Path(__file__).resolve().parent / "images"
SECONDS = 120


def main(first_steps: bool) -> None:
    """Walk, then keep one picture of each step; of the first two steps alone without training."""
    IMAGES.mkdir(exist_ok=True)
    steps = ["annotate", "coarse"] if first_steps else ["annotate", "coarse", "train", "review"]
    with tempfile.TemporaryDirectory() as scratch:
        if first_steps:
            walk = ["-m", "napari_noisyseg.gui.walk", scratch, "0"]
            subprocess.run(on_display([sys.executable, *walk]), check=True)
        else:
            walk = ["-m", "napari_noisyseg", "demo", "--output", scratch, "--seconds", str(SECONDS)]
            subprocess.run([sys.executable, *walk], check=True)
        for step in steps:
            shutil.copyfile(Path(scratch) / f"{step}.png", IMAGES / f"{step}.png")
    if not first_steps:
        shutil.copyfile(IMAGES / "train.png", IMAGES / "panel.png")


if __name__ == "__main__":
    main(first_steps="--first-steps" in sys.argv[1:])
