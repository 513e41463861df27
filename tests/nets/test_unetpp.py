from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_noisyseg.nets import build
from napari_noisyseg.nets.unetpp import UNetPP


def net(every_depth: bool = False) -> UNetPP:
    torch.manual_seed(0)
    return UNetPP(3, 2, width=4, depth=3, every_depth=every_depth)


@pytest.mark.parametrize("size", [(32, 32), (37, 53), (5, 1)])
def test_any_size_goes_in_and_comes_out(size: tuple[int, int]) -> None:
    assert net().eval()(torch.rand(2, 3, *size)).shape == (2, 2, *size)


@pytest.mark.parametrize("every_depth", [False, True])
def test_every_parameter_takes_part(every_depth: bool) -> None:
    tried = net(every_depth)
    tried(torch.rand(2, 3, 40, 24)).square().mean().backward()
    unused = [key for key, p in tried.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unused


def test_has_as_many_parameters_as_the_nested_unet_of_the_paper() -> None:
    """9 163 329 in the usual implementation, whose convolutions before a norm have a bias too."""
    norms = [m for m in UNetPP(3, 1).modules() if isinstance(m, nn.BatchNorm2d)]
    spare = sum(norm.num_features for norm in norms)
    assert sum(p.numel() for p in UNetPP(3, 1).parameters()) + spare == 9_163_329


def test_is_wired_as_in_the_paper() -> None:
    """X(i, j) = H([X(i, 0) ... X(i, j-1), up(X(i+1, j-1))]), Zhou et al. Eq. 1, written out."""
    tried, x = net().eval(), torch.rand(1, 3, 16, 24)
    nodes: dict[tuple[int, int], Tensor] = {}
    for i in range(4):
        nodes[i, 0] = tried.down[i](F.max_pool2d(nodes[i - 1, 0], 2) if i else x)
    for j in range(1, 4):
        for i in range(4 - j):
            up = nodes[i + 1, j - 1].repeat_interleave(2, 2).repeat_interleave(2, 3)
            joined = torch.cat([up, *(nodes[i, k] for k in range(j))], dim=1)
            nodes[i, j] = tried.up[j - 1][i].conv(joined)  # type: ignore[index]
    torch.testing.assert_close(tried(x), tried.head(nodes[0, 3]))


@pytest.mark.parametrize("every_depth", [False, True])
@pytest.mark.parametrize("blocks", [0, 1, 2, 3, 9])
def test_runs_in_two_parts(blocks: int, every_depth: bool) -> None:
    tried, x = net(every_depth).eval(), torch.rand(1, 3, 21, 30)
    encoded = tried.encode(x, blocks)
    before = [m.clone() for m in encoded.maps]
    logits, features = tried.decode(encoded)
    assert torch.equal(logits, tried(x))
    torch.testing.assert_close(tried.head(features), logits)
    assert all(torch.equal(m, b) for m, b in zip(encoded.maps, before, strict=True))


@pytest.mark.parametrize("blocks", [1, 2, None])
def test_the_tail_is_what_the_second_part_runs(blocks: int | None) -> None:
    tried = net()
    with torch.no_grad():
        encoded = tried.encode(torch.rand(2, 3, 16, 16), blocks)
    tried.decode(encoded).logits.square().sum().backward()
    moved = {id(p) for p in tried.parameters() if p.grad is not None}
    assert moved == {id(p) for m in tried.tail(blocks) for p in m.parameters()}


def test_is_built_by_width() -> None:
    built = build.unetpp(1, 4)
    assert built(torch.rand(2, 1, 32, 32)).shape == (2, 2, 32, 32)
    assert built.head.in_channels == 4
