"""Take the documentation's pictures anew: walk the demo's path in the real window and keep them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).resolve().parent / "images"
SECONDS = 120


def main() -> None:
    """Walk, then keep one picture of each step."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        walk = ["-m", "napari_noisyseg", "demo", "--output", scratch, "--seconds", str(SECONDS)]
        subprocess.run([sys.executable, *walk], check=True)
        for step in ("annotate", "coarse", "train", "review"):
            shutil.copyfile(Path(scratch) / f"{step}.png", IMAGES / f"{step}.png")
    shutil.copyfile(IMAGES / "train.png", IMAGES / "panel.png")


if __name__ == "__main__":
    main()
