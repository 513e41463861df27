"""Windows of 128x128 px at 40x, on which two tables test: how right a method is there."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from .. import noise
from ..data.prepare import training_image
from ..data.regions import region_of
from ..method import Method, MethodConfig
from .patches import Patches

MPP = 0.25


def dice(method: Method, config: MethodConfig, patches: Patches, device: str = "cpu") -> float:
    """Mean over test images of the Dice of nuclei in all of an image's windows."""
    masks = np.stack([_mask(method, config, rgb, device) for rgb in patches.rgb])
    scores = [
        noise.foreground_dice(masks[patches.image == i], patches.truth[patches.image == i])
        for i in np.unique(patches.image)
    ]
    return float(np.mean(scores))


def _mask(
    method: Method, config: MethodConfig, rgb: NDArray[np.uint8], device: str
) -> NDArray[np.bool_]:
    """Nuclei of a window, (h, w), found at working resolution."""
    image = training_image(region_of(rgb, MPP), config, ())
    tensors = (torch.from_numpy(v)[None].to(device) for v in (image.image, image.hematoxylin))
    probability = method.predict(*tensors).probability[None].cpu()
    whole = F.interpolate(probability, rgb.shape[:2], mode="bilinear", antialias=False)[0, 0]
    mask: NDArray[np.bool_] = whole.numpy() > 0.5
    return mask
