"""Meta Mask Correction: a small network learns, from few clean masks, to correct the rough ones.

J. Shi, C. Jia, Z. Gao, T. Gong, C. Wang, C. Li: Meta Mask Correction for nuclei segmentation in
histopathological image. IEEE International Conference on Bioinformatics and Biomedicine (BIBM) 2021
(arXiv:2111.12498). Equations are numbered as there; no code was published. What is ours beside it
(pairs of labels, how much thin margins count) is in `learning.accepted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from napari_noisyseg import losses, meta
from napari_noisyseg.learning import accepted
from napari_noisyseg.learning.accepted import given_of, nucleus_of
from napari_noisyseg.learning.learner import Learned, Learner
from napari_noisyseg.learning.meta_learner import MetaLearner
from napari_noisyseg.learning.settings.mmc import MMCConfig
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Losses,
    Method,
    MethodConfig,
    Needs,
    Outcome,
    Progress,
    Revision,
    TrainingImage,
)
from napari_noisyseg.nets import build
from napari_noisyseg.nets.correction import CorrectionNet, Start
from napari_noisyseg.nets.tiling import in_windows


class MMC(Learned):
    """A segmentation network f_W and a C-Net g_theta that corrects the masks it learns from."""

    Config: ClassVar[type[MethodConfig]] = MMCConfig
    needs: ClassVar[Needs] = Needs(
        rough=True, clean=True, meta=True, labels=("rough", "clean", "given")
    )
    paper: ClassVar[str] = (
        "Shi et al., Meta Mask Correction for nuclei segmentation in histopathological image, "
        "IEEE BIBM 2021"
    )
    title: ClassVar[str] = "MMC: corrects rough masks by a few clean ones"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty", "corrected", "weights")

    def __init__(self, config: MMCConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        self.learner = Learner(config, device, seed)
        self.correction = build.seeded(self._make_correction, device, seed + 1)
        self.meta_learner = MetaLearner(config, self.learner.net, self.correction)
        self.theta = self.meta_learner.theta
        self.pairs = accepted.Pairs(self.theta, config.pairs_weight * config.meta_lr)
        self.background = 1.0

    def _make_correction(self) -> CorrectionNet:
        c = self.config
        head: Any = self.learner.net.head
        channels = {"logits": 2, "features": head.in_channels, "both": 2 + head.in_channels}
        return CorrectionNet(
            channels[c.correction_input], c.correction_width, c.correction_depth,
            c.correction_activation, Start(c.identity, c.bootstrap), c.limit,
        )  # fmt: skip

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """Eqs. 3-7: the C-Net by the clean loss after a virtual step, then the real step."""
        rate = self.learner.begin(progress.fraction)
        batch = self.config.joined(batch, progress.fraction)
        warm = progress.fraction < self.config.warmup

        def loss(logits: Tensor, features: Tensor) -> Tensor:  # Eqs. 4 and 7
            return losses.soft_cross_entropy(logits, *self._target(batch, logits, features, warm))

        inner = meta.Inner(self.learner.input(batch.image, batch.hematoxylin), loss, rate)
        clean = None if warm or batch.meta is None else self._outer(batch.meta)
        step = self.meta_learner.step(inner, clean, progress.step)  # Eqs. 3 and 5
        pairs = self._learn_pairs(batch, step.outputs)
        total = step.backward(loss)
        self.learner.update()  # Eq. 6
        values = {"corrected": total.item(), **pairs, "total": total.item()}
        if step.outer is not None:
            values["meta"] = step.outer.item()
        return Outcome(values)

    def _outer(self, clean: Batch) -> meta.Outer:
        """L' of Eq. 5: cross-entropy on the clean pixels."""
        image = self.learner.input(clean.image, clean.hematoxylin)
        label, weight = clean.labels["clean"], accepted.importance(clean, self.background)
        return meta.Outer(
            image, lambda z, _: losses.weighted_mean(losses.pixel_cross_entropy(z, label), weight)
        )

    def _learn_pairs(self, batch: Batch, outputs: tuple[Tensor, Tensor]) -> Losses:
        """One update of the C-Net by pixels whose rough and clean label are both known (ours)."""

        def corrected() -> Tensor:
            h = self._h(*(o.detach().float() for o in outputs))
            found: Tensor = self.correction(h, given_of(batch))
            return found

        return self.pairs.learn(corrected, batch, self.background)

    def _target(
        self, batch: Batch, logits: Tensor, features: Tensor, warm: bool
    ) -> tuple[Tensor, Tensor]:
        """What to learn, float (B, h, w): corrected where rough, as it is where clean; and where.

        A clean pixel is never corrected, whatever the rough mask says there.
        """
        rough, clean = batch.labels["rough"], batch.labels["clean"]
        trusted = clean != UNKNOWN
        doubtful = (rough != UNKNOWN) & ~trusted
        h = self._h(logits, features)
        target = nucleus_of(rough) if warm else self.correction(h, given_of(batch))
        target = torch.where(trusted, nucleus_of(clean), target)
        return target, doubtful | trusted if self.config.train_on_clean else doubtful

    def _h(self, logits: Tensor, features: Tensor) -> Tensor:
        """h(x), what the C-Net sees of the image, float (B, channels, h, w)."""
        seen = {"logits": [logits], "features": [features], "both": [features, logits]}
        h = torch.cat(seen[self.config.correction_input], dim=1)
        return h.detach() if self.config.detach_h else h

    def begin(self, images: Sequence[TrainingImage]) -> Iterable[Revision]:
        """How much clean background counts."""
        if self.config.balance:
            self.background = accepted.background_weight(images)
        return ()

    @torch.no_grad()
    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        """The label as MMC believes it, and how far it trusts the rough one.

        corrected: the C-Net's output where the mask is rough, the clean label where there is one,
        the prediction elsewhere. weights: 1 - |corrected - rough| where rough, 1 elsewhere.
        """
        rough, clean = batch.labels["rough"], batch.labels["clean"]
        given = given_of(batch)[:, None].to(batch.image.dtype)
        planes = (batch.image, batch.hematoxylin, given)
        seen = in_windows(self._explained, torch.cat(planes, dim=1))
        trusted = clean != UNKNOWN
        doubtful = (rough != UNKNOWN) & ~trusted
        corrected = torch.where(doubtful, seen[:, 0], seen[:, 1])
        corrected = torch.where(trusted, nucleus_of(clean), corrected)
        weights = 1 - (corrected - nucleus_of(rough)).abs()
        return {"corrected": corrected, "weights": weights.masked_fill(~doubtful, 1.0)}

    def _explained(self, planes: Tensor) -> Tensor:
        """RGB, hematoxylin and rough label (B, 5, h, w) to corrected and predicted (B, 2, h, w)."""
        net: Any = self.learner.average.module
        logits, features = net.decode(net.encode(self.learner.input(planes[:, :3], planes[:, 3:4])))
        corrected = self.correction(self._h(logits, features), planes[:, 4])
        return torch.stack([corrected, build.nucleus(logits)], dim=1)

    def state_dict(self) -> dict[str, Any]:
        """Network, average, C-Net and both optimisers."""
        return {
            **self.learner.state_dict(),
            "correction": dict(self.correction.state_dict()),
            "meta_optimizer": self.meta_learner.state_dict(),
            "pairs_optimizer": self.pairs.state_dict(),
            "background": self.background,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.learner.load_state_dict(state)
        self.correction.load_state_dict(state["correction"])
        self.meta_learner.load_state_dict(state["meta_optimizer"])
        if "pairs_optimizer" in state:  # not in checkpoints of earlier versions
            self.pairs.load_state_dict(state["pairs_optimizer"])
        self.background = float(state["background"])


METHOD: type[Method] = MMC
"""What the registry finds in this file."""
