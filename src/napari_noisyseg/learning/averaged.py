"""Networks with one optimiser and running averages of their weights: how they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_noisyseg.learning import optimizers
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.nets import build


class Averaged:
    """What several methods train: `nets`, `averages` of some of them by name, `optimizer`."""

    nets: nn.ModuleDict
    averages: dict[str, WeightAverage]
    optimizer: torch.optim.Optimizer

    def deployed(self) -> dict[str, nn.Module]:
        """The networks that predict, by name: those with averaged weights."""
        return {name: average.module for name, average in self.averages.items()}

    def state_dict(self) -> dict[str, Any]:
        """Networks, averages and optimiser."""
        return {
            "nets": dict(self.nets.state_dict()),
            "averages": {name: dict(a.state_dict()) for name, a in self.averages.items()},
            "optimizer": optimizers.state_of(self.optimizer),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.nets.load_state_dict(state["nets"])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        optimizers.load_state(self.optimizer, state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        """The networks as they predict."""
        return build.prefixed(self.deployed())

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        deployed = self.deployed()
        build.load_prefixed(deployed, weights)
        build.load_prefixed({name: self.nets[name] for name in deployed}, weights)
