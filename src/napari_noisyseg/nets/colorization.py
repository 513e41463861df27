"""The colorization network C of SC-Net: H&E colours from the probability map of nuclei."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_noisyseg.nets.blocks import initialise
from napari_noisyseg.nets.unet import UNet


class Colorization(nn.Module):
    """A U-Net from the class probabilities (B, 2, h, w) to RGB (B, 3, h, w) in 0..1."""

    def __init__(self, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        self.unet = UNet(2, 3, width, depth)

    def forward(self, probabilities: Tensor) -> Tensor:
        """The colours that the probabilities suggest."""
        return torch.sigmoid(self.unet(probabilities))


class ColorHead(nn.Module):
    """The published form: colours from the segmentation's own decoder by one more 1x1 convolution.

    (B, channels, h, w) of its last features to RGB (B, 3, h, w) in 0..1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, 3, 1)
        initialise(self)

    def forward(self, features: Tensor) -> Tensor:
        """The colours that the features suggest."""
        return torch.sigmoid(self.head(features))
