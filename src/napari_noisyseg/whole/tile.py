"""The nuclei of one tile, as they are kept in a file or sent from another machine."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg import bounded_npz
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Slide
from napari_noisyseg.store.durable import write_atomically
from napari_noisyseg.store.packing import pack_mask, unpack_mask
from napari_noisyseg.whole.model import Model, Nuclei
from napari_noisyseg.whole.plan import Plan, Tile

LIMIT = 2**28
"""Bytes of a tile's file, unpacked."""
LARGEST = 4096
"""Side of one nucleus's box, level-0 px."""


@dataclass(frozen=True)
class TileNuclei:
    """The nuclei that belong to one tile, in level-0 pixels of the slide.

    boxes int32 (n, 4) as `Box`; masks: the pixels of each box, packed (`packing.pack_mask`); places
    float64 (n, 2): centres (y, x); scores float32 (n,) in 0..1: how sure; reasons: what speaks
    against each, in words.
    """

    index: int
    boxes: NDArray[np.int32]
    masks: list[bytes]
    places: NDArray[np.float64]
    scores: NDArray[np.float32]
    reasons: list[str]

    def __len__(self) -> int:
        return len(self.boxes)

    def box(self, k: int) -> Box:
        """Of the k-th nucleus."""
        return Box(*self.boxes[k].tolist())

    def mask(self, k: int) -> NDArray[np.bool_]:
        """Of the k-th nucleus, bool of its box."""
        return unpack_mask(self.masks[k], self.box(k))

    def to_bytes(self) -> bytes:
        """All of it, for a file or the network."""
        words = sorted(set(self.reasons))
        codes = {word: n for n, word in enumerate(words)}
        file = io.BytesIO()
        np.savez(
            file,
            index=np.int64(self.index),
            boxes=self.boxes,
            masks=np.frombuffer(b"".join(self.masks), np.uint8),
            lengths=np.array([len(m) for m in self.masks], np.int64),
            places=self.places,
            scores=self.scores,
            reasons=np.array([codes[r] for r in self.reasons], np.uint8),
            words=np.frombuffer("\n".join(words).encode(), np.uint8),
        )
        return file.getvalue()

    def write(self, path: Path) -> None:
        """Into a file, whole or not at all."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def read(cls, path: Path) -> TileNuclei:
        """From a file. Raises NoisySegError where it is damaged."""
        held = bounded_npz.read(path, LIMIT)
        try:
            ends = np.cumsum(np.concatenate([[0], held["lengths"]]))
            masks = held["masks"].tobytes()
            words = held["words"].tobytes().decode().split("\n")
            found = cls(
                int(held["index"]),
                held["boxes"].astype(np.int32).reshape(-1, 4),
                [masks[a:b] for a, b in itertools.pairwise(ends)],
                held["places"].astype(np.float64).reshape(-1, 2),
                held["scores"].astype(np.float32),
                [words[n] for n in held["reasons"]],
            )
            sides = found.boxes[:, 2:] - found.boxes[:, :2]
            counts = {len(found), len(found.masks), len(found.places), len(found.scores)}
            if len(counts | {len(found.reasons)}) > 1 or ((sides < 1) | (sides > LARGEST)).any():
                raise ValueError("its tables do not fit each other")
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise NoisySegError(
                f"{path} is damaged ({error}): delete it, and predict again"
            ) from error
        return found

    def chosen(self, rows: list[int]) -> TileNuclei:
        """Some of them."""
        return TileNuclei(
            self.index, self.boxes[rows], [self.masks[k] for k in rows], self.places[rows],
            self.scores[rows], [self.reasons[k] for k in rows],
        )  # fmt: skip


def nuclei_of_tile(slide: Slide, model: Model, plan: Plan, tile: Tile) -> TileNuclei:
    """The nuclei of one tile: a function of the slide, the model and the plan alone.

    It does not depend on which other tiles are predicted, where or in what order.
    """
    gathered = model.gather(model.look(model.prepare(slide, plan, tile)))
    return owned(model.split(model.draw(gathered)), plan, tile)


def owned(nuclei: Nuclei, plan: Plan, tile: Tile) -> TileNuclei:
    """Those of a window whose place lies in the tile's core and in tissue, in level-0 pixels."""
    lattice, origin = nuclei.lattice, nuclei.window.origin
    names = sorted(nuclei.places)
    places = lattice.places(np.array([nuclei.places[n] for n in names]).reshape(-1, 2) + origin)
    own = plan.tissue.holds(places) if names else np.zeros(0, bool)
    windows: list[Any] = ndi.find_objects(nuclei.labels)
    found = {f.label: f for f in nuclei.found}
    boxes, masks, kept = [], [], []
    for name, place, here in zip(names, places, own, strict=True):
        if not (here and tile.core.contains(*place) and name in found):
            continue
        box, mask = _at_level_0(nuclei, windows[name - 1], name, plan)
        if mask.any():
            boxes.append(box)
            masks.append(pack_mask(mask))
            kept.append(name)
    middles = np.array([(found[n].y, found[n].x) for n in kept]).reshape(-1, 2) + origin
    return TileNuclei(
        tile.index,
        np.array(boxes, np.int32).reshape(-1, 4),
        masks,
        np.round(lattice.places(middles), 2),
        np.array([found[n].score for n in kept], np.float32),
        [found[n].reason for n in kept],
    )


def _at_level_0(
    nuclei: Nuclei, window: tuple[slice, slice], name: int, plan: Plan
) -> tuple[Box, NDArray[np.bool_]]:
    """A nucleus's box and mask in the slide's own pixels."""
    lattice, (top, left) = nuclei.lattice, nuclei.window.origin
    if lattice.step == 1:
        box = Box.of_slices(*window).shift(top, left)
        return box, nuclei.labels[window] == name
    ys = lattice.rows(window[0].start + top, window[0].stop + top, plan.height)
    xs = lattice.rows(window[1].start + left, window[1].stop + left, plan.width)
    if not (len(ys) and len(xs)):
        return Box(0, 0, 0, 0), np.zeros((0, 0), bool)
    rows = lattice.under(ys, lattice.shape[0] - 1) - top
    columns = lattice.under(xs, lattice.shape[1] - 1) - left
    mask = nuclei.labels[np.ix_(rows, columns)] == name
    return Box(int(ys[0]), int(xs[0]), int(ys[-1]) + 1, int(xs[-1]) + 1), mask
