"""Spatial reweighting: each rough pixel counts as far as learning from it helps on clean ones.

Z. Mirikharaji, Y. Yan, G. Hamarneh: Learning to segment skin lesions from noisy annotations. 2019
(arXiv:1906.03815), after M. Ren, W. Zeng, B. Yang, R. Urtasun: Learning to reweight examples for
robust deep learning. ICML 2018; equations are numbered as in Ren et al. A comparator in the tables
of MMC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from napari_noisyseg import losses, meta
from napari_noisyseg.learning import presets
from napari_noisyseg.learning.learner import JoiningConfig, Learned, Learner
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Departures,
    Method,
    MethodConfig,
    Needs,
    Outcome,
    Preset,
    Progress,
)
from napari_noisyseg.nets.tiling import in_windows


class SpatialReweightingConfig(JoiningConfig):
    """The network and schedule of MMC, whose tables this serves."""

    meta_gradient: meta.Mode = "forward"
    """how the gradient of the weights is computed: exact (double backpropagation), forward (the
    same number at less cost), difference, or decoder (approximations)"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("reweighting")


class SpatialReweighting(Learned):
    """One network whose loss gets new weights, pixel by pixel, in every update."""

    Config: ClassVar[type[MethodConfig]] = SpatialReweightingConfig
    needs: ClassVar[Needs] = Needs(rough=True, clean=True, meta=True, labels=("rough", "clean"))
    paper: ClassVar[str] = (
        "Mirikharaji et al., Learning to segment skin lesions from noisy annotations, 2019, after "
        "Ren et al., Learning to reweight examples for robust deep learning, ICML 2018"
    )
    title: ClassVar[str] = "Spatial reweighting: weighs rough pixels by clean ones"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty", "weights")

    def __init__(self, config: SpatialReweightingConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        self.learner = Learner(config, device, seed)
        # At weights of zero the virtual point is the present one, exactly.
        self.bilevel = meta.Bilevel(
            self.learner.net, meta.Settings(config.meta_gradient, "present")
        )
        self.clean: tuple[Tensor, Tensor] | None = None
        """what the network saw of the last clean tiles, and their label: `explain` needs them"""

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """Weights by the clean loss at weights of zero, then a step with them."""
        rate = self.learner.begin(progress.fraction)
        batch = self.config.joined(batch, progress.fraction)
        if batch.meta is not None:
            image = self.learner.input(batch.meta.image, batch.meta.hematoxylin)
            self.clean = image, batch.meta.labels["clean"]
        x, doubtful = self.learner.input(batch.image, batch.hematoxylin), _doubtful(batch)
        step, helpful = self._helpful(x, batch.labels["rough"], doubtful, rate)
        weights = helpful / helpful.sum().clamp(min=1e-30)  # Ren et al. Eq. 9
        logits, _ = step.outputs
        rough = losses.pixel_cross_entropy(logits, batch.labels["rough"])
        weighted = (weights * rough).sum()
        total = self._with_clean(weighted, logits, batch)
        total.backward()  # type: ignore[no-untyped-call]
        self.learner.update()
        values = {"weighted": weighted.item(), "total": total.item()}
        if step.outer is None:
            return Outcome(values)
        share = ((helpful > 0).sum() / doubtful.sum()).item() if doubtful.any() else None
        return Outcome({**values, "meta": step.outer.item()}, trusted=share)

    def _helpful(
        self, x: Tensor, rough: Tensor, doubtful: Tensor, rate: float
    ) -> tuple[meta.Step, Tensor]:
        """max(-dL'/dw, 0) at w = 0 of every pixel, float (B, h, w) (Ren et al. Eqs. 7 and 8)."""
        w = torch.zeros(rough.shape, device=x.device, requires_grad=True)

        def loss(logits: Tensor, features: Tensor) -> Tensor:
            return (w * losses.pixel_cross_entropy(logits, rough))[doubtful].sum()

        inner = meta.Inner(x, loss, rate)
        if self.clean is None:
            return self.bilevel.plain(inner), doubtful.float()
        image, label = self.clean
        outer = meta.Outer(image, lambda z, _: losses.cross_entropy(z, label))
        step = self.bilevel.step(inner, outer, [w])
        return step, (-step.gradients[0]).clamp(min=0)

    def _with_clean(self, weighted: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """The weighted loss, a mean over rough pixels, joined with the mean over clean ones."""
        if not self.config.train_on_clean:
            return weighted
        rough, clean = _doubtful(batch).sum(), (batch.labels["clean"] != UNKNOWN).sum()
        trusted = losses.pixel_cross_entropy(logits, batch.labels["clean"]).sum()
        return (rough * weighted + trusted) / (rough + clean).clamp(min=1)

    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        """weights: what a rough pixel counts by the last clean tiles, 0..1.

        1 stands for the weight that one in twenty of those above zero exceeds, and for clean and
        unknown labels.
        """
        self.learner.net.eval()
        doubtful = _doubtful(batch)
        states = torch.stack([batch.labels["rough"], doubtful.to(torch.uint8)], dim=1)
        planes = (batch.image, batch.hematoxylin, states.to(batch.image.dtype))
        helpful = in_windows(self._explained, torch.cat(planes, dim=1), side=320, margin=48)[:, 0]
        some = helpful[helpful > 0]
        large = losses.exceeded(some, 0.05) if len(some) else helpful.new_ones(())
        return {"weights": (helpful / large).clamp(max=1).masked_fill(~doubtful, 1.0)}

    def _explained(self, planes: Tensor) -> Tensor:
        """RGB, hematoxylin, rough label and where it counts (B, 6, h, w) to (B, 1, h, w)."""
        x = self.learner.input(planes[:, :3], planes[:, 3:4])
        rough, doubtful = planes[:, 4].to(torch.uint8), planes[:, 5] > 0
        return self._helpful(x, rough, doubtful, rate=1.0)[1][:, None].detach()

    def state_dict(self) -> dict[str, Any]:
        """Network, average, optimiser and the last clean tiles."""
        image, label = self.clean or (None, None)
        return {**self.learner.state_dict(), "clean": {"image": image, "label": label}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.learner.load_state_dict(state)
        image, label = state["clean"]["image"], state["clean"]["label"]
        self.clean = None if image is None else (image.to(self.device), label.to(self.device))


def _doubtful(batch: Batch) -> Tensor:
    """Where the label is rough and not clean, bool (B, h, w)."""
    return (batch.labels["rough"] != UNKNOWN) & (batch.labels["clean"] == UNKNOWN)


METHOD: type[Method] = SpatialReweighting
"""What the registry finds in this file."""
