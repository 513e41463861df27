"""Superpixel-guided learning from noisy labels: small losses teach, large losses are relabelled.

S. Li, Z. Gao, X. He: Superpixel-guided iterative learning from noisy labels for medical image
segmentation. MICCAI 2021 (arXiv:2107.10100). Equations are numbered as there. How samples
are judged and chosen is in `learning.selection`, when a round ends in `learning.rounds`, the two
networks in `learning.peers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import selection
from napari_noisyseg.learning.peers import Paired, Peers
from napari_noisyseg.learning.rounds import Rounds, revisions
from napari_noisyseg.learning.selection import Judged, NoiseRate
from napari_noisyseg.learning.settings.superpixel import SuperpixelConfig
from napari_noisyseg.method import (
    NUCLEUS,
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
from napari_noisyseg.nets.tiling import batch_of

PLANE = "relabelled"


class Superpixel(Paired):
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
        a, b = self.peers.logits(batch.image, batch.hematoxylin)
        logs = a.float().log_softmax(dim=1), b.float().log_softmax(dim=1)
        probabilities = logs[0].detach().exp(), logs[1].detach().exp()
        judged = self._judge(probabilities, batch, label, doubtful)
        chosen = self._chosen(judged, progress)
        mask = doubtful & chosen[judged.index] if self.config.select else doubtful
        each = selection.of_pixels(logs, label, self.config.balance)  # Eq. 2
        total = losses.masked_mean(each, mask | trusted)  # Eq. 4
        if not self.done:
            self.peers.update(total)
        return Outcome({"total": total.item()}, self._figures(judged, chosen), self.done)

    def _figures(self, judged: Judged, chosen: Tensor) -> dict[str, float]:
        """What is worth following: noise rate, share of pixels kept, loss gap, round."""
        taught = chosen if self.config.select else torch.ones_like(chosen)
        share = float(judged.sizes[taught].sum() / judged.sizes.sum().clamp(min=1))
        gap = self.rounds.gap if self.rounds.steps else 0.0
        rate, number = self.noise.value, float(self.rounds.number)
        return {"noise_rate": rate, "kept": share, "gap": gap, "round": number}

    def _judge(
        self, probabilities: tuple[Tensor, Tensor], batch: Batch, label: Tensor, doubtful: Tensor
    ) -> Judged:
        """Eqs. 1, 2 and 7 of the doubtful superpixels of a batch, or of its pixels."""
        c = self.config
        index = selection.pieces_of(batch, c.use_superpixels, c.cut_by_label)
        return selection.judge(probabilities, label, doubtful, index, c.balance)

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
        each = selection.of_pixels(logs, label, self.config.balance)
        return {"total": losses.masked_mean(each, doubtful | trusted).item()}

    def begin(self, images: Sequence[TrainingImage]) -> Iterable[Revision]:
        """How many labels are wrong, as far as clean ones tell."""
        self.noise.look_at(images)
        return ()

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Eqs. 6-8 where a round ends: the superpixels of largest loss over all images."""
        if self.rounds.end_epoch():
            self.rounds.keep(self.peers.weights())
        if not self.rounds.over(progress):
            return
        if self.rounds.kept:
            self.peers.load_weights(self.rounds.kept)
        if self.rounds.next(progress) and self.config.relabel:
            yield from self._relabelled(images)

    def _relabelled(self, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """Losses of all images first: the largest are sought among them all."""
        judged = [self._whole(image) for image in images]
        everything = selection.joined(judged)
        chosen = self._taken(everything, self._share_of(self.rounds.number - 1))  # R as it was
        yield from revisions(PLANE, images, judged, chosen, self.rounds.number)

    def _taken(self, judged: Judged, share: float) -> Tensor:
        """Eq. 6 for R = `share`, bool (K,)."""
        return selection.taken(judged, share, self.config.per_class, self.config.sure_only)

    def _whole(self, image: TrainingImage) -> Judged:
        """The superpixels of a whole image, by the networks as they predict; on the CPU."""
        batch = batch_of(image, self.device)
        label, doubtful, _ = selection.target_of(batch, PLANE)
        probabilities = self.peers.whole(batch.image, batch.hematoxylin)
        return selection.to_cpu(self._judge(probabilities, batch, label, doubtful))

    @torch.no_grad()
    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        """The label as the method believes it, and what of it is trusted.

        corrected: the rough label after the rounds (`_believed`); the clean label where there is
        one, the prediction where there is none. weights: 0 where a rough label was changed, 1
        elsewhere.
        """
        _, doubtful, trusted = selection.target_of(batch)
        a, b = self.peers.whole(batch.image, batch.hematoxylin)
        label = self._believed(batch, (a, b)) if self.config.relabel else batch.labels["rough"]
        label = torch.where(trusted, batch.labels["clean"], label)
        mean = (a + b)[:, 1] / 2
        corrected = torch.where(doubtful | trusted, (label == NUCLEUS).float(), mean)
        changed = doubtful & (label != batch.labels["rough"])
        return {"corrected": corrected, "weights": (~changed).float()}

    def _believed(self, batch: Batch, probabilities: tuple[Tensor, Tensor]) -> Tensor:
        """Labels as one more round would make them, unless training ended by itself; where only
        what is sure is changed, the rough label where the networks do not outweigh it.
        """
        bayes = self.config.sure_only
        label, doubtful, _ = selection.target_of(batch, "" if bayes else PLANE)
        if self.done and not bayes:
            return label
        judged = self._judge(probabilities, batch, label, doubtful)
        chosen = selection.outweighed(judged) if bayes else self._taken(judged, self.share)
        voted = losses.voted_label(label, judged.index, chosen, judged.votes)
        return torch.where(doubtful, voted, label)

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


METHOD: type[Method] = Superpixel
"""What the registry finds in this file."""
