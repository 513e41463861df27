"""iGTT: iterative ground-truth training, unsupervised.

Y. Luo, G. Liu, Y. Guo, G. Yang: Elucidating Meta-Structures of Noisy Labels in Semantic
Segmentation by Deep Neural Networks. IEEE Trans. Pattern Analysis and Machine Intelligence, 2022
(arXiv:2205.00160), section 6. Sections and equations are numbered as there. What is ours beside it
(first labels, which way up, when to stop) is in `learning.unannotated`, the network's upkeep in
`learning.reader`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from napari_noisyseg import losses
from napari_noisyseg.learning.reader import Reader
from napari_noisyseg.learning.settings.igtt import IGTTConfig
from napari_noisyseg.learning.terms import numbers
from napari_noisyseg.learning.unannotated import (
    Course,
    Mask,
    Plane,
    Sight,
    first_mask,
    is_turned_round,
)
from napari_noisyseg.method import (
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
from napari_noisyseg.noise import structure

PLANE = "meta_structure"
"""of `Batch.planes`: the labels Y* of the epoch, 1 nucleus and 0 background"""


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
        self.reader = Reader(config, 1 + config.see_faint, device, seed)
        self.sight, self.course = Sight(config, device), Course(config.agreement_drop)

    def begin(self, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """What nuclei look like, the labels of the first epoch, and a network that is upright."""
        self.sight.look_at(images)
        signals = [self.sight.of(image) for image in images]
        self._upright(signals)  # the turn alone is wanted: nothing has been learned yet
        yield from self._first(signals)

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Sections 6.2 and 6.3 over whole images: the labels Y* of the epoch that begins."""
        c = self.config
        if progress.epoch % c.revise_every or self.course.settled:
            return
        signals = [self.sight.of(image) for image in images]
        predictions = self._upright(signals)
        levels = [structure.most_informative(p, c.thresholds, c.choice) for p in predictions]
        masks = [p > level for p, level in zip(predictions, levels, strict=True)]
        if self.course.strays(masks, signals):
            yield from self._first(signals)
            return
        self.reader.reading.set(float(np.median(levels)))
        for index, mask in enumerate(masks):
            rng = np.random.default_rng([self.seed, index, progress.epoch])
            yield Revision(index, PLANE, self._structure(mask, rng))

    def _structure(self, mask: Mask, rng: np.random.Generator) -> Plane:
        """Section 6.3, the extraction of meta-structure of a mask, (H, W): its skeleton, moved at
        random within r, of which each pixel is kept with p_sample.
        """
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

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """One update on the labels of the epoch; pixels without one (outside images) do not count.

        Without any label no pixel counts, so that nothing is learned.
        """
        self.reader.begin(progress.fraction, every=0.2)
        terms = self._terms(self.reader.net, batch)
        if terms["determinant"] < 0:
            # |det Q| would lead on to the inverse of the labels, where the IoU has no gradient
            self.reader.turn()
            terms = self._terms(self.reader.net, batch)
        self.reader.update(terms["total"])
        values = numbers(terms)
        figures = {"determinant": values.pop("determinant")}
        return Outcome(values, figures)

    def _terms(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """L_DMI (Eq. 3) and IoU (section 6.4)."""
        label = batch.planes.get(PLANE, torch.full_like(batch.hematoxylin[:, 0], torch.nan))
        mask = ~label.isnan()
        label = torch.where(mask, label, 0.0).clamp(0, 1)
        p = build.nucleus(net(self.sight.input(batch.image, batch.hematoxylin)))
        determinant = losses.joint_determinant(p, label, mask)
        dmi = losses.information_loss(determinant)
        iou = losses.soft_iou(p, label, mask)
        total = self.config.dmi_weight * dmi + self.config.iou_weight * iou
        return {"determinant": determinant, "dmi": dmi, "iou": iou, "total": total}

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """The same losses on held-out tiles and their labels of the epoch."""
        return numbers(self._terms(self.reader.average.module, batch))

    def _first(self, signals: Sequence[Plane]) -> Iterator[Revision]:
        """The labels of the first epoch, cut at 0.5; NaN where nothing is said."""
        self.reader.reading.set(0.5)
        for index, seen in enumerate(signals):
            rng = np.random.default_rng([self.seed, index])
            mask, unsaid = first_mask(seen, self.config, rng)
            random = self.config.seed_labels == "random"
            label = mask.astype(np.float32) if random else self._structure(mask, rng)
            label[unsaid] = np.nan
            yield Revision(index, PLANE, label)

    def _upright(self, signals: Sequence[Plane]) -> list[Plane]:
        """P of every image; a network that calls the brighter parts background is turned round.

        |det Q| is the same for a prediction and its inverse, so that training may end up at either.
        """
        predictions = [self.reader.whole(self.sight.shown(seen)) for seen in signals]
        if not is_turned_round(signals, predictions):
            return predictions
        self.reader.turn()
        return [1 - p for p in predictions]

    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The network's output, with the threshold that the labels were cut at as 0.5."""
        return self.reader.predict(self.sight.input(image, hematoxylin))

    def state_dict(self) -> dict[str, Any]:
        """The network and how it is read, how images look, and how labels have gone."""
        course = {"agreed": self.course.agreed, "settled": self.course.settled}
        return {**self.reader.state_dict(), "modality": self.sight.modality, **course}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.reader.load_state_dict(state)
        self.course.agreed, self.course.settled = state["agreed"], bool(state["settled"])
        self.sight.modality = state["modality"]

    def weights(self) -> dict[str, Tensor]:
        """The network as it predicts, and how it is read."""
        return self.reader.weights()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        self.reader.load_weights(weights)


METHOD: type[Method] = IGTT
"""What the registry finds in this file."""
