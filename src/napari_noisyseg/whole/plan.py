"""Which tiles of a slide are predicted, and all that must be the same in every one of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Slide
from napari_noisyseg.whole.lattice import Lattice
from napari_noisyseg.whole.tissue import Tissue, find_tissue

FORMAT = "napari-noisyseg-plan-1"
ROUND = 256
"""Tiles are a multiple of this wide, level-0 px, so that they begin where chunks do."""
LARGEST_ID = 2**31 - 1
SQUARE, SQUARES = 512, 16
"""Side and number of the places whose stains stand for the slide's, px of 0.25 µm."""
SAMPLE_MPP = 0.25


@dataclass(frozen=True, slots=True)
class Tile:
    """A square of the slide: a nucleus whose place is in `core`, level-0 px, is this tile's."""

    index: int
    core: Box


@dataclass(frozen=True)
class Plan:
    """A slide's tiles, row by row, and what each needs beside the pixels.

    icc: whether colours are read in sRGB, by the slide's own profile. channel: of fluorescence that
    is read, None for colours.
    model: which model, by the digest of its weights. tone: what the model measured once on the
    slide, in plain values. side: of a tile in level-0 pixels. mpp: µm per level-0 pixel. sha: of
    the slide's content.
    """

    height: int
    width: int
    mpp: float
    sha: str
    model: str
    side: int
    tissue: Tissue
    tone: Mapping[str, Any] = field(default_factory=dict)
    icc: bool = False
    channel: int | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles, those without tissue included."""
        return -(-self.height // self.side), -(-self.width // self.side)

    @property
    def room(self) -> int:
        """Nuclei that a tile can have: its numbers begin at its index times this, and one more."""
        rows, columns = self.grid
        return (LARGEST_ID - 1) // (rows * columns)

    def tile(self, index: int) -> Tile:
        """The tile of an index."""
        row, column = divmod(index, self.grid[1])
        y, x, side = row * self.side, column * self.side, self.side
        return Tile(index, Box(y, x, min(y + side, self.height), min(x + side, self.width)))

    def tiles(self, regions: Iterable[Box] | None = None) -> Iterator[Tile]:
        """Tiles with tissue; those that reach into one of the regions, where any are given."""
        wanted = None if regions is None else list(regions)
        for index in range(self.grid[0] * self.grid[1]):
            tile = self.tile(index)
            inside = wanted is None or any(not tile.core.intersect(b).empty for b in wanted)
            if inside and self.tissue.touches(tile.core):
                yield tile

    def before(self, index: int) -> list[int]:
        """Tiles with tissue beside a tile whose nuclei come first where two want one pixel."""
        row, column = divmod(index, self.grid[1])
        near = [(row - 1, column - 1), (row - 1, column), (row - 1, column + 1), (row, column - 1)]
        found = [r * self.grid[1] + c for r, c in near if r >= 0 and 0 <= c < self.grid[1]]
        return [n for n in found if self.tissue.touches(self.tile(n).core)]

    def lattice(self, wanted: float) -> Lattice:
        """The slide at `wanted` µm per pixel."""
        return Lattice.of(self.height, self.width, self.mpp, wanted)

    def document(self) -> dict[str, Any]:
        """In plain values, for a file or another machine."""
        return {
            "format": FORMAT, "height": self.height, "width": self.width, "mpp": self.mpp,
            "sha": self.sha, "model": self.model, "side": self.side,
            "tissue": self.tissue.document(), "tone": dict(self.tone), "icc": self.icc,
            "channel": self.channel,
        }  # fmt: skip

    @classmethod
    def of(cls, document: Mapping[str, Any], what: str = "the plan") -> Self:
        """Undo of `document`. Raises NoisySegError for what is no plan."""
        try:
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']!r}")
            plan = cls(
                int(document["height"]), int(document["width"]), float(document["mpp"]),
                str(document["sha"]), str(document["model"]), int(document["side"]),
                Tissue.of(document["tissue"]), dict(document["tone"]),
                bool(document.get("icc", False)), document.get("channel"),
            )  # fmt: skip
            if type(plan.channel) not in (int, type(None)):
                raise ValueError("its channel")
            if min(plan.height, plan.width, plan.side) < 1 or not 0 < plan.mpp < math.inf:
                raise ValueError("its sizes")
        except bounded_json.WRONG as error:
            raise NoisySegError(
                f"{what} cannot be read ({error}): delete it, and predict again"
            ) from error
        return plan

    @classmethod
    def read(cls, path: Path) -> Self:
        """The plan in a file. Raises NoisySegError."""
        return cls.of(bounded_json.read_record(path), str(path))

    def text(self) -> str:
        """As it is kept in a file."""
        return json.dumps(self.document())


def make_plan(slide: Slide, mpp: float, sha: str, model: Any, side: int | None = None) -> Plan:
    """Find the tissue, let the model look at the slide's stains, and lay out the tiles.

    side: of a tile in pixels of the model's own resolution; None for the model's wish. The same
    slide and model give the same plan. Raises NoisySegError where the model cannot judge the slide.
    """
    height, width = slide.shape
    tissue = find_tissue(slide, mpp)
    tone = model.measure(sample_of(slide, mpp, tissue), mpp)
    wanted = (side or model.side) * max(model.mpp(mpp) / mpp, 1e-6)
    rounded = max(ROUND, round(wanted / ROUND) * ROUND)
    return Plan(
        height, width, mpp, sha, model.key, rounded, tissue, tone, bool(slide.icc), slide.channel
    )


def sample_of(slide: Slide, mpp: float, tissue: Tissue) -> NDArray[np.uint8]:
    """Places in the tissue side by side, uint8 (h, w, 3) at 0.25 µm per pixel.

    A small slide as a whole. The places depend only on the slide and its tissue.
    """
    lattice = Lattice.of(*slide.shape, mpp, SAMPLE_MPP)
    height, width = lattice.shape
    if height * width <= SQUARES * SQUARE**2:
        return lattice.read(slide, Box(0, 0, height, width))
    rows, columns = (range(0, max(1, n - SQUARE + 1), SQUARE) for n in lattice.shape)
    held = [(_share(tissue, y, x, lattice.step), y, x) for y in rows for x in columns]
    full = [place for share, *place in held if share >= 0.5]
    full = full or [place for _, *place in sorted(held, reverse=True)[:SQUARES]]
    chosen = [full[n] for n in np.linspace(0, len(full) - 1, min(SQUARES, len(full))).astype(int)]
    shown = [
        lattice.read(slide, Box(y, x, y + SQUARE, x + SQUARE).clip(lattice.shape))
        for y, x in chosen
    ]
    across = math.isqrt(len(shown))
    strips = [np.concatenate(shown[n : n + across], axis=1) for n in range(0, across**2, across)]
    return np.concatenate(strips)


def _share(tissue: Tissue, y: int, x: int, step: float) -> float:
    """Of a square of the sample's lattice, whose pixels are `step` level-0 pixels wide."""
    factor = step / tissue.step
    rows, columns = (slice(int(v * factor), int((v + SQUARE) * factor) + 1) for v in (y, x))
    part = tissue.mask[rows, columns]
    return float(part.mean()) if part.size else 0.0
