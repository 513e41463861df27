"""Which tiles come when: every step's batch follows from the seed and the step's number alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_noisyseg.data import suitability
from napari_noisyseg.data.batches import (
    Pixels,
    assemble,
    centre_theta,
    jitter_stain,
    random_theta,
)
from napari_noisyseg.data.tiles import (
    Split,
    Tiles,
    around_clean,
    cut,
    hold_out,
    share_between_halves,
    whole,
)
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import Batch, MethodConfig, Needs, TrainingImage
from napari_noisyseg.plans import SamplingPlan

MIN_STEPS = 8
"""Steps of the shortest epoch: a small field is gone through more than once."""


class TrainingData:
    """Images, their tiles and their pixels on the device; gives batches by step number.

    Nothing here has a state that a checkpoint must hold, but for the revised planes of `images`.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        config: MethodConfig,
        needs: Needs,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        self.images = list(images)
        suitability.check(self.images, config, needs)
        self.seed = seed
        self.plan = plan = config.sampling()
        self.halves = needs.halves
        self.split = _split(self.images, plan, needs, seed)
        self.clean = _clean(self.images, plan, self.split) if needs.meta else None
        self.pixels = Pixels(self.images, device)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Updates until every tile has been seen once, and no fewer than `MIN_STEPS`."""
        return max(MIN_STEPS, -(-len(self.split.training) // batch_size))

    def batch(self, epoch: int, step: int, batch_size: int) -> Batch:
        """The augmented batch of the epoch's step (0-based within the epoch)."""
        chosen = self.split.training.take(self._order(epoch, step, batch_size))
        generator = torch.Generator().manual_seed(_mix(self.seed, epoch, step))
        batch = self._augmented(chosen, generator)
        if self.clean is None:
            return batch
        members = np.arange(len(self.clean))
        # no more than planned, and less where memory does not suffice for whole batches
        size = max(1, self.plan.meta_batch_size * batch_size // self.plan.batch_size)
        fresh = self.clean.take(self._turn(members, epoch, step, size))
        return replace(batch, meta=self._augmented(fresh, generator))

    def _augmented(self, tiles: Tiles, generator: torch.Generator) -> Batch:
        crop, changes = self.plan.crop, self.plan.augmentation
        theta = random_theta(len(tiles), crop, tiles.side, changes, generator)
        batch = assemble(self.pixels, tiles, theta, crop)
        return jitter_stain(batch, changes.stain, generator)

    def _order(self, epoch: int, step: int, batch_size: int) -> NDArray[np.int64]:
        tiles = self.split.training
        if not self.halves:
            return self._turn(np.arange(len(tiles)), epoch, step, batch_size)
        size = max(1, batch_size // 2)
        parts = [np.flatnonzero(tiles.half == half) for half in (0, 1)]
        return np.concatenate([self._turn(part, epoch, step, size) for part in parts])

    def _turn(
        self, members: NDArray[np.int64], epoch: int, step: int, size: int
    ) -> NDArray[np.int64]:
        """`size` members of the epoch's random order, going round it again where it ends."""
        places = np.arange(step * size, (step + 1) * size)
        rounds = np.unique(places // len(members))
        order = np.concatenate(
            [np.random.default_rng([self.seed, epoch, r]).permutation(members) for r in rounds]
        )
        chosen: NDArray[np.int64] = order[places - rounds[0] * len(members)]
        return chosen

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """The held-out tiles, unchanged, in batches; nothing when none are held out."""
        held = self.split.validation
        for start in range(0, len(held), batch_size):
            tiles = held.take(np.arange(start, min(start + batch_size, len(held))))
            theta = centre_theta(len(tiles), self.plan.crop, tiles.side)
            yield assemble(self.pixels, tiles, theta, self.plan.crop)

    def revise(self, image: int, plane: str, values: NDArray[np.float32]) -> None:
        """Keep a plane that the method changed, rounded to what checkpoints hold (float16)."""
        rounded = values.astype(np.float16)
        self.images[image].planes[plane] = rounded.astype(np.float32)  # type: ignore[index]
        self.pixels.revise(image, plane, values)


def _split(images: Sequence[TrainingImage], plan: SamplingPlan, needs: Needs, seed: int) -> Split:
    tiles = cut(images, needs, plan.tile, plan.overlap, seed)
    if not len(tiles):
        raise NoisySegError(
            "nothing to train on: no label or declared field in any image of the run; "
            "mark a field (noisyseg field, or Annotate ▸ field) and the nuclei in it"
        )
    split = hold_out(tiles, seed) if plan.hold_out else whole(tiles)
    if not needs.halves:
        return split
    training = share_between_halves(split.training, plan.split_overlap, seed)
    return Split(training, split.validation)


def _clean(images: Sequence[TrainingImage], plan: SamplingPlan, split: Split) -> Tiles:
    """Tiles of clean pixels, none of which judges: unless those that judge are all there are."""
    tiles = around_clean(images, plan.tile)
    if not len(tiles):
        raise NoisySegError(
            "no clean pixel in any image of the run: accept some nuclei under Review, or import "
            "trusted masks (noisyseg import --as clean)"
        )
    apart = tiles.apart_from(split.validation)
    return apart if len(apart) else tiles


def _mix(*numbers: int) -> int:
    """One 63-bit seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def seed_of_step(seed: int, step: int) -> int:
    """The seed of everything random inside one update."""
    return _mix(seed, step, 1)
