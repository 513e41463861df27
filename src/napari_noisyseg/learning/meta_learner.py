"""The outer level of a bilevel method: theta, learned by a clean loss one virtual step ahead.

Shared by Meta Mask Correction and Meta Corrupted Pixels Mining; `meta` computes the gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from napari_noisyseg import meta
from napari_noisyseg.learning import optimizers, presets
from napari_noisyseg.learning.learner import JoiningConfig
from napari_noisyseg.method import Departures, Preset


class MetaConfig(JoiningConfig):
    """A learner of two levels, in the words of MMC."""

    meta_lr: Annotated[float, Field(gt=0, le=1)] = 1e-4
    """learning rate beta of the network of the outer level (Adam; MMC Eq. 5)"""
    meta_beta2: Annotated[float, Field(ge=0.5, lt=1)] = 0.999
    """second decay rate of that Adam (not in the paper)"""
    meta_gradient: meta.Mode = "forward"
    """how the gradient of Eq. 5 is computed: exact (double backpropagation), forward (the same
    number at less cost), difference, or decoder (approximations)"""
    meta_point: meta.Point = "virtual"
    """weights at which the clean loss is taken: W' of Eq. 3, or those before that step (ours)"""
    meta_every: Annotated[int, Field(ge=1, le=1000)] = 1
    """updates of the segmentation network to one of the outer level"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("meta")


class MetaLearner:
    """A network's weights theta, the Adam that moves them, and the gradients that it follows."""

    def __init__(self, config: MetaConfig, net: nn.Module, theta: nn.Module) -> None:
        self.theta = list(theta.parameters())
        self.optimizer = torch.optim.Adam(
            self.theta, config.meta_lr, betas=(0.9, config.meta_beta2), eps=EPSILON
        )
        settings = meta.Settings(config.meta_gradient, config.meta_point, every=config.meta_every)
        self.bilevel = meta.Bilevel(net, settings)

    def step(self, inner: meta.Inner, outer: meta.Outer | None, step: int) -> meta.Step:
        """Eqs. 3 to 5, where a clean loss is given and this step is a meta step."""
        if outer is None or not self.bilevel.due(step):
            return self.bilevel.plain(inner)
        taken = self.bilevel.step(inner, outer, self.theta)
        meta.assign(self.theta, per_rate(taken.gradients, inner.rate))
        self.optimizer.step()
        return taken

    def state_dict(self) -> dict[str, Any]:
        """The optimiser."""
        return optimizers.state_of(self.optimizer)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        optimizers.load_state(self.optimizer, state)


EPSILON = 1e-12
"""Added by Adam to the size of a gradient: Eq. 5 is a mean over pixels of products of gradients,
and its largest entries lie under the usual 1e-8 in a network that has settled."""


def per_rate(gradients: Sequence[Tensor], rate: float) -> list[Tensor]:
    """Eq. 5 without its factor alpha, the rate of the virtual step.

    Adam divides by what gradients were: a constant factor makes no difference to it, but one that
    falls with the schedule would leave theta all but frozen long before W is.
    """
    return list(torch._foreach_div(list(gradients), rate))
