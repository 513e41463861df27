"""Networks run in two parts, wherever they are divided."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from napari_noisyseg.nets.resunet import ResUNet
from napari_noisyseg.nets.unet import UNet
from napari_noisyseg.nets.unetpp import UNetPP

NETS: dict[str, Callable[[], nn.Module]] = {
    "stride4": lambda: ResUNet(3, 2, 8, (1, 1, 1), "stride4"),
    "stride2": lambda: ResUNet(3, 2, 8, (1, 1, 1), "stride2"),
    "stride1": lambda: ResUNet(3, 2, 8, (1, 1, 1), "stride1"),
    "unet": lambda: UNet(3, 2, 8, 3),
    "unetpp": lambda: UNetPP(3, 2, 4, 3),
}


@pytest.mark.parametrize("name", list(NETS))
@pytest.mark.parametrize("blocks", [None, 0, 1, 2, 9])
def test_two_parts_are_the_whole(name: str, blocks: int | None) -> None:
    net = NETS[name]()
    x = torch.rand(2, 3, 45, 37)
    decoded = net.decode(net.encode(x, blocks))
    assert torch.equal(decoded.logits, net(x))
    assert decoded.features.shape[-2:] == x.shape[-2:]
    torch.testing.assert_close(net.head(decoded.features), decoded.logits)


@pytest.mark.parametrize("name", list(NETS))
@pytest.mark.parametrize("blocks", [None, 1])
def test_tail_is_what_the_second_part_runs(name: str, blocks: int | None) -> None:
    net = NETS[name]()
    with torch.no_grad():
        encoded = net.encode(torch.rand(2, 3, 32, 32), blocks)
    net.decode(encoded).logits.sum().backward()
    used = {id(p) for p in net.parameters() if p.grad is not None}
    assert used == {id(p) for module in net.tail(blocks) for p in module.parameters()}


@pytest.mark.parametrize("name", list(NETS))
def test_first_map_is_what_the_first_layers_make(name: str) -> None:
    net = NETS[name]()
    x = torch.rand(2, 3, 45, 37)
    first = net.first(x)
    assert torch.equal(net.encode(x).maps[0], first)
    first.sum().backward()
    used = {id(p) for p in net.parameters() if p.grad is not None}
    assert used == {id(p) for module in net.entry() for p in module.parameters()}
