"""One slide from its first missing tile to its last, each kept as it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from napari_noisyseg.slides import Slide
from napari_noisyseg.whole.model import Model
from napari_noisyseg.whole.pipeline import predicted
from napari_noisyseg.whole.plan import Tile
from napari_noisyseg.whole.stitch import Tiles
from napari_noisyseg.whole.tile import TileNuclei

BEHIND = 2
"""Tiles that wait to be written."""
Told = Callable[[int, int, list[Tile]], object]
"""How many tiles are done, of how many, and which can be seen in the label image since."""
Source = Callable[[Iterable[Tile]], Iterator[TileNuclei]]
"""What predicts tiles."""


def predict_tiles(
    slide: Slide,
    model: Model,
    stitched: Tiles,
    tiles: Iterable[Tile],
    tell: Told = lambda done, count, laid: None,
    stopping: Callable[[], bool] = lambda: False,
    elsewhere: Source | None = None,
) -> bool:
    """Predict those of the tiles that are not done, and keep them; whether all are done now.

    elsewhere: predicts the tiles instead of this machine, in any order. Writing runs beside the
    networks. What was kept stays, whatever happens: call it again to go on.
    """
    wanted = list(tiles)
    missing = stitched.missing(wanted)
    done, count = len(wanted) - len(missing), len(wanted)
    tell(done, count, stitched.lay())
    writing: deque[Future[list[Tile]]] = deque()
    with ThreadPoolExecutor(1, "write") as writer:
        found = elsewhere or partial(predicted, slide, model, stitched.plan, stopping=stopping)
        for nuclei in found(missing):
            writing.append(writer.submit(stitched.add, nuclei))
            while writing and (len(writing) > BEHIND or writing[0].done()):
                done += 1
                tell(done, count, writing.popleft().result())
        while writing:
            done += 1
            tell(done, count, writing.popleft().result())
    return not stitched.missing(wanted)
