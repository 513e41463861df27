from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_noisyseg.learning import optimizers
from napari_noisyseg.nets import build
from napari_noisyseg.nets.unet import UNet


def test_optimizer_state_has_text_keys_and_goes_on_identically() -> None:
    def run(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> Tensor:
        for _ in range(steps):
            optimizer.zero_grad()
            net(torch.ones(1, 1, 16, 16)).square().mean().backward()
            optimizer.step()
        return next(net.parameters()).detach().clone()

    def fresh() -> tuple[nn.Module, torch.optim.Optimizer]:
        net = build.seeded(lambda: UNet(1, 2, 4, 1), "cpu", 0)
        return net, torch.optim.Adam(net.parameters(), 1e-2)

    net, optimizer = fresh()
    run(net, optimizer, 3)
    state = optimizers.state_of(optimizer)
    assert all(isinstance(key, str) for key in state["state"])
    other, resumed = fresh()
    other.load_state_dict(net.state_dict())
    optimizers.load_state(resumed, state)
    assert torch.equal(run(net, optimizer, 3), run(other, resumed, 3))
