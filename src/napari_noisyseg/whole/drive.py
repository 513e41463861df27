"""One slide from its first missing tile to its last, each kept as it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from napari_noisyseg.slides import Slide
from napari_noisyseg.whole.model import Model
from napari_noisyseg.whole.pipeline import predicted
from napari_noisyseg.whole.plan import Tile
from napari_noisyseg.whole.stitch import Tiles

BEHIND = 2
"""Tiles that wait to be written."""
Told = Callable[[int, int, list[Tile]], object]
"""How many tiles are done, of how many, and which can be seen in the label image since."""


def predict_tiles(
    slide: Slide,
    model: Model,
    stitched: Tiles,
    tiles: Iterable[Tile],
    tell: Told = lambda done, count, laid: None,
    stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Predict those of the tiles that are not done, and keep them; whether all are done now.

    Writing runs beside the networks. What was kept stays, whatever happens: call it again to go on.
    """
    wanted = list(tiles)
    missing = stitched.missing(wanted)
    done, count = len(wanted) - len(missing), len(wanted)
    tell(done, count, stitched.lay())
    writing: deque[Future[list[Tile]]] = deque()
    with ThreadPoolExecutor(1, "write") as writer:
        for nuclei in predicted(slide, model, stitched.plan, missing, stopping):
            writing.append(writer.submit(stitched.add, nuclei))
            while writing and (len(writing) > BEHIND or writing[0].done()):
                done += 1
                tell(done, count, writing.popleft().result())
        while writing:
            done += 1
            tell(done, count, writing.popleft().result())
    return not stitched.missing(wanted)
