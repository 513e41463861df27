"""MLB-Seg: imperfect labels and the network's own, weighed pixel by pixel by a few clean ones.

Meta-Learning for Bootstrapping Medical Image Segmentation from Imperfect Supervision (2022), whose
equations are numbered here; its part on missing labels appeared as Q. Wei, L. Yu, X. Li, W. Shao,
C. Xie, L. Xing, Y. Zhou: Consistency-guided meta-learning for bootstrapping semi-supervised medical
image segmentation. MICCAI 2023 (arXiv:2307.11604).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from napari_noisyseg import losses, meta, views
from napari_noisyseg.learning import presets
from napari_noisyseg.learning.student import Student, StudentConfig
from napari_noisyseg.learning.terms import numbers
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Departures,
    Losses,
    Method,
    MethodConfig,
    Needs,
    Outcome,
    Prediction,
    Preset,
    Progress,
    Revision,
    TrainingImage,
)
from napari_noisyseg.nets import build
from napari_noisyseg.nets.tiling import in_windows
from napari_noisyseg.plans import SamplingPlan

GENERATED = "generated"
"""the plane of Eq. 1: labels of what nobody labelled, by the network that saw clean labels only"""
FOURTH = 4
"""the view that `zoom` is of: the views of a smaller Q are among those of a larger one"""
KEPT_TILES = 16
"""clean tiles that `explain` judges by; a few alone would judge by their own peculiarities"""


class MLBSegConfig(StudentConfig):
    """The paper's settings; where it is silent, the published code's or ours, and it says so."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 130
    """length of the training: 30 epochs of warm start, then 100"""
    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """tiles per update, b_n of Eq. 4"""
    meta_batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """tiles of clean pixels per update, b_c of Eq. 6 (not in the paper)"""
    tile: Annotated[int, Field(ge=32, le=2048)] = 176
    """side of the training tiles, in working pixels"""
    tile_overlap: Annotated[int, Field(ge=0, le=2047)] = 32
    """overlap of neighbouring training tiles, in working pixels"""
    crop: Annotated[int, Field(ge=32, le=2048)] = 144
    """side of the random crop that an update sees, in working pixels"""
    hold_out: bool = False
    """keep a tenth of the tiles to choose the best weights by their clean pixels (ours): nuclei
    with thin margins are no fair sample of tissue, and a warm start that calls everything a nucleus
    seems the best by them"""
    warm_start: Annotated[float, Field(ge=0, le=1)] = 30 / 130
    """share of the schedule that trains on clean labels alone"""
    label_unlabeled: bool = True
    """where nothing is labelled, the network of the warm start labels once and for all, Eq. 1; off:
    no imperfect label there, only the pseudo label"""
    weighting: Literal["meta", "fixed"] = "meta"
    """weight maps of Eq. 2: by the clean labels (Eqs. 4-8), or the same everywhere (the paper's
    comparison, Reed et al. 2014)"""
    fixed_share: Annotated[float, Field(ge=0, le=1)] = 0.8
    """fixed weights: share of the imperfect label, the rest is the pseudo label's (Reed et al.)"""
    meta_gradient: meta.Mode = "forward"
    """how Eq. 6 is computed: exact as published; forward the same, faster; difference nearly so,
    faster still; decoder a rough approximation, as a UNet++ learns much outside its last columns"""
    meta_blocks: Annotated[int, Field(ge=1, le=5)] = 2
    """meta_gradient decoder: how many of the last columns of the UNet++ take part"""
    normalise: Literal["each", "jointly"] = "each"
    """sums to one over a batch, Eq. 8: each of the two weight maps, or both together (published)"""
    zoom_in: Annotated[int, Field(ge=0, le=8)] = 1
    """enlarged views of every tile among the Q of Eq. 10"""
    zoom_out: Annotated[int, Field(ge=0, le=8)] = 2
    """reduced views of every tile among the Q of Eq. 10"""
    flips: Annotated[int, Field(ge=0, le=3)] = 1
    """mirrored views of every tile among the Q of Eq. 10: left to right, top to bottom, both"""
    zoom: Annotated[float, Field(gt=1, le=4)] = 1.5
    """zoom of the fourth enlarged view, and of the fourth reduced one the inverse; the first is the
    weakest, and each further view stronger than all before (not in the paper)"""
    views_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the consistency between views, Eq. 11 (not in the paper)"""
    views_gradient: Literal["both", "one"] = "both"
    """Eq. 11 teaches both views of a pair, or one by the other (published)"""
    clean_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the loss on the clean pixels of a batch, beside Eq. 9 (ours)"""
    clean_step: bool = False
    """a further update by clean tiles alone after each one of Eq. 9 (published)"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("mlbseg")

    def sampling(self) -> SamplingPlan:
        """Tiles, with clean ones beside them."""
        plan = super().sampling()
        return replace(plan, meta_batch_size=self.meta_batch_size, hold_out=self.hold_out)


class Doubt(NamedTuple):
    """What a batch leaves in doubt: images as the network sees them, (B, channels, h, w).

    label: the imperfect label y^n, UNKNOWN where there is none, uint8 (B, h, w); open: pixels that
    count and are not clean, bool (B, h, w).
    """

    image: Tensor
    label: Tensor
    open: Tensor


class Clean(NamedTuple):
    """Tiles of clean pixels: image (B, channels, h, w), label (B, h, w), UNKNOWN elsewhere."""

    image: Tensor
    label: Tensor

    def loss(self, logits: Tensor, features: Tensor | None = None) -> Tensor:
        """The clean loss of Eq. 5, a mean over the clean pixels."""
        return losses.cross_entropy(logits, self.label)


class MLBSeg(Method):
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
        self.views = _views(config).to(device)
        self.reference: Clean | None = None
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
        total = sum((weights.get(name, 1.0) * term for name, term in found.items()), _zero(batch))
        self.student.update(total)
        if self.config.clean_step and not warm and clean is not None:
            self.student.update(clean.loss(self.student.net(clean.image)))
        self._keep(clean)
        trusted = None if self.trusted is None else self.trusted.item()
        return Outcome(numbers({**found, "total": total}), trusted=trusted)

    def _keep(self, clean: Clean | None) -> None:
        """Keep the newest clean tiles for `explain`."""
        if clean is None:
            return
        kept = self.reference
        if kept is not None and kept.label.shape[1:] == clean.label.shape[1:]:
            clean = Clean(*(torch.cat(both) for both in zip(clean, kept, strict=True)))
        self.reference = Clean(clean.image[:KEPT_TILES], clean.label[:KEPT_TILES])

    def _warm(self, batch: Batch) -> dict[str, Tensor]:
        """The clean pixels of the batch and of its clean tiles: f_c of Eq. 1."""
        parts = [part for part in (self._clean(batch), self._clean(batch.meta)) if part is not None]
        if not parts:
            return {"clean": _zero(batch)}
        clean = Clean(*(torch.cat(values) for values in zip(*parts, strict=True)))
        return {"clean": clean.loss(self.student.net(build.channels_last(clean.image)))}

    def _terms(self, batch: Batch, clean: Clean | None) -> dict[str, Tensor]:
        """Both sums of Eq. 9, the clean pixels of the batch, and Eqs. 11 and 13."""
        c, doubt, counts = self.config, self._doubt(batch), _counts(batch)
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
        fixed = self.config.weighting == "fixed"
        return logits, self._fixed(doubt) if fixed else torch.zeros_like(logits).transpose(0, 1)

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

    def _fixed(self, doubt: Doubt) -> Tensor:
        """The same weights everywhere (Reed et al. 2014), (2, B, h, w), each sum its share."""
        given = torch.stack([doubt.label != UNKNOWN, doubt.open])
        of_given = self.config.fixed_share
        share = doubt.image.new_tensor([of_given, 1 - of_given])
        return given * (share / given.sum(dim=(1, 2, 3)).clamp(min=1))[:, None, None, None]

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
        nothing = torch.full_like(batch.hematoxylin[:, 0], torch.nan)
        generated = batch.planes.get(GENERATED, nothing)
        open_ = _counts(batch) & (batch.labels["clean"] == UNKNOWN)
        label = torch.where(generated.isnan(), UNKNOWN, generated > 0.5).to(torch.uint8)
        rough = batch.labels["rough"]
        label = torch.where(rough == UNKNOWN, label, rough).masked_fill(~open_, UNKNOWN)
        return Doubt(self.student.input(batch.image, batch.hematoxylin), label, open_)

    def _clean(self, batch: Batch | None) -> Clean | None:
        """The tiles of a batch that hold clean pixels; None where there are none."""
        if batch is None:
            return None
        label = batch.labels["clean"]
        rows = (label != UNKNOWN).flatten(1).any(dim=1)
        if not rows.any():
            return None
        return Clean(self.student.input(batch.image[rows], batch.hematoxylin[rows]), label[rows])

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """Cross-entropy on held-out clean pixels; on rough ones where a batch has no clean one."""
        label = batch.labels["clean"]
        label = label if (label != UNKNOWN).any() else batch.labels["rough"]
        logits = self.student.predictor()(self.student.input(batch.image, batch.hematoxylin))
        loss = losses.cross_entropy(logits, label).item()
        return {"clean": loss, "total": loss}

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Eq. 1, once, when the warm start has ended: labels of what nobody labelled."""
        c = self.config
        if c.ema_restart and self.student.teacher is not None:
            self.student.teacher.updates = 0
        if not (c.label_unlabeled and 0 < c.warm_start <= progress.fraction):
            return
        for index, image in enumerate(images):
            if GENERATED not in image.planes and _unlabeled(image).any():
                yield Revision(index, GENERATED, self.student.whole(image))

    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The softmax of the network that predicts, and its `uncertainty`."""
        return self.student.predict(image, hematoxylin)

    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        """w^n and w^p of Eq. 7 on one scale, 0..1 (B, h, w), by the clean tiles seen last.

        1 stands for the weight that one pixel in a hundred exceeds, and for clean pixels, which
        count fully. All zero before the first clean tile was seen.
        """
        doubt, clean = self._doubt(batch), self.reference
        weights = torch.zeros_like(doubt.image[:, :1]).repeat(1, 2, 1, 1)
        if clean is not None:
            self.student.net.eval()
            packed = torch.cat([doubt.image, doubt.label[:, None], doubt.open[:, None]], dim=1)
            weights = in_windows(lambda part: self._of_window(part, clean), packed, 512, 64)
        shown = (weights / losses.exceeded(weights, 0.01).clamp(min=1e-30)).clamp(max=1)
        given = torch.where(batch.labels["clean"] == UNKNOWN, shown[:, 0], 1.0)
        return {"weights": given, "weights_pseudo": shown[:, 1]}

    def _of_window(self, packed: Tensor, clean: Clean) -> Tensor:
        """Positive weights, (B, 2, h, w), of one window of `explain`."""
        image, label, open_ = packed[:, :-2], packed[:, -2].to(torch.uint8), packed[:, -1].bool()
        doubt = Doubt(build.channels_last(image), label, open_)
        with torch.no_grad():
            others = self._seen(doubt.image)
        return losses.positive(self._meta_weights(doubt, others, clean)[1]).transpose(0, 1)

    def state_dict(self) -> dict[str, Any]:
        """Student and teacher, and the clean tiles seen last."""
        reference = {} if self.reference is None else self.reference._asdict()
        return {**self.student.state_dict(), "reference": reference}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.student.load_state_dict(state)
        self.reference = Clean(**state["reference"]) if state["reference"] else None

    def weights(self) -> dict[str, Tensor]:
        """The network that predicts."""
        return self.student.weights()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        self.student.load_weights(weights)


def _views(c: MLBSegConfig) -> Tensor:
    """The tile as it is and its Q views tau_q, theta (Q + 1, 2, 3)."""
    factors = [c.zoom ** ((k + 1) / FOURTH) for k in range(c.zoom_in)]
    factors += [c.zoom ** (-(k + 1) / FOURTH) for k in range(c.zoom_out)]
    axes = [(False, True), (True, False), (True, True)][: c.flips]
    return torch.cat([views.zoomed([1.0, *factors]), views.mirrored(axes)])


def _counts(batch: Batch) -> Tensor:
    """Where something can be learned, labelled or not: stained, declared or labelled pixels."""
    labelled = (batch.labels["rough"] != UNKNOWN) | (batch.labels["clean"] != UNKNOWN)
    return batch.known | batch.tissue | labelled


def _unlabeled(image: TrainingImage) -> NDArray[np.bool_]:
    """Pixels that could be learned from but have no label of either kind, (H, W)."""
    rough, clean = (image.labels[name] == UNKNOWN for name in ("rough", "clean"))
    unlabeled: NDArray[np.bool_] = (image.known | image.tissue) & rough & clean
    return unlabeled


def _zero(batch: Batch) -> Tensor:
    return batch.image.new_zeros(())


METHOD: type[Method] = MLBSeg
"""What the registry finds in this file."""
