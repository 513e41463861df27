"""A slide's tiles on other machines, and here for as long as nobody works there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.whole import Tile, TileNuclei
from napari_noisyseg.worker.cluster.address import Scheduler
from napari_noisyseg.worker.cluster.connect import LostError, connected
from napari_noisyseg.worker.cluster.offers import offers
from napari_noisyseg.worker.cluster.parcel import Parcel
from napari_noisyseg.worker.cluster.tiles import GoneError, predicted_there

PATIENCE = 60.0
"""Seconds for which a lost scheduler is looked for before the work goes on here."""
LOOKS = 120.0
"""Seconds between two looks, while it goes on here, whether somebody works there again."""

Stopping = Callable[[], bool]
Here = Callable[[Iterable[Tile], Stopping], Iterator[TileNuclei]]
"""Predicts tiles on this machine, until it is to stop."""


def there_or_here(
    scheduler: Scheduler,
    parcel: Parcel,
    tiles: Iterable[Tile],
    here: Here,
    stopping: Stopping,
    say: Callable[[str], None],
) -> Iterator[TileNuclei]:
    """The nuclei of each tile, in any order, as they are ready; stops early where asked.

    Raises NoisySegError where the workers answer and cannot do it.
    """
    missing = {tile.index: tile for tile in tiles}
    while missing and not stopping():
        try:
            left = list(missing.values())
            for found in predicted_there(scheduler, parcel, left, stopping, say, PATIENCE):
                del missing[found.index]
                yield found
        except (LostError, GoneError):
            say(
                f"nobody works at {scheduler.address} any more: {_counted(len(missing))} left, "
                "done on this computer until it is back"
            )
            for found in here(list(missing.values()), _ends(stopping, _back(scheduler))):
                del missing[found.index]
                yield found
            if missing and not stopping():
                say(f"{scheduler.address} is back: {_counted(len(missing))} left, done there")


def _counted(tiles: int) -> str:
    return "1 tile is" if tiles == 1 else f"{tiles} tiles are"


def _ends(stopping: Stopping, back: Stopping) -> Stopping:
    return lambda: stopping() or back()


def _back(scheduler: Scheduler) -> Stopping:
    """Whether somebody works there again, looked at now and then."""
    last, found = time.monotonic(), False

    def look() -> bool:
        nonlocal last, found
        if found or time.monotonic() - last < LOOKS:
            return found
        last = time.monotonic()
        try:
            with connected(scheduler) as client:
                found = bool(offers(scheduler, client))
        except NoisySegError:
            found = False
        return found

    return look
