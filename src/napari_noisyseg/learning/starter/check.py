"""What torch says of weights of the starter, to hold other runtimes against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from napari_noisyseg.nets.half import of_weights


@torch.inference_mode()
def logits(
    weights: Mapping[str, NDArray[np.float32]], x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(n, channels, h, w) to (n, outputs, h, w), by the network whose weights these are."""
    return np.asarray(of_weights(weights)(torch.from_numpy(x)).numpy(), np.float32)
