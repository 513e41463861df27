"""How a run's networks begin: at random, or with first weights that have seen other tissue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_noisyseg.coarse.appearance import unlike
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.learning import first
from napari_noisyseg.method import Method, MethodConfig


class Beginning(NamedTuple):
    """In words, and the SHA-256 of the first weights; both empty where none were asked for.

    left: the networks that first weights do not fit, which are random.
    """

    words: str = ""
    sha256: str = ""
    left: tuple[str, ...] = ()


def begin(method: Method, config: MethodConfig, images: Iterable[NDArray[np.uint8]]) -> Beginning:
    """Give the networks of a new method first weights, where the settings ask for them.

    images: uint8 (H, W, 3), what will be trained on. Networks that they do not fit stay random.
    """
    if not config.begins_with_starter():
        return Beginning()
    if abs(config.working_mpp / first.MPP - 1) > first.NEAR:
        return _random(f"first weights are for {first.MPP:g} µm per pixel")
    if all(unlike(rgb) for rgb in images):
        return _random("first weights have seen stained tissue in colour only")
    try:
        shipped = first.shipped()
    except NoisySegError as error:
        return _random(str(error))
    begun = first.begun(method.weights(), shipped.networks)
    if not begun.taken:
        return _random("first weights are for networks of another shape")
    method.load_weights(begun.weights)
    some = f" ({', '.join(begun.left)} at random)" if begun.left else ""
    return Beginning(
        f"from first weights {shipped.sha256[:8]}, learned on other tissue{some}",
        shipped.sha256,
        begun.left,
    )


def untrained(
    method: Method, config: MethodConfig, device: str, rgb: NDArray[np.uint8]
) -> Method | None:
    """A method of the same kind with first weights in each of its networks, never trained.

    rgb: uint8 (H, W, 3), what it is to predict. None where the settings do not ask for first
    weights, or these fit not all of the networks.
    """
    if not config.begins_with_starter():
        return None
    with torch.random.fork_rng(devices=[]):  # in the middle of a training its dice stay as they are
        fresh = type(method)(config, device, 0)
    beginning = begin(fresh, config, [rgb])
    return fresh if beginning.sha256 and not beginning.left else None


def _random(why: str) -> Beginning:
    return Beginning(f"from random weights: {why}")
