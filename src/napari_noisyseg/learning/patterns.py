"""What a network's features look for: patterns that its strongest filters respond to the most.

Algorithm 1 of Luo et al. 2022 (section 5.1): by the labels that a network was taught its patterns
show what it took for a structure.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def strongest(net: nn.Module, x: Tensor, count: int) -> list[int]:
    """Line 1: filters f of the penultimate layer with the highest mean activation on x.

    x: (B, channels, h, w), as the network sees images; the strongest first.
    """
    means = _features(net, x).mean(dim=(0, 2, 3))
    order: list[int] = means.argsort(descending=True)[:count].tolist()
    return order


def pattern(
    net: nn.Module, f: int, start: Tensor, steps: int, eta: float
) -> tuple[Tensor, list[float]]:
    """Lines 2 to 5: X that maximises the mean of filter f from a random X, and -f on the way.

    start: (1, channels, h, w); eta: the step, in units of the gradient's root mean square, without
    which a step would be lost or leave all bounds by the layer's scale (ours). X stays z-scored, as
    what the network was taught on (ours). The network is left as it was.
    """
    x, path = start.clone(), []
    for _ in range(steps):
        leaf = x.detach().requires_grad_()
        loss = -_features(net, leaf)[:, f].mean()
        (slope,) = torch.autograd.grad(loss, leaf)
        path.append(loss.item())
        step = slope / slope.square().mean().sqrt().clamp(min=1e-12)
        x = _standardised(x - eta * step)
    return x.detach(), path


def spectrum(x: Tensor, rings: int = 16) -> Tensor:
    """How much a pattern holds of each scale, (rings,): its power by frequency, summing to one.

    x: (1, channels, h, w) with h = w; from the coarsest to the finest.
    """
    power = torch.fft.fft2(x[0, 0] - x[0, 0].mean()).abs().square()
    frequency = torch.fft.fftfreq(x.shape[-1], device=x.device)
    radius = (frequency[:, None].square() + frequency[None].square()).sqrt()
    ring = (radius / 0.5 * rings).long().clamp(max=rings)
    total = torch.zeros(rings + 1, device=x.device).index_add_(0, ring.flatten(), power.flatten())
    return total[:rings] / total[:rings].sum().clamp(min=1e-30)


def alike(a: Tensor, b: Tensor) -> float:
    """How alike two spectra are: what they share, 0..1."""
    return float(torch.minimum(a, b).sum())


def _features(net: Any, x: Tensor) -> Tensor:
    """F^(l-1): what the head sees, (B, channels, h, w)."""
    features: Tensor = net.decode(net.encode(x))[1]
    return features


def _standardised(x: Tensor) -> Tensor:
    return (x - x.mean()) / x.std().clamp(min=1e-6)
