"""From names and numbers to networks on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from napari_noisyseg.nets.resunet import ResUNet, Stem
from napari_noisyseg.nets.unet import UNet
from napari_noisyseg.nets.unetpp import UNetPP

Encoder = Literal["3-4-6-3", "2-2-2-2", "1-1-1-1", "1-1-1"]
"""Residual blocks at each scale: 3-4-6-3 is ResNet-34, 2-2-2-2 ResNet-18."""

NetT = TypeVar("NetT", bound=nn.Module)


def seeded(make: Callable[[], NetT], device: str, seed: int) -> NetT:
    """The network of `make`, random by `seed` alone, in the memory order that convolves fastest.

    The global random state is left as it was. Channels last is 2-3 times as fast on a CPU.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make()
    return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def resunet(inputs: int, width: int, encoder: Encoder, stem: Stem) -> ResUNet:
    """A segmentation network with two classes (background, nucleus) and a ResNet encoder."""
    return ResUNet(inputs, 2, width, [int(count) for count in encoder.split("-")], stem)


def unet(inputs: int, width: int) -> UNet:
    """A segmentation network with two classes and the plain U-Net's shape."""
    return UNet(inputs, 2, width)


def unetpp(inputs: int, width: int, depth: int = 4) -> UNetPP:
    """A segmentation network with two classes and the nested U-Net's shape."""
    return UNetPP(inputs, 2, width, depth)


def segmenter(settings: Any) -> nn.Module:
    """The network that `input`, `net`, `width`, `encoder` and `stem` of the settings name."""
    inputs = 1 if settings.input == "hematoxylin" else 3
    if settings.net == "unet":
        return unet(inputs, settings.width)
    return resunet(inputs, settings.width, settings.encoder, settings.stem)


def darkness(seen: str, image: Tensor, hematoxylin: Tensor) -> Tensor:
    """What a network sees, `seen`: rgb or hematoxylin, so that its zero padding means no stain."""
    return channels_last(1 - (hematoxylin if seen == "hematoxylin" else image))


def nucleus(logits: Tensor) -> Tensor:
    """Probability of nucleus, (B, h, w), of two classes' logits (B, 2, h, w)."""
    return logits.softmax(dim=1)[:, 1]


def channels_last(x: Tensor) -> Tensor:
    """The same values in the memory order of `seeded` networks."""
    return x.contiguous(memory_format=torch.channels_last)


def prefixed(nets: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """One flat dictionary of the networks' tensors, keys `name.parameter`."""
    return {
        f"{name}.{key}": tensor.detach().contiguous()
        for name, net in nets.items()
        for key, tensor in net.state_dict().items()
    }


def load_prefixed(nets: Mapping[str, nn.Module], tensors: Mapping[str, Tensor]) -> None:
    """Undo of `prefixed`; KeyError or RuntimeError where tensors do not fit the networks."""
    for name, net in nets.items():
        start = f"{name}."
        net.load_state_dict({k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)})


def parameters(nets: Iterable[nn.Module]) -> list[nn.Parameter]:
    """The trainable tensors of several networks, in order."""
    return [p for net in nets for p in net.parameters() if p.requires_grad]
