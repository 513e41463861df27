"""First weights of the methods' small networks, learned from nuclei of other tissue.

`training.pretraining` makes them. There is one network for each shape and input that the preset
`small` has, and two of those that methods train in pairs. A pair shares all but its first and last
layers, which were learned apart from different seeds: alike from end to end, two networks that see
the same tiles would stay one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from napari_noisyseg.errors import NoisySegError

State = Mapping[str, Tensor]
"""A network's tensors by their names."""
FILE = "first.safetensors"
MPP, NEAR = 0.5, 0.1
"""µm per pixel at which they were learned, and how far (as a share) a training's may be from it."""
SCALE = ".scale"
_COUNT = "num_batches_tracked"
_LEVELS = 127


class Shipped(NamedTuple):
    """Networks by name (`shape.input.number`), without counters; the file's SHA-256."""

    networks: Mapping[str, State]
    sha256: str


class Begun(NamedTuple):
    """A method's weights, and names of its networks: with first weights, and still at random."""

    weights: dict[str, Tensor]
    taken: tuple[str, ...]
    left: tuple[str, ...]


@lru_cache(maxsize=1)
def shipped() -> Shipped:
    """The networks that come with the package. NoisySegError where they are missing or damaged."""
    try:
        data = (files("napari_noisyseg") / "models" / FILE).read_bytes()
        return Shipped(networks_of(load(data)), hashlib.sha256(data).hexdigest())
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise NoisySegError(
            f"the first weights of networks ({FILE}) cannot be read ({error}): install "
            "napari-noisyseg again; until then networks begin at random"
        ) from error


def begun(now: State, networks: Mapping[str, State]) -> Begun:
    """`Method.weights()` with first weights in each network whose names and shapes they fit.

    The method's k-th network takes a first network of number k. What fits nowhere stays as it is.
    """
    owners = list(dict.fromkeys(key.partition(".")[0] for key in now))
    weights, taken = dict(now), []
    for number, owner in enumerate(owners):
        start = f"{owner}."
        mine = {key.removeprefix(start): v for key, v in now.items() if key.startswith(start)}
        found = _fitting(mine, number, networks)
        if found is not None:
            weights |= {f"{owner}.{key}": value for key, value in found.items()}
            taken.append(owner)
    return Begun(weights, tuple(taken), tuple(name for name in owners if name not in taken))


def _fitting(mine: State, number: int, networks: Mapping[str, State]) -> State | None:
    wanted = {key: value.shape for key, value in mine.items() if not key.endswith(_COUNT)}
    for name, state in networks.items():
        shapes = {key: value.shape for key, value in state.items()}
        if name.endswith(f".{number}") and shapes == wanted:
            return state
    return None


# --- the file ------------------------------------------------------------------------------------


def tensors_of(networks: Mapping[str, State]) -> dict[str, Tensor]:
    """Networks by name as the tensors of one file: what those of a shape share stands there once.

    Convolutions are rounded to eight bits, each output channel by its own largest weight.
    """
    of_shape: defaultdict[str, list[str]] = defaultdict(list)
    for name in networks:
        of_shape[name.partition(".")[0]].append(name)
    found: dict[str, Tensor] = {}
    for shape, names in of_shape.items():
        one = networks[names[0]]
        shared = {
            key for key in one
            if len(names) > 1 and all(torch.equal(one[key], networks[n][key]) for n in names)
        }  # fmt: skip
        rooms = {name: {k: v for k, v in networks[name].items() if k not in shared | _counters(one)}
                 for name in names}  # fmt: skip
        rooms[shape] = {key: one[key] for key in shared - _counters(one)}
        found |= {f"{room}/{k}": v for room, state in rooms.items() for k, v in _packed(state)}
    return found


def networks_of(tensors: State) -> dict[str, State]:
    """Undo of `tensors_of`, but for the rounding. KeyError where a part is missing."""
    rooms: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, values in tensors.items():
        room, _, name = key.partition("/")
        rooms[room][name] = values
    plain = {room: _unpacked(state) for room, state in rooms.items()}
    return {
        name: {**plain.get(name.partition(".")[0], {}), **state}
        for name, state in plain.items()
        if "." in name
    }


def _counters(state: State) -> set[str]:
    return {key for key in state if key.endswith(_COUNT)}


def _packed(state: State) -> list[tuple[str, Tensor]]:
    found = []
    for name, values in sorted(state.items()):
        if values.ndim < 2:
            found.append((name, values.float().contiguous()))
            continue
        scale = values.flatten(1).abs().amax(1).clamp(min=1e-12) / _LEVELS
        levels = (values / _beside(scale, values)).round().to(torch.int8)
        found += [(name, levels.contiguous()), (name + SCALE, scale.contiguous())]
    return found


def _unpacked(state: State) -> dict[str, Tensor]:
    return {
        name: values.float() * _beside(state[name + SCALE], values) if values.ndim > 1 else values
        for name, values in state.items()
        if not name.endswith(SCALE)
    }


def _beside(scale: Tensor, values: Tensor) -> Tensor:
    """One number for each output channel, in the shape that multiplies them."""
    return scale.reshape(-1, *[1] * (values.ndim - 1))
