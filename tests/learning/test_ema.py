from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_noisyseg.learning.ema import WeightAverage


def linear(value: float) -> nn.Linear:
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, value)
    return net


def test_follows_by_the_formula_once_warmed_up() -> None:
    average = WeightAverage(linear(0.0), decay=0.9)
    average.updates = 1000
    expected = 0.0
    for value in (1.0, 1.0, 3.0):
        average.update(linear(value))
        expected = 0.9 * expected + 0.1 * value
    assert average.module.weight.item() == pytest.approx(expected)


def test_forgets_the_start_soon() -> None:
    average = WeightAverage(linear(0.0), decay=0.999)
    for _ in range(100):
        average.update(linear(1.0))
    assert average.module.weight.item() > 0.99


def test_without_decay_it_is_the_network() -> None:
    average = WeightAverage(linear(0.0), decay=0.0)
    average.update(linear(2.0))
    assert average.module.weight.item() == 2.0


def test_normalisation_is_copied_and_evaluation_mode_kept() -> None:
    net = nn.BatchNorm2d(2)
    average = WeightAverage(net, decay=0.99).train()
    net(torch.rand(4, 2, 3, 3) + 5)
    average.update(net)
    assert torch.equal(average.module.running_mean, net.running_mean)  # type: ignore[arg-type]
    assert not average.module.training


def test_the_pace_survives_a_checkpoint() -> None:
    average, other = (WeightAverage(linear(0.0), decay=0.99) for _ in range(2))
    for _ in range(7):
        average.update(linear(1.0))
    other.load_state_dict(average.state_dict())
    average.update(linear(1.0))
    other.update(linear(1.0))
    assert torch.equal(average.module.weight, other.module.weight)
