"""SC-Net: label propagation from points.

Y. Lin, Z. Qu, H. Chen, Z. Gao, Y. Li, L. Xia, K. Ma, Y. Zheng, K.-T. Cheng: Nuclei segmentation
with point annotations from pathology images via self-supervised learning and co-training. Medical
Image Analysis 89, 102933, 2023 (arXiv:2202.08195). Equations are numbered as there.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning.pair import Pair, Side, half_of, joined, stain
from napari_noisyseg.learning.settings.scnet import SCNetConfig
from napari_noisyseg.learning.terms import numbers
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Losses,
    Method,
    MethodConfig,
    Needs,
    Outcome,
    Prediction,
    Progress,
    Revision,
    TrainingImage,
)
from napari_noisyseg.nets import build
from napari_noisyseg.nets.colorization import ColorHead


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
        self.pair = Pair(config, device, seed)

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """Eq. 9: both networks, each on its own half of the tiles."""
        self.pair.begin(progress.fraction)
        weights = self._weights(progress)
        one, two = (
            self._terms(side, half_of(batch, side.half), weights) for side in self.pair.sides
        )
        terms = {name: one[name] + two[name] for name in one}
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        self.pair.update(total)
        return Outcome(numbers({**terms, "total": total}))

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
        logits, features = side.segment.decode(side.segment.encode(stain(batch.hematoxylin)))
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
        return voronoi, coarse[0] if len(coarse) == 1 else joined(*coarse)

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """Eqs. 3 and 4 on held-out tiles; `total` is their sum over both networks.

        The other losses of Eq. 9 are left out: their weights change with the epoch, so that totals
        of different epochs could not be compared.
        """
        logits = [net(stain(batch.hematoxylin)) for net in self.pair.predictors()]
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
        net_a, net_b = self.pair.predictors()
        for index, image in enumerate(images):
            for plane, net in (("pseudo_a", net_b), ("pseudo_b", net_a)):
                present = self.pair.whole(net, image.hematoxylin)
                previous = image.planes.get(plane, np.full_like(present, np.nan))
                average = losses.moving_average(
                    torch.as_tensor(previous), torch.as_tensor(present), c.ema_alpha
                )
                yield Revision(index, plane, average.numpy())

    @torch.no_grad()
    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The mean of both networks; `uncertainty` is how far they are apart, in 0..1."""
        x = stain(hematoxylin)
        y_a, y_b = (build.nucleus(net(x)) for net in self.pair.predictors())
        return Prediction((y_a + y_b) / 2, {"uncertainty": (y_a - y_b).abs()})

    def state_dict(self) -> dict[str, Any]:
        """Networks, averages and optimiser."""
        return self.pair.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.pair.load_state_dict(state)

    def weights(self) -> dict[str, Tensor]:
        """The two segmentation networks as they predict."""
        return self.pair.weights()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        self.pair.load_weights(weights)


def _pseudo(batch: Batch, plane: str) -> Tensor:
    """The other network's averaged prediction, NaN before the first one."""
    nothing = torch.full_like(batch.hematoxylin[:, 0], torch.nan)
    return batch.planes.get(plane, nothing)


METHOD: type[Method] = SCNet
"""What the registry finds in this file."""
