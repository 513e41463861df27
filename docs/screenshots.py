"""Take the documentation's pictures again, from the real window: one for each step and chapter.

`python docs/screenshots.py [CHAPTER ...]`; without a chapter all of them. Bundled tissue only.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image, ImageDraw

from napari_noisyseg import noise, samples
from napari_noisyseg.benchmarks.display import on_display
from napari_noisyseg.exchange import importing
from napari_noisyseg.slides import read_labels
from napari_noisyseg.store import Project

if TYPE_CHECKING:
    from napari_noisyseg.gui.walk import Walk

IMAGES = Path(__file__).resolve().parent / "images"
SECONDS = 90.0
CLEAN, CLICKED = 20, 30
MOVING = "moving.webp"
FRAME = (960, 608)
"""pixels of a frame of the moving picture"""
STILL_MS = 900
SHOWN = 8


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


def moving(folder: Path) -> None:
    """The first minute as a moving picture: clicks with their outlines, then a review by keys."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    from napari_noisyseg.gui.walk import Walk
    from napari_noisyseg.gui.wander.hands import Hands

    there, frames = Walk(folder, project_of(folder, "moving")), Frames(folder)
    hands, truth = Hands(there.panel), read_labels(samples.FIELD_NUCLEI)
    tissue = there.viewer.layers[0]
    there.viewer.scene.camera.zoom *= 1.6
    there.wait(0.5)
    frames.take(there)
    middles = [np.argwhere(truth == serial).mean(axis=0) for serial in noise.ids_of(truth)]
    spots = [hands.spot(tissue, (y, x)) for y, x in middles]
    seen = [spot for spot in spots if hands.within(spot) == spot]
    for spot in seen[:: len(seen) // SHOWN][:SHOWN]:
        hands.click(spot)
        there.wait(0.5)
        at = hands.canvas.mapTo(hands.window, hands.canvas.rect().topLeft())
        frames.take(there, (at.x() + spot[0], at.y() + spot[1]))
    there.panel.open_step("review")
    dock = there.panel.docks["review"]
    there.until(lambda: dock.review.item is not None, 60.0)
    there.wait(2.0)
    frames.take(there)
    for key in "AARAA":
        QTest.keyClick(hands.canvas, getattr(Qt.Key, f"Key_{key}"))
        there.wait(0.5)
        frames.take(there)
    frames.keep(IMAGES / MOVING)
    there.viewer.close()


class Frames:
    """Pictures of the window, one after the other, with the mouse drawn where it clicked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._frames: list[Image.Image] = []

    def take(self, there: Walk, mouse: tuple[int, int] | None = None) -> None:
        """The window as it is now."""
        there.picture("frame")
        with Image.open(self._folder / "frame.png") as picture:
            frame = picture.convert("RGB")
        if mouse is not None:
            x, y = mouse
            arrow = [(0, 0), (0, 26), (6, 20), (11, 30), (15, 28), (10, 18), (19, 18)]
            ImageDraw.Draw(frame).polygon(
                [(x + dx, y + dy) for dx, dy in arrow], fill="white", outline="black"
            )
        self._frames.append(frame.resize(FRAME, Image.Resampling.LANCZOS))

    def keep(self, path: Path) -> None:
        """All of them as one WebP that begins again at its end."""
        first, *others = self._frames
        first.save(
            path, save_all=True, append_images=others, duration=STILL_MS, loop=0, quality=70,
            method=6,
        )  # fmt: skip


CHAPTERS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "steps": (steps, ("annotate", "coarse", "train", "review", "panel")),
    "rough": (rough, ("rough", "changes")),
    "nothing": (nothing, ("suggested", "superpixel")),
    "moving": (moving, ()),
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
    unknown = [chapter for chapter in chapters if chapter not in CHAPTERS]
    if unknown:
        sys.exit(f"no chapter {', '.join(unknown)}: there are {', '.join(CHAPTERS)}")
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
