"""One U-Net whose output is read by a threshold of its own, its optimiser and averaged weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_noisyseg.learning import optimizers
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.method import Prediction
from napari_noisyseg.nets import build
from napari_noisyseg.nets.reading import Reading, exchange
from napari_noisyseg.nets.tiling import in_windows


class Reader:
    """The network `net`, the average of its weights that predicts, and how it is read.

    config: settings with `width`, `average_weights`, `lr_schedule` and those of an optimiser.
    """

    def __init__(self, config: Any, inputs: int, device: str, seed: int) -> None:
        self.config = config
        self.net = build.seeded(lambda: build.unet(inputs, config.width), device, seed)
        self.average = WeightAverage(self.net, config.average_weights)
        self.reading = Reading().to(device)
        self.optimizer = optimizers.of_settings(config, self.net.parameters())

    def begin(self, fraction: float, every: float) -> None:
        """Train mode, and the learning rate at N / N_max; every: see `optimizers.rate_of`."""
        optimizers.set_rate(self.optimizer, optimizers.rate_of(self.config, fraction, every))
        self.net.train()

    def update(self, loss: Tensor) -> None:
        """One step down the loss; the average follows."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.average.update(self.net)

    def turn(self) -> None:
        """Exchange the classes of the network, and of its average, which would blend the two."""
        for net in (self.net, self.average.module):
            exchange(cast("nn.Conv2d", net.head))

    @torch.no_grad()
    def whole(self, x: Tensor) -> NDArray[np.float32]:
        """Probability of nucleus of a whole image (1, channels, H, W) as it is, (H, W)."""
        net = self.average.module
        p = in_windows(lambda part: build.nucleus(net(part))[:, None], x)
        return cast("NDArray[np.float32]", p[0, 0].float().cpu().numpy())

    @torch.no_grad()
    def predict(self, x: Tensor) -> Prediction:
        """The output as it is read; `uncertainty` is 1 on the decision boundary, 0 where sure."""
        p = self.reading(build.nucleus(self.average.module(x)))
        return Prediction(p, {"uncertainty": 1 - (2 * p - 1).abs()})

    def state_dict(self) -> dict[str, Any]:
        """Network, average, how it is read, and optimiser."""
        return {
            "net": dict(self.net.state_dict()),
            "average": dict(self.average.state_dict()),
            "reading": dict(self.reading.state_dict()),
            "optimizer": optimizers.state_of(self.optimizer),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.reading.load_state_dict(state["reading"])
        optimizers.load_state(self.optimizer, state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        """The network as it predicts, and how it is read."""
        return build.prefixed({"net": self.average.module, "reading": self.reading})

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        build.load_prefixed({"net": self.average.module, "reading": self.reading}, weights)
        build.load_prefixed({"net": self.net}, weights)
