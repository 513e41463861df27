"""MLB-Seg: imperfect labels and the network's own, weighed pixel by pixel by a few clean ones.

Meta-Learning for Bootstrapping Medical Image Segmentation from Imperfect Supervision (2022), whose
equations are numbered here; its part on missing labels appeared as Q. Wei, L. Yu, X. Li, W. Shao,
C. Xie, L. Xing, Y. Zhou: Consistency-guided meta-learning for bootstrapping semi-supervised medical
image segmentation. MICCAI 2023 (arXiv:2307.11604).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from napari_noisyseg import losses, meta, views
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Losses,
    Method,
    MethodConfig,
    Needs,
    Prediction,
    Preset,
    Progress,
    Revision,
    TrainingImage,
)
from napari_noisyseg.nets import build
from napari_noisyseg.nets.ema import WeightAverage
from napari_noisyseg.nets.tiling import in_windows

GENERATED = "generated"
"""the plane of Eq. 1: labels of what nobody labelled, by the network that saw clean labels only"""
KEPT_TILES = 16
"""clean tiles that `explain` judges by; a few alone would judge by their own peculiarities"""


class MLBSegConfig(MethodConfig):
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
    """strongest zoom of a view; weaker ones lie evenly between (not in the paper)"""
    views_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the consistency between views, Eq. 11 (not in the paper)"""
    views_gradient: Literal["both", "one"] = "both"
    """Eq. 11 teaches both views of a pair, or one by the other (published)"""
    mean_teacher: bool = True
    """follow the network by a teacher, section 3.3"""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """decay of the teacher's moving average of the weights"""
    ema_restart: bool = False
    """let the teacher follow fast again at the start of every epoch (published)"""
    gamma: Annotated[float, Field(ge=0, le=10)] = 0.1
    """level of the noise in the teacher's input, Eq. 12 with N(0, 1) (numbers not in the paper)"""
    teacher_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the consistency with the teacher, Eq. 13 (not in the paper)"""
    predicts: Literal["teacher", "student"] = "teacher"
    """which network predicts where there is a teacher (not in the paper)"""
    clean_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the loss on the clean pixels of a batch, beside Eq. 9 (ours)"""
    clean_step: bool = False
    """a further update by clean tiles alone after each one of Eq. 9 (published)"""
    clip: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """largest norm of an update's gradient (published: 0.2); 0: no limit"""
    stains: Literal["fixed", "estimated"] = "fixed"
    """stain matrix of the hematoxylin component: one for all images, or each image's own"""
    level_stains: bool = False
    """bring the hematoxylin of pale and dark slides to one level (ours)"""
    stain_jitter: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """largest random change of a tile's stain density in training, as a share (ours)"""
    input: Literal["hematoxylin", "rgb"] = "rgb"
    """what the network sees: the hematoxylin component alone, or the colours"""
    width: Annotated[int, Field(ge=4, le=256)] = 32
    """channels of the UNet++ at its first scale"""
    depth: Annotated[int, Field(ge=1, le=5)] = 4
    """number of times the UNet++ halves the image"""
    lr: Annotated[float, Field(gt=0, le=1)] = 0.005
    """learning rate alpha of SGD, Eq. 9"""
    lr_schedule: Literal["constant", "decay", "cosine"] = "constant"
    """learning rate: constant, lr 20 / (epoch + 20) (published), or a cosine (ours)"""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """momentum of SGD"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    """weight decay of SGD"""

    @classmethod
    def presets(cls) -> dict[Preset, dict[str, bool | int | float | str]]:
        """`small` trains on two CPU cores in minutes."""
        small: dict[str, bool | int | float | str] = {
            "working_mpp": 0.5, "tile": 128, "tile_overlap": 64, "crop": 96, "epochs": 30,
            "batch_size": 8, "meta_batch_size": 4, "meta_gradient": "difference",
            "input": "hematoxylin", "level_stains": True, "stain_jitter": 0.25,
            "zoom_out": 1, "flips": 0, "clean_step": True,
            "width": 12, "lr": 0.05, "lr_schedule": "cosine",
        }  # fmt: skip
        return {"paper": {}, "small": small}


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


class MLBSeg:
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
        c, inputs = config, 1 if config.input == "hematoxylin" else 3
        self.net = build.seeded(lambda: build.unetpp(inputs, c.width, c.depth), device, seed)
        self.teacher = WeightAverage(self.net, c.ema_decay) if c.mean_teacher else None
        self.optimizer = torch.optim.SGD(
            self.net.parameters(), c.lr, momentum=c.momentum, weight_decay=c.weight_decay
        )
        how = meta.Settings(c.meta_gradient, point="present", blocks=c.meta_blocks)
        self.bilevel = meta.Bilevel(self.net, how)
        self.views = _views(c).to(device)
        self.noise = torch.Generator().manual_seed(seed)
        self.reference: Clean | None = None
        self.trusted: Tensor | None = None
        """share of the last imperfect labels that had any weight, where they were weighed"""

    def step(self, batch: Batch, progress: Progress) -> Losses:
        """One update: on clean pixels alone in the warm start, then Eq. 9."""
        self._set_rate(progress)
        self.net.train()
        clean = self._clean(batch.meta) or self._clean(batch)
        warm = progress.fraction < self.config.warm_start
        self.trusted = None
        found = self._warm(batch) if warm else self._terms(batch, clean)
        weights = {"views": self.config.views_weight, "teacher": self.config.teacher_weight}
        weights["clean"] = 1.0 if warm else self.config.clean_weight
        total = sum((weights.get(name, 1.0) * term for name, term in found.items()), _zero(batch))
        self._update(total)
        if self.config.clean_step and not warm and clean is not None:
            self._update(clean.loss(self.net(clean.image)))
        self._keep(clean)
        told: dict[str, Tensor] = {} if self.trusted is None else {"trusted": self.trusted}
        return _numbers({**found, "total": total, **told})

    def _keep(self, clean: Clean | None) -> None:
        """Keep the newest clean tiles for `explain`."""
        if clean is None:
            return
        kept = self.reference
        if kept is not None and kept.label.shape[1:] == clean.label.shape[1:]:
            clean = Clean(*(torch.cat(both) for both in zip(clean, kept, strict=True)))
        self.reference = Clean(clean.image[:KEPT_TILES], clean.label[:KEPT_TILES])

    def _set_rate(self, progress: Progress) -> None:
        c = self.config
        rate = c.lr * 20 / (progress.epoch + 20) if c.lr_schedule == "decay" else c.lr
        if c.lr_schedule == "cosine":
            rate = losses.cosine_rate(progress.fraction, c.lr)
        build.set_rate(self.optimizer, rate)

    def _update(self, loss: Tensor) -> None:
        """One step of SGD down the loss; the teacher follows. Nothing where nothing was learned."""
        if not loss.requires_grad:
            return
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)
        self.optimizer.step()
        if self.teacher is not None:
            self.teacher.update(self.net)

    def _warm(self, batch: Batch) -> dict[str, Tensor]:
        """The clean pixels of the batch and of its clean tiles: f_c of Eq. 1."""
        parts = [part for part in (self._clean(batch), self._clean(batch.meta)) if part is not None]
        if not parts:
            return {"clean": _zero(batch)}
        clean = Clean(*(torch.cat(values) for values in zip(*parts, strict=True)))
        return {"clean": clean.loss(self.net(build.channels_last(clean.image)))}

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
        seen = torch.stack([_nucleus(logits), *others])
        if others:
            both = c.views_gradient == "both"
            terms["views"] = 2 * views.disagreement(seen, self.views, counts, both)
        if self.teacher is not None:
            terms["teacher"] = self._beside_teacher(doubt.image, seen[0], counts)
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
        logits = self.net(doubt.image)
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
        # Half precision would drown the difference that the approximations take.
        with torch.autocast(doubt.image.device.type, enabled=False):
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
        seen = torch.stack([_nucleus(logits), *others]).detach()
        pseudo = (views.ensemble(seen, self.views) > 0.5).to(doubt.label.dtype)
        labels = (doubt.label, pseudo.masked_fill(~doubt.open, UNKNOWN))
        return torch.stack([losses.pixel_cross_entropy(logits, label) for label in labels])

    def _seen(self, x: Tensor) -> list[Tensor]:
        """f(tau_q(x)) of Eq. 10: probability of nucleus (B, h, w) in each of the Q views.

        Where a view reaches beyond the tile it sees the tile mirrored; nothing counts there.
        """
        found = []
        with meta.still(self.net):
            for theta in self.views[1:]:
                view = views.apply(theta.expand(len(x), 2, 3), x, fill="reflect")
                found.append(_nucleus(self.net(build.channels_last(view))))
        return found

    def _beside_teacher(self, x: Tensor, present: Tensor, counts: Tensor) -> Tensor:
        """Eqs. 12 and 13: how far the student is from the teacher, which sees x with noise."""
        assert self.teacher is not None
        noise = self.config.gamma * torch.randn(x.shape, generator=self.noise)
        with torch.no_grad():
            other = _nucleus(self.teacher.module(x + noise.to(x)))
        return 2 * losses.masked_mean((present - other).square(), counts)

    def _doubt(self, batch: Batch) -> Doubt:
        """The imperfect label: the rough one, else that of Eq. 1, never where a clean one is."""
        nothing = torch.full_like(batch.hematoxylin[:, 0], torch.nan)
        generated = batch.planes.get(GENERATED, nothing)
        open_ = _counts(batch) & (batch.labels["clean"] == UNKNOWN)
        label = torch.where(generated.isnan(), UNKNOWN, generated > 0.5).to(torch.uint8)
        rough = batch.labels["rough"]
        label = torch.where(rough == UNKNOWN, label, rough).masked_fill(~open_, UNKNOWN)
        return Doubt(self._input(batch.image, batch.hematoxylin), label, open_)

    def _clean(self, batch: Batch | None) -> Clean | None:
        """The tiles of a batch that hold clean pixels; None where there are none."""
        if batch is None:
            return None
        label = batch.labels["clean"]
        rows = (label != UNKNOWN).flatten(1).any(dim=1)
        if not rows.any():
            return None
        return Clean(self._input(batch.image[rows], batch.hematoxylin[rows]), label[rows])

    def _input(self, image: Tensor, hematoxylin: Tensor) -> Tensor:
        """Darkness, so that the network's zero padding means no stain."""
        shown = hematoxylin if self.config.input == "hematoxylin" else image
        return build.channels_last(1 - shown)

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """Cross-entropy on held-out clean pixels; on rough ones where a batch has no clean one."""
        label = batch.labels["clean"]
        label = label if (label != UNKNOWN).any() else batch.labels["rough"]
        logits = self._predictor()(self._input(batch.image, batch.hematoxylin))
        loss = losses.cross_entropy(logits, label).item()
        return {"clean": loss, "total": loss}

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Eq. 1, once, when the warm start has ended: labels of what nobody labelled."""
        c = self.config
        if c.ema_restart and self.teacher is not None:
            self.teacher.updates = 0
        if not (c.label_unlabeled and 0 < c.warm_start <= progress.fraction):
            return
        for index, image in enumerate(images):
            if GENERATED not in image.planes and _unlabeled(image).any():
                yield Revision(index, GENERATED, self._whole(image))

    @torch.no_grad()
    def _whole(self, image: TrainingImage) -> NDArray[np.float32]:
        """Probability of nucleus of a whole image by the student as it is, (H, W)."""
        net = self.net.eval()
        planes = (image.image, image.hematoxylin)
        x = self._input(*(torch.as_tensor(plane, device=self.device)[None] for plane in planes))
        found = in_windows(lambda part: _nucleus(net(part))[:, None], x)
        return cast("NDArray[np.float32]", found[0, 0].float().cpu().numpy())

    @torch.no_grad()
    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The network's softmax; `uncertainty` is 1 on the decision boundary and 0 where sure."""
        probability = _nucleus(self._predictor()(self._input(image, hematoxylin)))
        return Prediction(probability, {"uncertainty": 1 - (2 * probability - 1).abs()})

    def _predictor(self) -> nn.Module:
        """The network that predicts, in evaluation mode."""
        if self.teacher is not None and self.config.predicts == "teacher":
            return self.teacher.module
        return self.net.eval()

    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        """w^n and w^p of Eq. 7 on one scale, 0..1 (B, h, w), by the clean tiles seen last.

        1 stands for the weight that one pixel in a hundred exceeds, and for clean pixels, which
        count fully. All zero before the first clean tile was seen.
        """
        doubt, clean = self._doubt(batch), self.reference
        weights = torch.zeros_like(doubt.image[:, :1]).repeat(1, 2, 1, 1)
        if clean is not None:
            self.net.eval()
            packed = torch.cat([doubt.image, doubt.label[:, None], doubt.open[:, None]], dim=1)
            weights = in_windows(lambda part: self._of_window(part, clean), packed, 512, 64)
        shown = (weights / _high(weights)).clamp(max=1)
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
        """Networks, optimiser, the noise's random state, and the clean tiles seen last."""
        return {
            "net": dict(self.net.state_dict()),
            "teacher": {} if self.teacher is None else dict(self.teacher.state_dict()),
            "optimizer": build.optimizer_state(self.optimizer),
            "noise": self.noise.get_state(),
            "reference": {} if self.reference is None else self.reference._asdict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.net.load_state_dict(state["net"])
        if self.teacher is not None:
            self.teacher.load_state_dict(state["teacher"])
        build.load_optimizer_state(self.optimizer, state["optimizer"])
        self.noise.set_state(state["noise"].cpu())
        self.reference = Clean(**state["reference"]) if state["reference"] else None

    def weights(self) -> dict[str, Tensor]:
        """The network that predicts."""
        return build.prefixed({"net": self._predictor()})

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        build.load_prefixed({"net": self.net}, weights)
        if self.teacher is not None:
            build.load_prefixed({"net": self.teacher.module}, weights)


def _views(c: MLBSegConfig) -> Tensor:
    """The tile as it is and its Q views tau_q, theta (Q + 1, 2, 3)."""
    factors = [c.zoom ** ((k + 1) / c.zoom_in) for k in range(c.zoom_in)]
    factors += [c.zoom ** (-(k + 1) / c.zoom_out) for k in range(c.zoom_out)]
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


def _nucleus(logits: Tensor) -> Tensor:
    """Probability of nucleus, (B, h, w)."""
    return logits.softmax(dim=1)[:, 1]


def _high(weights: Tensor) -> Tensor:
    """The weight that one pixel in a hundred exceeds; the largest where that is zero."""
    flat = weights.flatten()
    high = flat.kthvalue(max(1, round(0.99 * len(flat)))).values
    return torch.where(high > 0, high, flat.max()).clamp(min=1e-30)


def _zero(batch: Batch) -> Tensor:
    return batch.image.new_zeros(())


def _numbers(terms: Mapping[str, Tensor]) -> Losses:
    values = torch.stack([term.detach().float() for term in terms.values()]).tolist()
    return dict(zip(terms, values, strict=True))


METHOD: type[Method] = MLBSeg
"""What the registry finds in this file."""
