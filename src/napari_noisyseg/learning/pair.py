"""SC-Net's networks: two that segment, S_a and S_b, each followed by one that colours, C."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

from torch import nn

from napari_noisyseg.nets import build
from napari_noisyseg.nets.colorization import ColorHead, Colorization
from napari_noisyseg.nets.resunet import ResUNet
from napari_noisyseg.nets.unet import UNet


class Side(NamedTuple):
    """One SC-Net of the pair: networks S and C, its half of the tiles, its pseudo label's plane."""

    segment: ResUNet | UNet
    color: ColorHead | Colorization
    half: int
    pseudo: str


def nets(c: Any, device: str, seed: int) -> nn.ModuleDict:
    """S_a and S_b, `a` and `b`, and the C of each, all random by `seed` alone."""
    resunet: Callable[[], nn.Module] = partial(build.resunet, 1, c.width, c.encoder, c.stem)
    second: Callable[[], nn.Module] = (
        partial(build.unet, 1, c.width) if c.second_net == "unet" else resunet
    )
    segment = [build.seeded(make, device, 4 * seed + i) for i, make in enumerate((resunet, second))]
    color = [
        build.seeded(partial(_color, c, net), device, 4 * seed + 2 + i)
        for i, net in enumerate(segment)
    ]
    return nn.ModuleDict(dict(zip(("a", "b", "color_a", "color_b"), segment + color, strict=True)))


def _color(c: Any, segment: nn.Module) -> nn.Module:
    """The network C that follows a segmentation network."""
    if c.decoder == "shared" and isinstance(segment, ResUNet):
        return ColorHead(segment.head.in_channels)
    return Colorization(c.color_width, c.color_depth)


def side(nets: nn.ModuleDict, name: str, half: int) -> Side:
    """Network `name`, a or b, with its C, its half of the tiles and its pseudo label's plane."""
    segment = cast("ResUNet | UNet", nets[name])
    return Side(
        segment, cast("ColorHead | Colorization", nets[f"color_{name}"]), half, f"pseudo_{name}"
    )
