"""Take the documentation's pictures anew, from the real window: one for each step and chapter.

`python docs/screenshots.py [CHAPTER ...]`; without a chapter all of them. Bundled tissue only.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from napari_noisyseg import noise, samples
from napari_noisyseg.benchmarks.display import on_display
from napari_noisyseg.exchange import importing
from napari_noisyseg.slides import read_labels
from napari_noisyseg.store import Project

IMAGES = Path(__file__).resolve().parent / "images"
SECONDS = 90.0
CLEAN, CLICKED = 20, 30


def project_of(folder: Path, name: str, rough: bool = False, clean: int = 0) -> Path:
    """The bundled field in a project, with boxes as rough masks and some trusted nuclei."""
    path, truth = folder / f"{name}.noisyseg", read_labels(samples.FIELD_NUCLEI)
    trusted = np.where(np.isin(truth, noise.ids_of(truth)[:clean]), truth, 0)
    with Project.create(path) as project:
        project.add_image(samples.FIELD, name="tnbc", mpp=samples.FIELD_MPP)
        if rough:
            boxes = folder / "boxes.tif"
            tifffile.imwrite(boxes, noise.simulate(truth, "box", seed=1).astype(np.int32))
            importing.import_rough(project, "tnbc", boxes)
        if clean:
            tifffile.imwrite(folder / "clean.tif", trusted.astype(np.int32))
            importing.import_clean(project, "tnbc", folder / "clean.tif", complete=False)
    return path


def steps(folder: Path) -> None:
    """Chapter 1: the four steps; and the whole field under review, for the README."""
    from napari_noisyseg.gui.walk import Walk, walk

    walk(folder, SECONDS)
    there = Walk(folder, folder / "tnbc.noisyseg")
    there.panel.open_step("review")
    there.wait(3.0)
    there.panel.session.front.fit()
    there.picture("panel")
    there.viewer.close()


def rough(folder: Path) -> None:
    """Chapter 2: rough masks, and what mask correction made of them."""
    from napari_noisyseg.gui.walk import Walk

    there = Walk(folder, project_of(folder, "rough", rough=True, clean=CLEAN))
    there.picture("rough")
    there.train(SECONDS, "mmc")
    there.panel.session.toggle("changes", True)
    there.panel.session.toggle("refined", False)
    there.wait(10.0)
    there.picture("changes")
    there.viewer.close()


def nothing(folder: Path) -> None:
    """Chapter 3: suggestions from a few clicks, superpixels, and no annotation at all."""
    from napari_noisyseg.gui.walk import Walk

    path = project_of(folder, "few")
    truth = read_labels(samples.FIELD_NUCLEI)
    serials = np.random.default_rng(0).permutation(noise.ids_of(truth))[:CLICKED]
    with Project.open(path) as project:
        middles = [np.argwhere(truth == serial).mean(axis=0) for serial in serials]
        project.nuclei.add_many("tnbc", np.array(middles))
    there = Walk(folder, path)
    tool = there.panel.docks["annotate"].suggest.tool
    tool.ask()
    there.until(lambda: bool(tool.open), 60.0)
    there.wait(1.0)
    there.picture("suggested")
    there.viewer.close()
    there = Walk(folder, project_of(folder, "masks", rough=True))
    there.train(SECONDS, "superpixel")
    there.panel.docks["train"].rounds.step(1)
    there.wait(2.0)
    there.picture("superpixel")
    there.viewer.close()


CHAPTERS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "steps": (steps, ("annotate", "coarse", "train", "review", "panel")),
    "rough": (rough, ("rough", "changes")),
    "nothing": (nothing, ("suggested", "superpixel")),
}


def take(chapter: str) -> None:
    """Walk a chapter in this process and keep its pictures."""
    act, names = CHAPTERS[chapter]
    with tempfile.TemporaryDirectory() as scratch:
        act(Path(scratch))
        for name in names:
            keep(Path(scratch) / f"{name}.png")


def keep(path: Path) -> None:
    """A picture as JPEG in full colours: a quarter of the bytes in the repository."""
    with Image.open(path) as picture:
        picture.convert("RGB").save(IMAGES / f"{path.stem}.jpg", quality=90, subsampling=0)


def main(chapters: list[str]) -> None:
    """Each chapter in a window of its own, on a virtual display where there is none."""
    IMAGES.mkdir(exist_ok=True)
    for chapter in chapters or list(CHAPTERS):
        here = [sys.executable, str(Path(__file__).resolve()), "--here", chapter]
        subprocess.run(on_display(here), check=True)


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["--here"]:
        take(words[1])
    else:
        main(words)
