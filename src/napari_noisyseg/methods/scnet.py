"""SC-Net: label propagation from points.

Y. Lin, Z. Qu, H. Chen, Z. Gao, Y. Li, L. Xia, K. Ma, Y. Zheng, K.-T. Cheng: Nuclei segmentation
with point annotations from pathology images via self-supervised learning and co-training. Medical
Image Analysis 89, 102933, 2023 (arXiv:2202.08195). Equations are numbered as there.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from napari_noisyseg import losses
from napari_noisyseg.learning import optimizers, pair, presets
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.learning.pair import Side
from napari_noisyseg.learning.settings import StainConfig
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
from napari_noisyseg.nets.build import Encoder
from napari_noisyseg.nets.colorization import ColorHead
from napari_noisyseg.nets.resunet import Stem
from napari_noisyseg.nets.tiling import in_windows
from napari_noisyseg.plans import (
    PixelPlan,
    PredictionPlan,
    Recipe,
    SamplingPlan,
    Stains,
    Tiling,
)


class SCNetConfig(StainConfig):
    """The paper's settings; where it is silent, the published code's or ours, and it says so."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """tiles per update, half of them for each network (published: 8 for each)"""
    coarse: Literal["cluster", "local", "outline", "both"] = "cluster"
    """coarse label c of Eqs. 4 and 6: the paper's k-means cluster; or (ours) the outline at each
    click, untrained or by the network that comes with the package; or what the cluster and the
    untrained outline agree on or only one of them says"""
    cluster_recipe: Recipe = "paper"
    """cluster label: k-means on [RGB/10, min(distance, 20 px)] cleaned by opening; mended with
    distances in nucleus radii (ours, measured better); or cleaned by closing, with background the
    cluster that overlaps disks at the points least (published)"""
    stains: Stains = "estimated"
    """stain matrix W of Eq. 1: one for all images (published), or factorised from each image"""
    use_vor: bool = True
    """Voronoi loss, Eq. 3"""
    use_clu: bool = True
    """loss on the coarse label, Eq. 4"""
    use_cot: bool = True
    """co-training loss, Eqs. 5-7"""
    use_color: bool = True
    """colorization loss, Eq. 8"""
    eta: Annotated[float, Field(ge=0, le=100)] = 1.0
    """final weight of co-training in Eq. 9: alpha = eta (N / Nmax)^2"""
    epsilon: Annotated[float, Field(ge=0, le=100)] = 0.1
    """first weight of colorization in Eq. 9: beta = epsilon (1 - N / Nmax)^2"""
    ema_alpha: Annotated[float, Field(gt=0, le=1)] = 0.1
    """weight of the newest prediction in the pseudo label, Eq. 5 (published; not in the paper)"""
    gamma: Annotated[int, Field(ge=1, le=1000)] = 3
    """epochs between two updates of the pseudo labels (published: 5)"""
    hold_out: bool = True
    """keep a tenth of the tiles to choose the best weights by; off: every tile teaches"""
    split_overlap: Annotated[float, Field(ge=0, le=1)] = 0.0
    """share of each network's training tiles that the other sees as well (Table IV)"""
    color_loss: Literal["squared", "absolute"] = "squared"
    """distance of colours in Eq. 8 (published: absolute)"""
    color_fading: Literal["early", "late"] = "early"
    """beta of Eq. 9: early (1 - N / Nmax)^2, late 1 - (N / Nmax)^2 (published)"""
    second_net: Literal["same", "unet"] = "same"
    """second network: the same shape from another seed, or a plain U-Net (published)"""
    decoder: Literal["separate", "shared"] = "separate"
    """C of Eq. 8: a U-Net on the probability map, or one more output of the decoder that segments
    (published; a plain U-Net as second network keeps a U-Net for its colours)"""
    width: Annotated[int, Field(ge=4, le=256)] = 64
    """channels of the segmentation networks at their first scale"""
    encoder: Encoder = "3-4-6-3"
    """residual blocks at each scale: 3-4-6-3 is the paper's ResNet-34"""
    stem: Stem = "stride4"
    """how the first layers shrink the image; stride4 is ResNet's own"""
    color_width: Annotated[int, Field(ge=2, le=256)] = 32
    """channels of the colorization network at its first scale (not in the paper)"""
    color_depth: Annotated[int, Field(ge=1, le=5)] = 4
    """number of times the colorization network halves the image"""
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """first learning rate of Adam"""
    lr_schedule: Literal["steps", "cosine"] = "steps"
    """learning rate: a tenth after each 30 % of the schedule, or a cosine (ours)"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    """weight decay of Adam"""
    adam_beta2: Annotated[float, Field(ge=0.5, lt=1)] = 0.999
    """second decay rate of Adam (published: 0.99)"""
    average_weights: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """decay of the moving average of weights that predicts (ours); 0: the weights as they are"""
    window: Annotated[int, Field(ge=64, le=4096)] = 224
    """side of the windows that prediction works in, in working pixels"""
    window_overlap: Annotated[int, Field(ge=0, le=2048)] = 80
    """overlap of these windows, in working pixels"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("scnet")

    @model_validator(mode="after")
    def _some_loss(self) -> Self:
        if not (self.use_vor or self.use_clu):
            raise ValueError("use_vor or use_clu must be on: nothing else says what a nucleus is")
        return self

    def label_planes(self) -> tuple[str, ...]:
        """The label planes that these settings use."""
        coarse = ("cluster", "local") if self.coarse == "both" else (self.coarse,)
        return ("voronoi", *coarse)

    def pixels(self) -> PixelPlan:
        """Stains and cluster label as these settings say."""
        return replace(super().pixels(), cluster_recipe=self.cluster_recipe)

    def sampling(self) -> SamplingPlan:
        """Tiles in two halves that share as many as these settings say."""
        return replace(super().sampling(), split_overlap=self.split_overlap, hold_out=self.hold_out)

    def prediction(self) -> PredictionPlan:
        """Windows that overlap by half of their side at most."""
        overlap = min(self.window_overlap, self.window // 2)
        return replace(super().prediction(), tiling=Tiling(self.window, overlap))


class SCNet(Method):
    """Two segmentation networks S_a, S_b that teach each other, each followed by a C."""

    Config: ClassVar[type[MethodConfig]] = SCNetConfig
    needs: ClassVar[Needs] = Needs(
        points=True, halves=True, labels=("voronoi", "cluster", "local", "outline")
    )
    paper: ClassVar[str] = (
        "Lin et al., Nuclei segmentation with point annotations from pathology images via "
        "self-supervised learning and co-training, Medical Image Analysis 89, 2023"
    )
    title: ClassVar[str] = "SC-Net: outlines from points"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty",)

    def __init__(self, config: SCNetConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        c = config
        self.nets = pair.nets(c, device, seed)
        averaged = ("a", "b") if c.average_weights else ()
        self.averages = {k: WeightAverage(self.nets[k], c.average_weights) for k in averaged}
        self.optimizer = torch.optim.Adam(
            self.nets.parameters(), c.lr, betas=(0.9, c.adam_beta2), weight_decay=c.weight_decay
        )
        self.sides = (pair.side(self.nets, "a", 0), pair.side(self.nets, "b", 1))

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """Eq. 9: both networks, each on its own half of the tiles."""
        self._set_rate(progress)
        self.nets.train()
        weights = self._weights(progress)
        one, two = (self._terms(side, _part(batch, side.half), weights) for side in self.sides)
        terms = {name: one[name] + two[name] for name in one}
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        self.optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        for name, average in self.averages.items():
            average.update(self.nets[name])
        return Outcome(numbers({**terms, "total": total}))

    def _set_rate(self, progress: Progress) -> None:
        steps = self.config.lr_schedule == "steps"
        schedule = losses.stepped_rate if steps else losses.cosine_rate
        optimizers.set_rate(self.optimizer, schedule(progress.fraction, self.config.lr))

    def _weights(self, progress: Progress) -> dict[str, float]:
        """The factors of Eq. 9 of the losses that are switched on."""
        c, n = self.config, progress.fraction
        fading = losses.falling if c.color_fading == "early" else losses.falling_late
        every = {
            "vor": 1.0,
            "clu": 1.0,
            "cot": losses.rising(n, c.eta),
            "color": fading(n, c.epsilon),
        }
        used = {"vor": c.use_vor, "clu": c.use_clu, "cot": c.use_cot, "color": c.use_color}
        return {name: weight for name, weight in every.items() if used[name]}

    def _terms(self, side: Side, batch: Batch, used: Container[str]) -> dict[str, Tensor]:
        """Eqs. 3, 4, 7 and 8 for one network."""
        voronoi, coarse = self._labels(batch)
        logits, features = side.segment.decode(side.segment.encode(_stain(batch.hematoxylin)))
        terms: dict[str, Tensor] = {}
        if "vor" in used:
            terms["vor"] = losses.cross_entropy(logits, voronoi)
        if "clu" in used:
            terms["clu"] = losses.cross_entropy(logits, coarse)
        if "cot" in used:
            target = losses.fill_unknown(_pseudo(batch, side.pseudo), coarse)
            terms["cot"] = losses.kl_divergence(target, logits, batch.known)
        if "color" in used:
            shared = isinstance(side.color, ColorHead)
            colors = side.color(features if shared else logits.softmax(dim=1))
            power = 2 if self.config.color_loss == "squared" else 1
            terms["color"] = losses.color_distance(colors, batch.image, batch.tissue, power)
        return terms

    def _labels(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The Voronoi label v and the coarse label c, unknown wherever nothing was declared."""
        voronoi, *coarse = (
            batch.labels[name].masked_fill(~batch.known, UNKNOWN)
            for name in self.config.label_planes()
        )
        return voronoi, coarse[0] if len(coarse) == 1 else _joined(*coarse)

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """Eqs. 3 and 4 on held-out tiles; `total` is their sum over both networks.

        The other losses of Eq. 9 are left out: their weights change with the epoch, so that totals
        of different epochs could not be compared.
        """
        logits = [net(_stain(batch.hematoxylin)) for net in self._predictors()]
        terms: dict[str, Tensor] = {}
        voronoi, coarse = self._labels(batch)
        if self.config.use_vor:
            terms["vor"] = torch.stack([losses.cross_entropy(z, voronoi) for z in logits]).sum()
        if self.config.use_clu:
            terms["clu"] = torch.stack([losses.cross_entropy(z, coarse) for z in logits]).sum()
        return numbers({**terms, "total": torch.stack(list(terms.values())).sum()})

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Eq. 5 every gamma epochs, over whole images: each network's pseudo label by the other.

        The first average is the first prediction. Nothing is rounded (the published code keeps
        8-bit pictures that wrap around).
        """
        c = self.config
        if not c.use_cot or progress.epoch % c.gamma:
            return
        net_a, net_b = self._predictors()
        for index, image in enumerate(images):
            for plane, net in (("pseudo_a", net_b), ("pseudo_b", net_a)):
                present = self._whole(net, image.hematoxylin)
                previous = image.planes.get(plane, np.full_like(present, np.nan))
                average = losses.moving_average(
                    torch.as_tensor(previous), torch.as_tensor(present), c.ema_alpha
                )
                yield Revision(index, plane, average.numpy())

    @torch.no_grad()
    def _whole(self, net: nn.Module, hematoxylin: NDArray[np.float32]) -> NDArray[np.float32]:
        x = torch.as_tensor(hematoxylin, device=self.device)[None]
        probability = in_windows(lambda part: build.nucleus(net(_stain(part)))[:, None], x)
        return cast("NDArray[np.float32]", probability[0, 0].float().cpu().numpy())

    @torch.no_grad()
    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The mean of both networks; `uncertainty` is how far they are apart, in 0..1."""
        x = _stain(hematoxylin)
        y_a, y_b = (build.nucleus(net(x)) for net in self._predictors())
        return Prediction((y_a + y_b) / 2, {"uncertainty": (y_a - y_b).abs()})

    def _predictors(self) -> tuple[nn.Module, nn.Module]:
        """S_a and S_b in evaluation mode, with averaged weights where these are kept."""
        nets = self._deployed()
        return nets["a"].eval(), nets["b"].eval()

    def _deployed(self) -> dict[str, nn.Module]:
        if not self.averages:
            return {"a": self.nets["a"], "b": self.nets["b"]}
        return {k: average.module for k, average in self.averages.items()}

    def state_dict(self) -> dict[str, Any]:
        """Networks, averages and optimiser."""
        return {
            "nets": dict(self.nets.state_dict()),
            "averages": {k: dict(average.state_dict()) for k, average in self.averages.items()},
            "optimizer": optimizers.state_of(self.optimizer),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.nets.load_state_dict(state["nets"])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        optimizers.load_state(self.optimizer, state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        """The two segmentation networks as they predict."""
        return build.prefixed(self._deployed())

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        build.load_prefixed(self._deployed(), weights)
        build.load_prefixed({k: self.nets[k] for k in ("a", "b")}, weights)


def _part(batch: Batch, half: int) -> Batch:
    """The tiles of one half; all of them where the batch has none, so that no network idles."""
    rows = batch.half == half
    if not rows.any():
        return batch
    return batch.mapped(lambda values: values[rows])


def _pseudo(batch: Batch, plane: str) -> Tensor:
    """The other network's averaged prediction, NaN before the first one."""
    nothing = torch.full_like(batch.hematoxylin[:, 0], torch.nan)
    return batch.planes.get(plane, nothing)


def _joined(first: Tensor, second: Tensor) -> Tensor:
    """What both labels say, or the one that speaks; UNKNOWN where they contradict each other."""
    joined = torch.where(first == UNKNOWN, second, first)
    both = (first != UNKNOWN) & (second != UNKNOWN)
    return joined.masked_fill(both & (first != second), UNKNOWN)


def _stain(hematoxylin: Tensor) -> Tensor:
    """1 - x_h: the same information, with the networks' zero padding meaning no stain."""
    return build.channels_last(1 - hematoxylin)


METHOD: type[Method] = SCNet
"""What the registry finds in this file."""
