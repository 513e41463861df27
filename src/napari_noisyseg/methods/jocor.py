"""JoCoR: two networks learn together from pixels on which they agree with the label.

H. Wei, L. Feng, X. Chen, B. An: Combating noisy labels by agreement: a joint training method with
co-regularization. CVPR 2020 (arXiv:2003.02752). Pixels are its samples here, as in the comparison
of Li et al. 2021.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import selection
from napari_noisyseg.learning.pixelwise import Logs, Pixelwise, PixelwiseConfig
from napari_noisyseg.method import NUCLEUS, Batch, Method, MethodConfig


class JoCoRConfig(PixelwiseConfig):
    """As in Li et al. 2021, who compare with it."""

    balance: Annotated[float, Field(ge=0, le=1)] = 0.65
    """lambda of Eq. 1: weight of the networks' agreement against the label"""


class JoCoR(Pixelwise):
    """Two networks; pixels of small joint loss teach both."""

    Config: ClassVar[type[MethodConfig]] = JoCoRConfig
    paper: ClassVar[str] = (
        "Wei et al., Combating noisy labels by agreement: a joint training method with "
        "co-regularization, CVPR 2020; on pixels"
    )
    title: ClassVar[str] = "JoCoR: two networks, chosen pixels, agreement"

    def __init__(self, config: JoCoRConfig, device: str, seed: int) -> None:
        super().__init__(config, device, seed)
        self.balance = config.balance

    def _total(self, logs: Logs, batch: Batch, share: float) -> Tensor:
        """Eqs. 1-6: the joint loss of the pixels where it is small."""
        label, doubtful, trusted = selection.target_of(batch)
        nucleus = (label == NUCLEUS).float()
        target = torch.stack([1 - nucleus, nucleus], dim=-1)
        each = losses.co_regularised(
            (logs[0].movedim(1, -1), logs[1].movedim(1, -1)), target, self.balance
        )
        return losses.masked_mean(each, self._kept(each, label, doubtful, share) | trusted)


METHOD: type[Method] = JoCoR
"""What the registry finds in this file."""
