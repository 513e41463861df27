from __future__ import annotations

from typing import get_args

import pytest
import torch

from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN
from napari_noisyseg.nets.correction import (
    Activation,
    CorrectionNet,
    Depth,
    Start,
    WeightNet,
    signed,
)

LABEL = torch.tensor([[[NUCLEUS, BACKGROUND, UNKNOWN, NUCLEUS, BACKGROUND]] * 5], dtype=torch.uint8)


def logits_of(probability: torch.Tensor) -> torch.Tensor:
    """Features of noise, then logits whose softmax is the probability, (1, 5, h, w)."""
    g = torch.Generator().manual_seed(1)
    z = torch.logit(probability)
    noise = torch.randn(1, 3, *probability.shape[-2:], generator=g)
    return torch.cat([noise, -z[:, None] / 2, z[:, None] / 2], dim=1)


@pytest.mark.parametrize(
    ("depth", "kernels"),
    [("3x3+1x1", [3, 1]), ("3x3+3x3+1x1", [3, 3, 1]), ("3x3+5x5+1x1", [3, 5, 1])],
)
def test_depths_are_those_of_table_4(depth: Depth, kernels: list[int]) -> None:
    net = CorrectionNet(6, 8, depth)
    found = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.kernel_size for m in found] == [(side, side) for side in kernels]
    assert [m.out_channels for m in found] == [8] * (len(kernels) - 1) + [1]
    assert found[0].in_channels == 7
    mask = net(torch.rand(2, 6, 11, 13), torch.randint(0, 3, (2, 11, 13)))
    assert mask.shape == (2, 11, 13)
    assert 0 < mask.min() < mask.max() < 1


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("depth", get_args(Depth))
def test_starts_as_the_rough_mask(depth: Depth, activation: Activation) -> None:
    net = CorrectionNet(5, 8, depth, activation, Start(label=3.0))
    mask = net(logits_of(torch.rand(1, 5, 5)), LABEL)[0, 2]
    assert ((mask > 0.9) == torch.tensor([True, False, False, True, False])).all()
    assert ((mask < 0.1) == torch.tensor([False, True, False, False, True])).all()
    assert mask[2].item() == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("depth", get_args(Depth))
def test_starts_as_the_prediction(depth: Depth) -> None:
    probability = torch.rand(1, 5, 5, generator=torch.Generator().manual_seed(0))
    net = CorrectionNet(5, 8, depth, "tanh", Start(prediction=2.0))
    first = net(logits_of(probability), LABEL)
    again = net(logits_of(probability), torch.zeros_like(LABEL))
    assert torch.equal(first, again)
    assert ((first > 0.5) == (probability > 0.5)).all()
    if depth == "3x3+1x1":
        torch.testing.assert_close(first, torch.sigmoid(2 * (2 * probability - 1)))


def test_everything_can_be_learned_from_a_start() -> None:
    net = CorrectionNet(5, 8, start=Start(1.0, 1.0))
    for _ in range(2):
        loss = net(logits_of(torch.rand(1, 5, 5)), LABEL).mean()
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_a_limit_keeps_gradients_alive() -> None:
    h = logits_of(torch.full((1, 5, 5), 0.999))
    label = torch.ones_like(LABEL)
    free = CorrectionNet(5, 8, start=Start(20.0))
    held = CorrectionNet(5, 8, start=Start(20.0), limit=2.0)
    assert free(h, label).min() > 1 - 1e-6
    assert held(h, label).max().item() <= torch.sigmoid(torch.tensor(2.0)).item()


def test_weights_depend_on_the_loss_alone() -> None:
    torch.manual_seed(0)
    net = WeightNet(4)
    loss = torch.rand(2, 9, 7)
    weights = net(loss)
    assert weights.shape == loss.shape
    assert 0 < weights.min() < weights.max() < 1
    assert not torch.equal(net(2 * loss), weights)


def test_unknown_says_nothing() -> None:
    assert signed(LABEL)[0, 0].tolist() == [1, -1, 0, 1, -1]
