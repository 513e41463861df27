"""A folder with one real field and its points, as a person may have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_noisyseg.benchmarks.tissue import inner_points


def real_field(where: Path, rgb: np.ndarray, labels: np.ndarray) -> Path:
    """The folder of `field`, made in `where`."""
    folder = where / "a folder with ünïcode"
    folder.mkdir()
    Image.fromarray(rgb[:256, :256]).save(folder / "field.png")
    points = inner_points(labels[:256, :256])
    lines = [f"{x:g},{y:g}\n" for y, x in points]
    (folder / "field.csv").write_text("x,y\n" + "".join(lines))
    return folder
