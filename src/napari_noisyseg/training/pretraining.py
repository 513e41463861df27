"""Makes the first weights of the methods' small networks, from free data only.

Images and masks are prepared as trainings of the preset `small` prepare theirs: resolution, level
of the stain, tiles, mirrors, turns and scales. Colours are moved further, since what is learned is
for laboratories that are not among these data.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from napari_noisyseg import __version__, losses, registry
from napari_noisyseg.coarse.appearance import MPP
from napari_noisyseg.data.loader import TrainingData
from napari_noisyseg.data.prepare import training_image
from napari_noisyseg.data.regions import region_of
from napari_noisyseg.learning import first
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.learning.first import State
from napari_noisyseg.learning.starter.free import SETS, SOURCES, Field, fields
from napari_noisyseg.learning.starter.looks import another_look
from napari_noisyseg.learning.starter.train import dice_loss
from napari_noisyseg.method import NUCLEUS, UNKNOWN, Batch, TrainingImage
from napari_noisyseg.nets import build
from napari_noisyseg.nets.resunet import ResUNet

Say = Callable[[str], object]
Seen = Literal["hematoxylin", "rgb"]

LOOKS = {"tnbc": 3, "dsb2018": 6}
"""Of each field, as it is and as other laboratories might have it; by source, as those of the
Data Science Bowl are smaller: about as many tiles of each."""
RATE, DECAY = 2e-3, 1e-2
AVERAGE = 0.99
"""Share of the old weights in the running mean that is kept."""
MIX, GAIN, SHIFT = 0.25, 0.3, 0.08
"""Deviations of the matrix that mixes the densities, of their strength (log) and of their zero: far
beyond the data's own, as was best for the starter where a source was left out (docs/starter.md)."""
SETTLING = 12
"""Batches over which the norms' statistics are taken, at the end."""
TOLD = 50


class Shape(NamedTuple):
    """A shape of network: the method whose preset `small` has it, and how it is made.

    networks: what each sees, and its number among those that a method trains together.
    """

    method: str
    steps: int
    networks: tuple[tuple[Seen, int], ...]


SHAPES = {
    "resunet": Shape(
        "supervised", 2000, (("hematoxylin", 0), ("rgb", 0), ("hematoxylin", 1), ("rgb", 1))
    ),
    "unetpp": Shape("mlbseg", 600, (("hematoxylin", 0),)),
}
"""As the shipped weights were made; steps of each shape, in turn by its networks."""


def remake(
    data: Path,
    out: Path,
    steps: int | None = None,
    seed: int = 0,
    without: str | None = None,
    say: Say = print,
) -> Path:
    """Train, score on the source that was left out, and write; the file written.

    steps: of each shape, in place of its own number.
    """
    learned = fields(data, without)
    networks = pretrained(learned, steps, seed, say)
    about: dict[str, Any] = {
        "network": "first", "mpp": first.MPP, "version": __version__, "seed": seed,
        "fields": len(learned), "learned_from": [n for n in SETS if SOURCES[n] != without],
        "steps": {name: steps or shape.steps for name, shape in SHAPES.items()},
    }  # fmt: skip
    tensors = first.tensors_of(networks)
    if without is not None:
        held = [field for field in fields(data) if field.source == without]
        about["left_out"] = {without: scores(first.networks_of(tensors), held)}
        say(f"on {without}, which was left out: {about['left_out'][without]}")
    out.mkdir(parents=True, exist_ok=True)
    (out / first.FILE).write_bytes(save(tensors, {"about": json.dumps(about)}))
    return out / first.FILE


def pretrained(
    learned: list[Field], steps: int | None = None, seed: int = 0, say: Say = print
) -> dict[str, State]:
    """The networks by name (`shape.input.number`); `steps` of each shape, or as many as shipped."""
    images = prepared(learned, seed)
    say(f"{len(images)} looks of {len(learned)} fields")
    found: dict[str, State] = {}
    for name, shape in SHAPES.items():
        kind = registry.load(shape.method)
        config = kind.Config.from_preset("small", hold_out=False)
        data = TrainingData(images, config, registry.describe("supervised").needs, seed=seed)
        nets = _networks(name, config, seed)
        say(f"{name}: {len(data.split.training)} tiles")
        mean = _fitted(nets, _batches(data, config.batch_size, seed), steps or shape.steps, say)
        settling = list(islice(_batches(data, config.batch_size, seed + 1), SETTLING))
        found |= {f"{name}.{key.replace('_', '.')}": _settled(net, key, settling)
                  for key, net in mean.items()}  # fmt: skip
    return found


def scores(networks: Mapping[str, State], held: list[Field]) -> dict[str, float]:
    """Mean Dice of what each network calls nucleus, over whole fields, at its resolution."""
    images = prepared(held, 0, looks=1)
    found: dict[str, float] = {}
    for name, shape in SHAPES.items():
        config = registry.load(shape.method).Config.from_preset("small")
        for key, net in _networks(name, config, 0).items():
            state = networks[f"{name}.{key.replace('_', '.')}"]
            net.load_state_dict(dict(state), strict=False)  # the norms' counters are not kept
            each = [_dice(net.eval(), key, image) for image in images]
            found[f"{name}.{key.replace('_', '.')}"] = round(float(np.mean(each)), 4)
    return found


@torch.inference_mode()
def _dice(net: nn.Module, key: str, image: TrainingImage) -> float:
    planes = (torch.from_numpy(plane)[None] for plane in (image.image, image.hematoxylin))
    inside = build.nucleus(net(build.darkness(_seen(key), *planes)))[0].numpy() > 0.5
    true = image.labels["clean"] == NUCLEUS
    return float(2 * (inside & true).sum() / max(1, inside.sum() + true.sum()))


# --- networks ------------------------------------------------------------------------------------


def _networks(shape: str, config: Any, seed: int) -> nn.ModuleDict:
    """The networks of a shape, each from a seed of its own, by `input_number`."""
    nets = nn.ModuleDict()
    for count, (sees, number) in enumerate(SHAPES[shape].networks):
        seen = config.model_copy(update={"input": sees})
        nets[f"{sees}_{number}"] = build.seeded(partial(_made, seen), "cpu", seed + count)
    return _joined(nets)


def _made(settings: Any) -> nn.Module:
    """The network of a preset's settings."""
    if hasattr(settings, "net"):
        return build.segmenter(settings)
    return build.unetpp(1 if settings.input == "hematoxylin" else 3, settings.width, settings.depth)


def _joined(nets: nn.ModuleDict) -> nn.ModuleDict:
    """ResUNets that share all but their stem, last block of the decoder and head: see `first`."""
    one, *others = nets.values()
    for other in others:
        assert isinstance(one, ResUNet)
        assert isinstance(other, ResUNet)
        other.stages = one.stages
        other.up = nn.ModuleList([*one.up[:-1], other.up[-1]])
    return nets


def _seen(key: str) -> str:
    return key.partition("_")[0]


# --- training ------------------------------------------------------------------------------------


def _fitted(nets: nn.ModuleDict, batches: Iterator[Batch], steps: int, say: Say) -> nn.ModuleDict:
    """AdamW on one cycle, the networks in turn; the running mean of their weights."""
    mean = WeightAverage(nets.train(), AVERAGE)
    optimiser = torch.optim.AdamW(nets.parameters(), lr=RATE, weight_decay=DECAY)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, max(steps, 2), pct_start=0.1)
    told, began, keys = 0.0, time.monotonic(), list(nets)
    for step, batch in zip(range(1, steps + 1), batches, strict=False):
        found = loss_of(nets, keys[step % len(keys)], batch)
        optimiser.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        cycle.step()
        mean.update(nets)
        told += found.item() / TOLD
        if step % TOLD == 0:
            say(f"step {step} of {steps}: loss {told:.4f}, {time.monotonic() - began:.0f} s")
            told = 0.0
    module = mean.module
    assert isinstance(module, nn.ModuleDict)
    return module


def loss_of(nets: nn.ModuleDict, key: str, batch: Batch) -> Tensor:
    """Cross-entropy and soft Dice of one of the networks, where the masks say something."""
    logits = nets[key](build.darkness(_seen(key), batch.image, batch.hematoxylin))
    label = batch.labels["clean"]
    known = (label != UNKNOWN).float()
    overlap = dice_loss(build.nucleus(logits) * known, (label == NUCLEUS).float())
    return losses.cross_entropy(logits, label) + overlap


@torch.no_grad()
def _settled(net: nn.Module, key: str, batches: list[Batch]) -> State:
    """The network's tensors, with the norms' statistics of its averaged weights and own input."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
    net.train()
    for batch in batches:
        net(build.darkness(_seen(key), batch.image, batch.hematoxylin))
    # cloned: the next network has the same norms, with statistics of its own
    return {name: values.clone() for name, values in net.eval().state_dict().items()}


# --- data ----------------------------------------------------------------------------------------


def prepared(learned: list[Field], seed: int, looks: int | None = None) -> list[TrainingImage]:
    """Every field with its masks as trusted ones, as it is and in other looks."""
    config = registry.load("supervised").Config.from_preset("small")
    found = []
    for number, field in enumerate(learned):
        random = np.random.default_rng((seed, number))
        for look in range(looks or LOOKS[field.source]):
            rgb = another_look(field.rgb, random) if look else field.rgb
            region = region_of(rgb, MPP, field.name, clean=field.labels)
            found.append(training_image(region, config, ("clean",)))
    return found


def _batches(data: TrainingData, size: int, seed: int) -> Iterator[Batch]:
    """Without end: every tile in turn, its colours moved."""
    each = data.steps_per_epoch(size)
    generator = torch.Generator().manual_seed(seed)
    step = 0
    while True:
        yield recoloured(data.batch(step // each, step % each, size), generator)
        step += 1


def recoloured(batch: Batch, generator: torch.Generator) -> Batch:
    """Optical densities mixed, stronger or weaker, and their zero moved; each tile in its way."""
    count = len(batch.image)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator)

    def density(plane: Tensor) -> Tensor:
        return -plane.clamp(1 / 255, 1).log()

    mix = torch.eye(3) + MIX * normal(3, 3)
    mixed = torch.einsum("bij,bjhw->bihw", mix, density(batch.image))
    image = mixed * (GAIN * normal(1, 1, 1)).exp() + SHIFT * normal(3, 1, 1)
    stain = density(batch.hematoxylin) * (GAIN * normal(1, 1, 1)).exp() + SHIFT * normal(1, 1, 1)
    return replace(
        batch, image=image.clamp_min(0).neg().exp(), hematoxylin=stain.clamp_min(0).neg().exp()
    )
