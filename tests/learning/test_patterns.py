"""Algorithm 1: filters and the patterns that they look for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from napari_noisyseg.learning.patterns import alike, pattern, spectrum, strongest
from napari_noisyseg.nets import build


class Stripes(nn.Module):
    """Two filters: one for vertical stripes of 8 px, one for the mean."""

    def __init__(self) -> None:
        super().__init__()
        wave = torch.cos(2 * torch.pi * torch.arange(16) / 8).expand(16, 16)
        kernels = torch.stack([wave / 16, torch.full((16, 16), 1 / 256)])
        self.kernels = nn.Parameter(kernels[:, None])

    def encode(self, x: Tensor) -> Tensor:
        return x

    def decode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, torch.nn.functional.conv2d(x, self.kernels, stride=8).relu()


def test_the_strongest_filter_is_the_one_that_responds_most() -> None:
    x = torch.cos(2 * torch.pi * torch.arange(64) / 8).expand(1, 1, 64, 64)
    assert strongest(Stripes(), x, 2) == [0, 1]
    assert strongest(Stripes(), torch.ones(1, 1, 64, 64), 1) == [1]


def test_a_pattern_is_what_its_filter_looks_for() -> None:
    start = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    net = Stripes()
    before = [p.clone() for p in net.parameters()]
    found, path = pattern(net, 0, start, steps=40, eta=0.2)
    assert path[-1] < 2 * path[0] < 0
    found = found - found.mean()
    stripes = spectrum(torch.cos(2 * torch.pi * torch.arange(64) / 8).expand(1, 1, 64, 64))
    assert alike(spectrum(found), stripes) > 2 * alike(spectrum(start), stripes)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert all(p.grad is None for p in net.parameters())


def test_a_spectrum_says_how_coarse_a_pattern_is() -> None:
    def waves(period: int) -> Tensor:
        return torch.cos(2 * torch.pi * torch.arange(64) / period).expand(1, 1, 64, 64)

    coarse, fine = spectrum(waves(32)), spectrum(waves(4))
    assert coarse.argmax() < fine.argmax()
    assert coarse.sum() == pytest.approx(1)
    assert alike(coarse, coarse) == pytest.approx(1)
    assert alike(coarse, fine) < 0.01


def test_networks_of_ours_have_patterns() -> None:
    net = build.seeded(lambda: build.unet(1, 4), "cpu", 0).eval()
    start = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    chosen = strongest(net, start, 3)
    assert len(set(chosen)) == 3
    _, path = pattern(net, chosen[0], start, steps=5, eta=0.1)
    assert path[-1] < path[0]
