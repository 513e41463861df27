"""MLB-Seg: imperfect labels and the network's own, weighed pixel by pixel by a few clean ones.

Meta-Learning for Bootstrapping Medical Image Segmentation from Imperfect Supervision (2022), whose
equations are numbered here; its part on missing labels appeared as Q. Wei, L. Yu, X. Li, W. Shao,
C. Xie, L. Xing, Y. Zhou: Consistency-guided meta-learning for bootstrapping semi-supervised medical
image segmentation. MICCAI 2023 (arXiv:2307.11604). What of a batch is doubtful and what is clean
is told by `learning.doubt`; student and teacher are kept by `learning.student`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from napari_noisyseg import losses, meta, views
from napari_noisyseg.learning import doubt as doubts
from napari_noisyseg.learning.doubt import Clean, Doubt, Shown
from napari_noisyseg.learning.settings.mlbseg import MLBSegConfig
from napari_noisyseg.learning.student import Student, Taught
from napari_noisyseg.learning.terms import numbers
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Method,
    MethodConfig,
    Needs,
    Outcome,
    Progress,
    Revision,
    TrainingImage,
)
from napari_noisyseg.nets import build

GENERATED = "generated"
"""the plane of Eq. 1: labels of what nobody labelled, by the network that saw clean labels only"""


class MLBSeg(Taught):
    """A UNet++ (the student) that learns from weighed labels, and a teacher that follows it."""

    Config: ClassVar[type[MethodConfig]] = MLBSegConfig
    needs: ClassVar[Needs] = Needs(clean=True, meta=True, unlabeled=True, labels=("rough", "clean"))
    paper: ClassVar[str] = (
        "Meta-learning for bootstrapping medical image segmentation from imperfect supervision "
        "(MLB-Seg), 2022; Wei et al., MICCAI 2023"
    )
    title: ClassVar[str] = "MLB-Seg: weighed labels"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty", "weights", "weights_pseudo")

    def __init__(self, config: MLBSegConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        self.student = Student(config, device, seed)
        how = meta.Settings(config.meta_gradient, point="present", blocks=config.meta_blocks)
        self.bilevel = meta.Bilevel(self.student.net, how)
        zooms = config.zoom, config.zoom_in, config.zoom_out
        self.views = views.several(*zooms, config.flips).to(device)
        self.shown = Shown()
        self.trusted: Tensor | None = None
        """share of the last imperfect labels that had any weight, where they were weighed"""

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """One update: on clean pixels alone in the warm start, then Eq. 9."""
        self.student.begin(progress)
        clean = self._clean(batch.meta) or self._clean(batch)
        warm = progress.fraction < self.config.warm_start
        self.trusted = None
        found = self._warm(batch) if warm else self._terms(batch, clean)
        weights = {"views": self.config.views_weight, "teacher": self.config.teacher_weight}
        weights["clean"] = 1.0 if warm else self.config.clean_weight
        zero = batch.image.new_zeros(())
        total = sum((weights.get(name, 1.0) * term for name, term in found.items()), zero)
        self.student.update(total)
        if self.config.clean_step and not warm and clean is not None:
            self.student.update(clean.loss(self.student.net(clean.image)))
        self.shown.keep(clean)
        trusted = None if self.trusted is None else self.trusted.item()
        return Outcome(numbers({**found, "total": total}), trusted=trusted)

    def _warm(self, batch: Batch) -> dict[str, Tensor]:
        """The clean pixels of the batch and of its clean tiles: f_c of Eq. 1."""
        clean = doubts.together(self._clean(batch), self._clean(batch.meta))
        if clean is None:
            return {"clean": batch.image.new_zeros(())}
        return {"clean": clean.loss(self.student.net(build.channels_last(clean.image)))}

    def _terms(self, batch: Batch, clean: Clean | None) -> dict[str, Tensor]:
        """Both sums of Eq. 9, the clean pixels of the batch, and Eqs. 11 and 13."""
        c, doubt, counts = self.config, self._doubt(batch), doubts.counts(batch)
        others = self._seen(doubt.image)
        logits, weights = self._weigh(doubt, others, clean)
        if clean is not None and (doubt.label != UNKNOWN).any():
            self.trusted = (weights[0] > 0).sum() / (doubt.label != UNKNOWN).sum()
        noisy, pseudo = (weights * self._doubtful(logits, doubt, others)).sum(dim=(1, 2, 3))
        label = batch.labels["clean"]
        terms = {"noisy": noisy, "pseudo": pseudo, "clean": losses.cross_entropy(logits, label)}
        seen = torch.stack([build.nucleus(logits), *others])
        if others:
            both = c.views_gradient == "both"
            terms["views"] = 2 * views.disagreement(seen, self.views, counts, both)
        if self.student.teacher is not None:
            terms["teacher"] = self.student.beside_teacher(doubt.image, seen[0], counts)
        return terms

    def _weigh(
        self, doubt: Doubt, others: Sequence[Tensor], clean: Clean | None
    ) -> tuple[Tensor, Tensor]:
        """Logits of the batch, and the weight maps w^n and w^p that sum to one, (2, B, h, w).

        Without any clean pixel both are zero.
        """
        if clean is not None and self.config.weighting == "meta":
            logits, weights = self._meta_weights(doubt, others, clean)
            return logits, losses.normalised_weights(weights, self.config.normalise == "jointly")
        logits = self.student.net(doubt.image)
        if self.config.weighting == "fixed":
            return logits, doubts.fixed_weights(doubt, self.config.fixed_share)
        return logits, torch.zeros_like(logits).transpose(0, 1)

    def _meta_weights(
        self, doubt: Doubt, others: Sequence[Tensor], clean: Clean
    ) -> tuple[Tensor, Tensor]:
        """Eqs. 4-6: logits, and the weights that one step from zero gives, (2, B, h, w).

        The step sizes alpha and beta cancel in Eq. 8.
        """
        w = doubt.image.new_zeros(2, *doubt.label.shape).requires_grad_()

        def weighted(logits: Tensor, features: Tensor) -> Tensor:
            return (w * self._doubtful(logits, doubt, others)).sum()

        inner, outer = meta.Inner(doubt.image, weighted, 1.0), meta.Outer(clean.image, clean.loss)
        step = self.bilevel.step(inner, outer, [w])
        return step.outputs[0], -step.gradients[0]

    def _doubtful(self, logits: Tensor, doubt: Doubt, others: Sequence[Tensor]) -> Tensor:
        """L(f, y^n) and L(f, y^p) of Eq. 2 for every pixel, (2, B, h, w); y^p by Eqs. 3 and 10."""
        seen = torch.stack([build.nucleus(logits), *others]).detach()
        pseudo = (views.ensemble(seen, self.views) > 0.5).to(doubt.label.dtype)
        labels = (doubt.label, pseudo.masked_fill(~doubt.open, UNKNOWN))
        return torch.stack([losses.pixel_cross_entropy(logits, label) for label in labels])

    def _seen(self, x: Tensor) -> list[Tensor]:
        """f(tau_q(x)) of Eq. 10: probability of nucleus (B, h, w) in each of the Q views.

        Where a view reaches beyond the tile it sees the tile mirrored; nothing counts there.
        """
        found = []
        with meta.still(self.student.net):
            for theta in self.views[1:]:
                view = views.apply(theta.expand(len(x), 2, 3), x, fill="reflect")
                found.append(build.nucleus(self.student.net(build.channels_last(view))))
        return found

    def _doubt(self, batch: Batch) -> Doubt:
        """The imperfect label: the rough one, else that of Eq. 1, never where a clean one is."""
        return doubts.of(batch, GENERATED, self.student.input(batch.image, batch.hematoxylin))

    def _clean(self, batch: Batch | None) -> Clean | None:
        """The tiles of a batch that hold clean pixels; None where there are none."""
        return None if batch is None else doubts.clean_of(batch, self.student.input)

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Eq. 1, once, when the warm start has ended: labels of what nobody labelled."""
        c = self.config
        self.student.begin_epoch()
        if not (c.label_unlabeled and 0 < c.warm_start <= progress.fraction):
            return
        for index, image in enumerate(images):
            if GENERATED not in image.planes and doubts.unlabeled(image).any():
                yield Revision(index, GENERATED, self.student.whole(image))

    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        """w^n and w^p of Eq. 7 on one scale, 0..1 (B, h, w), by the clean tiles seen last.

        1 stands for the weight that one pixel in a hundred exceeds, and for clean pixels, which
        count fully. All zero before the first clean tile was seen.
        """
        return self.shown.weights(batch, self._doubt(batch), self._shown)

    def _shown(self, doubt: Doubt, clean: Clean) -> Tensor:
        """The weights of Eq. 7 without their sum of one, (2, B, h, w)."""
        self.student.net.eval()
        with torch.no_grad():
            others = self._seen(doubt.image)
        return losses.positive(self._meta_weights(doubt, others, clean)[1])

    def state_dict(self) -> dict[str, Any]:
        """Student and teacher, and the clean tiles seen last."""
        return {**self.student.state_dict(), "reference": self.shown.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.student.load_state_dict(state)
        self.shown.load_state_dict(state["reference"])


METHOD: type[Method] = MLBSeg
"""What the registry finds in this file."""
