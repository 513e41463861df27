"""The clock sees all work of the networks, also of those that are run in two parts."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_noisyseg.benchmarks import overhead


class Split(nn.Module):
    """A network that is run past `forward`, and slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def encode(self, x: Tensor) -> Tensor:
        time.sleep(0.02)
        return x * self.weight

    def decode(self, x: Tensor) -> Tensor:
        time.sleep(0.02)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class Method:
    def __init__(self) -> None:
        self.nets = nn.ModuleDict({"a": Split(), "b": Split()})
        self.optimizer = torch.optim.SGD(self.nets.parameters(), 0.1)

    def step(self) -> None:
        a, b = self.nets["a"], self.nets["b"]
        loss: Any = a.decode(a.encode(torch.ones(()))) + b(torch.ones(()))
        loss.backward()
        self.optimizer.step()


def test_the_clock_counts_networks_that_are_run_in_two_parts_once() -> None:
    method, clock = Method(), overhead.Clock("cpu")
    encode = method.nets["a"].encode
    with overhead._counted(method, clock):
        began = time.perf_counter()
        method.step()
        taken = time.perf_counter() - began
    assert clock.seconds == pytest.approx(taken, rel=0.15)
    assert clock.seconds > 0.08
    assert method.nets["a"].encode == encode
