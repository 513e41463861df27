"""Tiles one after the other, with reading and splitting beside the networks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from napari_noisyseg.slides import Slide
from napari_noisyseg.whole.model import Model
from napari_noisyseg.whole.plan import Plan, Tile
from napari_noisyseg.whole.tile import TileNuclei, owned

AHEAD = 2
"""Tiles that are read before the networks need them, and that wait to be split."""


def predicted(
    slide: Slide,
    model: Model,
    plan: Plan,
    tiles: Iterable[Tile],
    stopping: Callable[[], bool] = lambda: False,
    splitters: int = 1,
) -> Iterator[TileNuclei]:
    """The nuclei of each tile, in order, as they are ready; stops early where `stopping` says so.

    The networks run in the caller's thread; a few tiles are in memory at once, whatever the slide.
    """
    waiting = iter(tiles)
    with ThreadPoolExecutor(1, "read") as readers, ThreadPoolExecutor(splitters, "split") as split:
        reading: deque[Future[Any]] = deque()
        gathering: deque[tuple[Tile, Future[Any]]] = deque()
        splitting: deque[Future[TileNuclei]] = deque()
        try:
            _read_ahead(readers, reading, waiting, slide, model, plan)
            while (going := bool(reading) and not stopping()) or gathering:
                if going:
                    tile, prepared = reading.popleft().result()
                    _read_ahead(readers, reading, waiting, slide, model, plan)
                    gathering.append((tile, split.submit(model.gather, model.look(prepared))))
                    del prepared
                if len(gathering) > 1 or not (going and reading):
                    tile, gathered = gathering.popleft()
                    drawn = model.draw(gathered.result())
                    splitting.append(split.submit(_split, model, drawn, plan, tile))
                    del drawn, gathered
                while splitting and (len(splitting) > AHEAD + splitters - 1 or splitting[0].done()):
                    yield splitting.popleft().result()
            while splitting:
                yield splitting.popleft().result()
        finally:
            for future in (*reading, *splitting, *(found for _, found in gathering)):
                future.cancel()


def _read_ahead(
    readers: ThreadPoolExecutor,
    reading: deque[Future[Any]],
    waiting: Iterator[Tile],
    slide: Slide,
    model: Model,
    plan: Plan,
) -> None:
    while len(reading) < AHEAD and (tile := next(waiting, None)) is not None:
        reading.append(readers.submit(_prepare, slide, model, plan, tile))


def _prepare(slide: Slide, model: Model, plan: Plan, tile: Tile) -> tuple[Tile, Any]:
    return tile, model.prepare(slide, plan, tile)


def _split(model: Model, drawn: Any, plan: Plan, tile: Tile) -> TileNuclei:
    return owned(model.split(drawn), plan, tile)
