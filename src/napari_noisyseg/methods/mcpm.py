"""Meta Corrupted Pixels Mining: a small network reads the loss map and weighs every rough pixel.

J. Wang, S. Zhou, C. Fang, L. Wang, J. Wang: Meta corrupted pixels mining for medical image
segmentation. MICCAI 2020 (arXiv:2007.03538). A comparator in the tables of MMC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from napari_noisyseg import losses, meta
from napari_noisyseg.learning.learner import Learned, Learner
from napari_noisyseg.learning.meta_learner import MetaConfig, MetaLearner
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Method,
    MethodConfig,
    Needs,
    Outcome,
    Progress,
)
from napari_noisyseg.nets import build
from napari_noisyseg.nets.correction import WeightNet
from napari_noisyseg.nets.tiling import in_windows


class MCPMConfig(MetaConfig):
    """The network and schedule of MMC, whose tables this serves."""

    weight_width: Annotated[int, Field(ge=2, le=256)] = 16
    """channels of the weight network (ours)"""


class MCPM(Learned):
    """A segmentation network and a network from loss maps to the weights of its loss."""

    Config: ClassVar[type[MethodConfig]] = MCPMConfig
    needs: ClassVar[Needs] = Needs(rough=True, clean=True, meta=True, labels=("rough", "clean"))
    paper: ClassVar[str] = (
        "Wang et al., Meta corrupted pixels mining for medical image segmentation, MICCAI 2020"
    )
    title: ClassVar[str] = "MCPM: weighs rough pixels by their loss"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty", "weights")

    def __init__(self, config: MCPMConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        self.learner = Learner(config, device, seed)
        self.weigh = build.seeded(lambda: WeightNet(config.weight_width), device, seed + 1)
        self.meta_learner = MetaLearner(config, self.learner.net, self.weigh)
        self.theta = self.meta_learner.theta

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """The weight network by the clean loss after a virtual step, then the real step."""
        rate = self.learner.begin(progress.fraction)
        batch = self.config.joined(batch, progress.fraction)

        def loss(logits: Tensor, features: Tensor) -> Tensor:
            return self._weighted(batch, logits)

        inner = meta.Inner(self.learner.input(batch.image, batch.hematoxylin), loss, rate)
        clean = None if batch.meta is None else self._outer(batch.meta)
        step = self.meta_learner.step(inner, clean, progress.step)
        total = step.backward(loss)
        self.learner.update()
        values = {"weighted": total.item(), "total": total.item()}
        if step.outer is not None:
            values["meta"] = step.outer.item()
        return Outcome(values)

    def _outer(self, clean: Batch) -> meta.Outer:
        image = self.learner.input(clean.image, clean.hematoxylin)
        return meta.Outer(image, lambda z, _: losses.cross_entropy(z, clean.labels["clean"]))

    def _weighted(self, batch: Batch, logits: Tensor) -> Tensor:
        """Mean of weight times loss over rough pixels, and of the plain loss over clean ones."""
        rough, clean = batch.labels["rough"], batch.labels["clean"]
        doubtful = (rough != UNKNOWN) & (clean == UNKNOWN)
        counts, values = doubtful, self._weights(logits, rough, doubtful)
        values = values * losses.pixel_cross_entropy(logits, rough)
        if self.config.train_on_clean:
            counts = doubtful | (clean != UNKNOWN)
            values = torch.where(doubtful, values, losses.pixel_cross_entropy(logits, clean))
        return losses.masked_mean(values, counts)

    def _weights(self, logits: Tensor, rough: Tensor, doubtful: Tensor) -> Tensor:
        """Weights in 0..1 by the loss map, which is zero where no mask is rough."""
        loss = losses.pixel_cross_entropy(logits.detach(), rough)
        weights: Tensor = self.weigh(loss.masked_fill(~doubtful, 0.0))
        return weights

    @torch.no_grad()
    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        """weights: what each rough pixel counts; 1 where the label is clean or unknown."""
        doubtful = (batch.labels["rough"] != UNKNOWN) & (batch.labels["clean"] == UNKNOWN)
        states = torch.stack([batch.labels["rough"], doubtful.to(torch.uint8)], dim=1)
        planes = (batch.image, batch.hematoxylin, states.to(batch.image.dtype))
        weights = in_windows(self._explained, torch.cat(planes, dim=1))[:, 0]
        return {"weights": weights.masked_fill(~doubtful, 1.0)}

    def _explained(self, planes: Tensor) -> Tensor:
        """RGB, hematoxylin, rough label and where it counts (B, 6, h, w) to (B, 1, h, w)."""
        logits = self.learner.average.module(self.learner.input(planes[:, :3], planes[:, 3:4]))
        return self._weights(logits, planes[:, 4].to(torch.uint8), planes[:, 5] > 0)[:, None]

    def state_dict(self) -> dict[str, Any]:
        """Network, average, weight network and both optimisers."""
        return {
            **self.learner.state_dict(),
            "weigh": dict(self.weigh.state_dict()),
            "meta_optimizer": self.meta_learner.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.learner.load_state_dict(state)
        self.weigh.load_state_dict(state["weigh"])
        self.meta_learner.load_state_dict(state["meta_optimizer"])


METHOD: type[Method] = MCPM
"""What the registry finds in this file."""
