"""iGTT: iterative ground-truth training, unsupervised.

Y. Luo, G. Liu, Y. Guo, G. Yang: Elucidating Meta-Structures of Noisy Labels in Semantic
Segmentation by Deep Neural Networks. IEEE Trans. Pattern Analysis and Machine Intelligence, 2022
(arXiv:2205.00160), section 6. Sections and equations are numbered as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from napari_noisyseg import losses
from napari_noisyseg.learning import optimizers, presets
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.learning.terms import numbers
from napari_noisyseg.method import (
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
from napari_noisyseg.nets.signal import Modality, modality_of, signal, standardised
from napari_noisyseg.nets.tiling import in_windows
from napari_noisyseg.nets.unet import UNet
from napari_noisyseg.noise import structure
from napari_noisyseg.plans import PixelPlan, SamplingPlan, Stains

PLANE = "meta_structure"
"""of `Batch.planes`: the labels Y* of the epoch, 1 nucleus and 0 background"""

FAINT = 4 / 255
"""signal below which differences are noise of the camera: added before the logarithm"""


class IGTTConfig(MethodConfig):
    """Section 6 and the published settings; the seed is ours, as black masks teach nothing."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 32
    """tiles per update"""
    tile: Annotated[int, Field(ge=32, le=2048)] = 256
    """side of the training tiles, in working pixels"""
    tile_overlap: Annotated[int, Field(ge=0, le=2047)] = 0
    """overlap of neighbouring training tiles, in working pixels"""
    crop: Annotated[int, Field(ge=32, le=2048)] = 256
    """side of the random crop that an update sees, in working pixels"""
    hold_out: bool = False
    """keep tiles back to choose the best weights by: labels of two epochs are no common measure, so
    the last weights are taken"""
    modality: Modality = "auto"
    """what nuclei look like: dark in stained tissue, bright in fluorescence, dark in inverted one;
    auto asks each image's colours and brightness"""
    seed_labels: Literal["otsu", "sure", "random"] = "otsu"
    """labels of the first epoch (ours; the paper's black masks have no gradient): Otsu's threshold
    of the stain or of the intensity; the same, unknown where Otsu's threshold of the square root
    finds more; or random pixels"""
    seed_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """P_generate of random seed labels (Fig. 5)"""
    thresholds: Annotated[int, Field(ge=2, le=1000)] = 30
    """K, thresholds tried on each prediction (section 6.2)"""
    choice: Literal["dmi", "correlation"] = "dmi"
    """what chooses among them: |det Q| (Eq. 3), which cuts at the prediction's mean and so widens
    what it finds, or the correlation of mask and prediction (ours)"""
    use_structure: bool = True
    """extract the meta-structure of each new label (section 6.3)"""
    width_of_objects: Literal["fixed", "own"] = "fixed"
    """what the shift of the skeleton approximates: objects of the width `shift` (paper), or each
    object's own width (ours, for objects that are no thin lines)"""
    shift: Annotated[int, Field(ge=0, le=50)] = 1
    """r, largest shift of the skeleton's pixels in working pixels (section 6.3)"""
    sample: Annotated[float, Field(gt=0, le=1)] = 0.1
    """p_sample, share of the pixels that is kept (section 6.3)"""
    smallest: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """µm² below which a piece of a label is dropped and a hole filled (ours)"""
    agreement_drop: Annotated[float, Field(ge=0, le=1)] = 0.0
    """labels that agree with the sure pixels of the signal by so much less (in Dice) than earlier
    ones end the revisions, and the first labels come back (ours); 0: revise to the end"""
    revise_every: Annotated[int, Field(ge=1, le=1000)] = 1
    """epochs between two revisions of the labels"""
    dmi_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the loss of mutual information, L_DMI (Eq. 3)"""
    iou_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the loss of the intersection over union (section 6.4)"""
    width: Annotated[int, Field(ge=4, le=256)] = 64
    """channels of the U-Net at its first scale"""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """SGD with momentum (published), or Adam"""
    lr: Annotated[float, Field(gt=0, le=1)] = 0.05
    """first learning rate"""
    lr_schedule: Literal["steps", "cosine"] = "steps"
    """learning rate: a tenth after each 20 % of the schedule (published), or a cosine"""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """momentum of SGD"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-3
    """weight decay"""
    average_weights: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """decay of the moving average of weights that predicts (ours); 0: the weights as they are"""
    see_faint: bool = False
    """show the network the logarithm of the signal too, so that faint nuclei beside bright ones
    stand out (ours)"""
    stains: Stains = "fixed"
    """stain matrix of the hematoxylin component: one for all images, or each image's own"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("igtt")

    def pixels(self) -> PixelPlan:
        """Stains as these settings say."""
        return PixelPlan(self.stains)

    def sampling(self) -> SamplingPlan:
        """Tiles, of which few or none are held out."""
        return replace(super().sampling(), hold_out=self.hold_out)


class IGTT(Method):
    """One U-Net whose labels are, epoch after epoch, the meta-structure of its own predictions."""

    Config: ClassVar[type[MethodConfig]] = IGTTConfig
    needs: ClassVar[Needs] = Needs(unlabeled=True)
    paper: ClassVar[str] = (
        "Luo et al., Elucidating meta-structures of noisy labels in semantic segmentation by deep "
        "neural networks, IEEE TPAMI, 2022"
    )
    title: ClassVar[str] = "iGTT: no annotation at all"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty",)

    def __init__(self, config: IGTTConfig, device: str, seed: int) -> None:
        self.config, self.device, self.seed = config, device, seed
        self.net = build.seeded(
            lambda: build.unet(1 + config.see_faint, config.width), device, seed
        )
        self.average = WeightAverage(self.net, config.average_weights)
        self.reading = Reading().to(device)
        self.modality: Modality = config.modality
        """of all images, once they have been looked at as a whole; auto where they differ"""
        self.agreed, self.settled = 0.0, False
        """the best agreement of labels with the signal so far; whether no more are wanted"""
        self.optimizer = optimizers.of_settings(config, self.net.parameters())

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """One update on the labels of the epoch; pixels without one (outside images) do not count.

        Without any label no pixel counts, so that nothing is learned.
        """
        c = self.config
        rate = (
            losses.stepped_rate(progress.fraction, c.lr, every=0.2)
            if c.lr_schedule == "steps"
            else losses.cosine_rate(progress.fraction, c.lr)
        )
        optimizers.set_rate(self.optimizer, rate)
        self.net.train()
        terms = self._terms(self.net, batch)
        if terms["determinant"] < 0:
            # |det Q| would lead on to the inverse of the labels, where the IoU has no gradient
            self._turn()
            terms = self._terms(self.net, batch)
        self.optimizer.zero_grad()
        terms["total"].backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.average.update(self.net)
        values = numbers(terms)
        figures = {"determinant": values.pop("determinant")}
        return Outcome(values, figures)

    def _terms(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """L_DMI and IoU (section 6.4)."""
        label = _label(batch)
        mask = ~label.isnan()
        label = torch.where(mask, label, 0.0).clamp(0, 1)
        p = build.nucleus(net(self._input(batch.image, batch.hematoxylin)))
        determinant = losses.joint_determinant(p, label, mask)
        dmi = losses.information_loss(determinant)
        iou = losses.soft_iou(p, label, mask)
        total = self.config.dmi_weight * dmi + self.config.iou_weight * iou
        return {"determinant": determinant, "dmi": dmi, "iou": iou, "total": total}

    def _input(self, image: Tensor, hematoxylin: Tensor) -> Tensor:
        """How much each pixel looks like a nucleus, z-scored."""
        return self._seen(signal(image, hematoxylin, self.modality))

    def _seen(self, x: Tensor) -> Tensor:
        """The channels that the network sees, (B, 1 or 2, h, w), of (B, 1, h, w)."""
        shown = [x, (x + FAINT).log()] if self.config.see_faint else [x]
        return build.channels_last(torch.cat([standardised(one) for one in shown], dim=1))

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """The same losses on held-out tiles and their labels of the epoch."""
        return numbers(self._terms(self.average.module, batch))

    def begin(self, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """What nuclei look like, the labels of the first epoch, and a network that is upright."""
        if self.config.modality == "auto":
            self._look_at(images)
        self._upright(images)  # the turn alone is wanted: nothing has been learned yet
        yield from self._first(images)

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Sections 6.2 and 6.3 over whole images: the labels Y* of the epoch that begins."""
        c = self.config
        if progress.epoch % c.revise_every or self.settled:
            return
        predictions = self._upright(images)
        levels = [structure.most_informative(p, c.thresholds, c.choice) for p in predictions]
        masks = [p > level for p, level in zip(predictions, levels, strict=True)]
        if self._strays(masks, images):
            yield from self._first(images)
            return
        self.reading.set(float(np.median(levels)))
        for index, mask in enumerate(masks):
            rng = np.random.default_rng([self.seed, index, progress.epoch])
            yield Revision(index, PLANE, self._structure(mask, rng))

    def _look_at(self, images: Sequence[TrainingImage]) -> None:
        """A crop, full of bright nuclei, would seem to be an inverted image."""
        kinds = {modality_of(torch.from_numpy(image.image)[None])[0] for image in images}
        self.modality = kinds.pop() if len(kinds) == 1 else "auto"

    def _strays(self, masks: Sequence[NDArray[np.bool_]], images: Sequence[TrainingImage]) -> bool:
        """Whether new labels leave the signal that earlier ones were nearer to; no more are wanted.

        A network that sees thinned labels of its own may thin them further, round after round.
        """
        if not self.config.agreement_drop:
            return False
        pairs = zip(masks, images, strict=True)
        agreed = np.mean([structure.agreement(mask, self._signal(i)) for mask, i in pairs])
        self.settled = bool(agreed < self.agreed - self.config.agreement_drop)
        self.agreed = max(self.agreed, float(agreed))
        return self.settled

    def _first(self, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """The labels of the first epoch, cut at 0.5."""
        self.reading.set(0.5)
        for index, image in enumerate(images):
            rng = np.random.default_rng([self.seed, index])
            yield Revision(index, PLANE, self._seed(self._signal(image), rng))

    def _upright(self, images: Sequence[TrainingImage]) -> list[NDArray[np.float32]]:
        """P of every image; a network that calls the brighter parts background is turned round.

        |det Q| is the same for a prediction and its inverse, so that training may end up at either.
        """
        predictions = [self._whole(image) for image in images]
        pairs = zip(images, predictions, strict=True)
        if sum(structure.covariance(self._signal(image), p) for image, p in pairs) >= 0:
            return predictions
        self._turn()
        return [1 - p for p in predictions]

    def _turn(self) -> None:
        """Exchange the classes of the network, and of its average, which would blend the two."""
        for net in (self.net, cast("UNet", self.average.module)):
            _exchange(net.head)

    def _seed(self, seen: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Labels of the first epoch, (H, W)."""
        kind = self.config.seed_labels
        if kind == "random":
            every = np.ones(seen.shape, bool)
            return structure.sampled(every, self.config.seed_share, rng).astype(np.float32)
        sure = structure.sure_otsu(seen) if kind == "sure" else structure.otsu(seen)
        labels = self._structure(sure == 1, rng)
        labels[np.isnan(sure)] = np.nan
        return labels

    def _structure(self, mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
        """The extraction of meta-structure of a mask (section 6.3), (H, W)."""
        c = self.config
        mask = structure.without_small(mask, c.smallest / c.working_mpp**2)
        if c.use_structure:
            mask = (
                structure.skeleton_shifted(mask, c.shift, rng)
                if c.width_of_objects == "fixed"
                else structure.skeleton_widened(mask)
            )
            mask = structure.sampled(mask, c.sample, rng)
        return mask.astype(np.float32)

    def _signal(self, image: TrainingImage) -> NDArray[np.float32]:
        """How much each pixel of a whole image looks like a nucleus, (H, W)."""
        x = signal(
            torch.from_numpy(image.image)[None],
            torch.from_numpy(image.hematoxylin)[None],
            self.modality,
        )
        return cast("NDArray[np.float32]", x[0, 0].numpy())

    def seen(self, image: TrainingImage) -> Tensor:
        """What the network sees of a whole image, (1, channels, H, W)."""
        return self._seen(torch.from_numpy(self._signal(image))[None, None].to(self.device))

    @torch.no_grad()
    def _whole(self, image: TrainingImage) -> NDArray[np.float32]:
        """P of a whole image, (H, W), as the network gives it."""
        net = self.average.module
        p = in_windows(lambda part: build.nucleus(net(part))[:, None], self.seen(image))
        return cast("NDArray[np.float32]", p[0, 0].float().cpu().numpy())

    @torch.no_grad()
    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The network's output, with the threshold that the labels were cut at as 0.5."""
        p = self.reading(build.nucleus(self.average.module(self._input(image, hematoxylin))))
        return Prediction(p, {"uncertainty": 1 - (2 * p - 1).abs()})

    def state_dict(self) -> dict[str, Any]:
        """Network, average, how it is read, and optimiser."""
        return {
            "net": dict(self.net.state_dict()),
            "average": dict(self.average.state_dict()),
            "reading": dict(self.reading.state_dict()),
            "modality": self.modality,
            "agreed": self.agreed,
            "settled": self.settled,
            "optimizer": optimizers.state_of(self.optimizer),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.reading.load_state_dict(state["reading"])
        self.agreed, self.settled = state["agreed"], bool(state["settled"])
        self.modality = state["modality"]
        optimizers.load_state(self.optimizer, state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        """The network as it predicts, and how it is read."""
        return build.prefixed({"net": self.average.module, "reading": self.reading})

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        build.load_prefixed({"net": self.average.module, "reading": self.reading}, weights)
        build.load_prefixed({"net": self.net}, weights)


class Reading(nn.Module):
    """Which value of the network's output parts the two classes."""

    level: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("level", torch.tensor(0.5))

    def set(self, level: float) -> None:
        """What the newest labels were cut at."""
        self.level.fill_(min(max(level, 1e-3), 1 - 1e-3))

    def forward(self, p: Tensor) -> Tensor:
        """Probability of nucleus whose 0.5 is `level`: log-odds moved by a constant."""
        return (p.logit(eps=1e-6) - self.level.logit()).sigmoid()


@torch.no_grad()
def _exchange(head: nn.Conv2d) -> None:
    """Exchange the two classes, in place."""
    for values in (head.weight, head.bias):
        if values is not None:
            values.copy_(values.flip(0))


def _label(batch: Batch) -> Tensor:
    """Y* of the epoch, (B, h, w); NaN where there is none."""
    nothing = torch.full_like(batch.hematoxylin[:, 0], torch.nan)
    return batch.planes.get(PLANE, nothing)


METHOD: type[Method] = IGTT
"""What the registry finds in this file."""
