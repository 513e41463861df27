"""Co-teaching: each network chooses the pixels from which the other learns.

B. Han, Q. Yao, X. Yu, G. Niu, M. Xu, W. Hu, I. W. Tsang, M. Sugiyama: Co-teaching: robust training
of deep neural networks with extremely noisy labels. NeurIPS 2018 (arXiv:1804.06872). Pixels are
its samples here, as in the comparison of Li et al. 2021.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import selection
from napari_noisyseg.learning.pixelwise import Logs, Pixelwise, entropy
from napari_noisyseg.method import Batch, Method


class CoTeaching(Pixelwise):
    """Two networks; pixels that one finds easy teach the other."""

    paper: ClassVar[str] = (
        "Han et al., Co-teaching: robust training of deep neural networks with extremely noisy "
        "labels, NeurIPS 2018; on pixels"
    )
    title: ClassVar[str] = "Co-teaching: two networks choose each other's pixels"

    def _total(self, logs: Logs, batch: Batch, share: float) -> Tensor:
        """Algorithm 1, lines 4-7: both cross-entropies, each by the other's choice."""
        label, doubtful, trusted = selection.target_of(batch)
        one, two = (entropy(log, label) for log in logs)
        of_one = self._kept(one, label, doubtful, share)
        of_two = self._kept(two, label, doubtful, share)
        return losses.masked_mean(one, of_two | trusted) + losses.masked_mean(two, of_one | trusted)


METHOD: type[Method] = CoTeaching
"""What the registry finds in this file."""
