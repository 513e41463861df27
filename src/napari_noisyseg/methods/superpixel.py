"""Superpixel-guided learning from noisy labels: small losses teach, large losses are relabelled.

S. Li, Z. Gao, X. He: Superpixel-guided iterative learning from noisy labels for medical image
segmentation. MICCAI 2021 (arXiv:2107.10100). Equations are numbered as there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import presets, selection
from napari_noisyseg.learning.peers import Peers
from napari_noisyseg.learning.rounds import RoundConfig, Rounds, rank, revision
from napari_noisyseg.learning.selection import Judged, NoiseRate
from napari_noisyseg.method import (
    NUCLEUS,
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
from napari_noisyseg.nets.tiling import batch_of, in_windows
from napari_noisyseg.plans import PixelPlan

PLANE = "relabelled"


class SuperpixelConfig(RoundConfig):
    """The paper's settings; where it is silent, the published code's or ours, and it says so."""

    superpixel_um: Annotated[float, Field(ge=0.5, le=100)] = 3.2
    """side of a superpixel in µm: 100 of them in 128x128 px at 0.25 µm"""
    balance: Annotated[float, Field(ge=0, le=1)] = 0.65
    """lambda of Eq. 2: weight of the networks' agreement against the label"""
    sure_only: bool = False
    """relabel, of the largest losses, only what the networks are sure of as confident learning has
    it: no less probable than the mean of what carries that label (ours)"""
    cut_by_label: bool = False
    """superpixels are cut where the rough label's outline runs, so that a part of one can be wrong
    and the outline can be right (ours)"""
    use_superpixels: bool = True
    """superpixels as samples of selection and relabelling; off: pixels (Table 2)"""
    select: bool = True
    """small-loss selection, Eqs. 3 and 4 (Table 2)"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("superpixel")

    def label_planes(self) -> tuple[str, ...]:
        """The label planes that these settings use."""
        planes = ("rough", "clean", "given")
        return (*planes, "superpixel") if self.use_superpixels else planes

    def pixels(self) -> PixelPlan:
        """Superpixels of the side that these settings say."""
        return replace(super().pixels(), superpixel_um=self.superpixel_um)


class Superpixel(Method):
    """Two networks; what both find hard to learn is left out, then called as they see it."""

    Config: ClassVar[type[MethodConfig]] = SuperpixelConfig
    needs: ClassVar[Needs] = Needs(rough=True, labels=("rough", "clean", "given", "superpixel"))
    paper: ClassVar[str] = (
        "Li et al., Superpixel-guided iterative learning from noisy labels for medical image "
        "segmentation, MICCAI 2021"
    )
    title: ClassVar[str] = "Superpixels: relabels what is noisy in rough masks"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty", "corrected", "weights")

    def __init__(self, config: SuperpixelConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        self.peers = Peers(config, device, seed)
        self.noise = NoiseRate(config)
        self.rounds = Rounds(config)

    @property
    def share(self) -> float:
        """R: 1 - noise rate, grown by gamma with every round, no more than 1."""
        return self._share_of(self.rounds.number)

    @property
    def done(self) -> bool:
        """Whether training ends by itself, here."""
        return self.rounds.settled and self.config.stop_when_settled

    def _share_of(self, number: int) -> float:
        return min(1.0, (1 - self.noise.value) * self.config.growth**number)

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """Eqs. 1-5: both networks, by the superpixels of small loss and by clean pixels."""
        self.peers.begin(progress.fraction)
        label, doubtful, trusted = selection.target_of(batch, PLANE)
        logits = self.peers.logits(batch.image, batch.hematoxylin)
        logs = cast("tuple[Tensor, Tensor]", tuple(z.float().log_softmax(dim=1) for z in logits))
        judged = self._judge(
            (logs[0].detach().exp(), logs[1].detach().exp()), batch, label, doubtful
        )
        chosen = self._chosen(judged, progress)
        mask = doubtful & chosen[judged.index] if self.config.select else doubtful
        each = self._each(logs, label)
        total = losses.masked_mean(each, mask | trusted)  # Eq. 4
        if not self.done:
            self.peers.update(total)
        return Outcome({"total": total.item()}, self._figures(judged, chosen), self.done)

    def _figures(self, judged: Judged, chosen: Tensor) -> dict[str, float]:
        """What is worth following: noise rate, share of pixels kept, loss gap, round."""
        share = float(judged.sizes[chosen].sum() / judged.sizes.sum().clamp(min=1))
        gap = self.rounds.gap if self.rounds.steps else 0.0
        rate, number = self.noise.value, float(self.rounds.number)
        return {"noise_rate": rate, "kept": share, "gap": gap, "round": number}

    def _each(self, logs: tuple[Tensor, Tensor], label: Tensor) -> Tensor:
        """Eq. 2 of every pixel, (B, h, w); whatever it is where the label is unknown."""
        nucleus = (label == NUCLEUS).float()
        target = torch.stack([1 - nucleus, nucleus], dim=-1)
        last = (logs[0].movedim(1, -1), logs[1].movedim(1, -1))
        return losses.co_regularised(last, target, self.config.balance)

    def _judge(
        self, probabilities: tuple[Tensor, Tensor], batch: Batch, label: Tensor, doubtful: Tensor
    ) -> Judged:
        """The doubtful superpixels of a batch, or its pixels."""
        if self.config.use_superpixels and batch.superpixels is not None:
            ids = batch.superpixels
            if self.config.cut_by_label:
                ids = 2 * ids + (batch.labels["rough"] == NUCLEUS)
            index = losses.superpixel_index(ids)
        else:
            index = selection.pixels_of(label)
        return selection.judge(probabilities, label, doubtful, index, self.config.balance)

    def _chosen(self, judged: Judged, progress: Progress) -> Tensor:
        """Eq. 3, and the loss gap of Eq. 5; everything during the warm-up."""
        if progress.fraction < self.config.warmup:
            return judged.sizes > 0
        self.noise.look(judged)
        chosen = selection.kept(judged, self.share, self.config.per_class)
        self.rounds.add(losses.loss_gap(judged.loss, chosen, judged.sizes).item())
        return chosen

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """Eq. 2 over all pixels with a label of held-out tiles."""
        label, doubtful, trusted = selection.target_of(batch, PLANE)
        a, b = self.peers.judged(batch.image, batch.hematoxylin)
        logs = (a.clamp(min=1e-6).log(), b.clamp(min=1e-6).log())
        return {"total": losses.masked_mean(self._each(logs, label), doubtful | trusted).item()}

    def begin(self, images: Sequence[TrainingImage]) -> Iterable[Revision]:
        """How many labels are wrong, as far as clean ones tell."""
        self.noise.look_at(images)
        return ()

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Eqs. 6-8 where a round ends: the superpixels of largest loss over all images."""
        peak = self.rounds.end_epoch()
        if peak and self.config.return_to_peak:
            self.rounds.kept = {k: v.clone() for k, v in self.peers.weights().items()}
        if not self.rounds.over(progress):
            return
        if self.rounds.kept:
            self.peers.load_weights(self.rounds.kept)
        if self.rounds.next(progress) and self.config.relabel:
            yield from self._relabelled(images)

    def _relabelled(self, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Losses of all images first: the largest are sought among them all."""
        number = self.rounds.number
        judged = [self._whole(image) for image in images]
        everything = selection.joined(judged)
        chosen = self._taken(everything, self._share_of(number - 1))  # of the round that ended
        ranked = rank(everything.loss, everything.sizes)
        lengths = [len(one.loss) for one in judged]
        parts = zip(torch.split(chosen, lengths), torch.split(ranked, lengths), strict=True)
        for index, (one, (mine, ranks)) in enumerate(zip(judged, parts, strict=True)):
            yield revision(PLANE, index, images[index], one, (mine, ranks), number)

    def _taken(self, judged: Judged, share: float) -> Tensor:
        """Eq. 6 for R = `share`, bool (K,)."""
        if self.config.sure_only:
            return selection.surely_wrong(judged, share)
        return selection.taken(judged, share, self.config.per_class)

    def _whole(self, image: TrainingImage) -> Judged:
        """The superpixels of a whole image, by the networks as they predict; on the CPU."""
        batch = batch_of(image, self.device)
        label, doubtful, _ = selection.target_of(batch, PLANE)
        probabilities = self._probabilities(batch)
        return selection.to_cpu(self._judge(probabilities, batch, label, doubtful))

    @torch.no_grad()
    def _probabilities(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x = torch.cat([batch.image, batch.hematoxylin], dim=1)
        both = in_windows(
            lambda part: torch.cat(self.peers.judged(part[:, :3], part[:, 3:]), dim=1), x
        )
        return both[:, :2], both[:, 2:]

    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The probability, and `uncertainty`: how far the networks are apart."""
        return self.peers.predict(image, hematoxylin)

    @torch.no_grad()
    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        """The label as the method believes it, and what of it is trusted.

        corrected: the label after the rounds, and as one more would make it unless training ended
        by itself; the clean label where there is one, the prediction where there is none.
        weights: 0 where a rough label was changed, 1 elsewhere.
        """
        label, doubtful, trusted = selection.target_of(batch, PLANE)
        a, b = self._probabilities(batch)
        judged = self._judge((a, b), batch, label, doubtful)
        if self.config.relabel and not self.done:
            chosen = self._taken(judged, self.share)
            label = torch.where(
                doubtful, losses.voted_label(label, judged.index, chosen, judged.votes), label
            )
        mean = (a + b)[:, 1] / 2
        corrected = torch.where(doubtful | trusted, (label == NUCLEUS).float(), mean)
        changed = doubtful & (label != batch.labels["rough"])
        return {"corrected": corrected, "weights": (~changed).float()}

    def state_dict(self) -> dict[str, Any]:
        """Networks, noise rate and rounds."""
        return {
            **self.peers.state_dict(),
            "noise": self.noise.state_dict(),
            "rounds": self.rounds.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.peers.load_state_dict(state)
        self.noise.load_state_dict(state["noise"])
        self.rounds.load_state_dict(state["rounds"])

    def weights(self) -> dict[str, Tensor]:
        """The networks as they predict."""
        return self.peers.weights()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        self.peers.load_weights(weights)


METHOD: type[Method] = Superpixel
"""What the registry finds in this file."""
