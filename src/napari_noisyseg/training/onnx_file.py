"""A trained model as an ONNX file, for programs that know neither torch nor NoisySeg.

One input `x` (n, 4, h, w): red, green, blue and hematoxylin, 0..1, at the model's µm per pixel. One
output `y` (n, 1, h, w): the probability of nucleus. h and w are multiples of `STEP`.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_noisyseg.data.prepare import planes_of_pixels, stain_matrix
from napari_noisyseg.data.resample import resize, working_shape
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import Method
from napari_noisyseg.training.predict import Model

OPSET = 17
STEP, LEAST = 32, 64
"""Of the sides of what goes in: a multiple of the one, and no less than the other."""


class _Predictor(nn.Module):
    """What a method predicts, as one function of one tensor."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self._method = method

    def forward(self, x: Tensor) -> Tensor:
        return self._method.predict(x[:, :3], x[:, 3:4]).probability[:, None]


def as_onnx(model: Model) -> bytes:
    """The model, loaded on the CPU, as an ONNX file. Raises NoisySegError without `onnx`."""
    if find_spec("onnx") is None:
        raise NoisySegError("writing ONNX needs a further package: pip install onnx")
    example = torch.rand(1, 4, 2 * LEAST, 2 * LEAST)
    free = {name: {0: "n", 2: "h", 3: "w"} for name in ("x", "y")}
    with warnings.catch_warnings(), torch.no_grad(), TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        # torch's older way, which does without onnxscript
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Predictor(model.method), (example,), str(file), input_names=["x"], output_names=["y"],
            dynamic_axes=free, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        return file.read_bytes()


def seen(model: Model, rgb: NDArray[np.uint8], mpp: float) -> NDArray[np.float32]:
    """What goes into the file for an image uint8 (H, W, 3): (1, 4, h, w), cut to whole steps."""
    small = resize(rgb, working_shape(rgb.shape[:2], mpp, model.config.working_mpp))
    planes = np.concatenate(planes_of_pixels(small, stain_matrix(small, model.config.pixels())))
    height, width = (side // STEP * STEP for side in planes.shape[1:])
    return np.ascontiguousarray(planes[None, :, :height, :width], np.float32)


@torch.inference_mode()
def in_torch(model: Model, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What torch says of the same input, (n, 1, h, w)."""
    return np.asarray(_Predictor(model.method)(torch.from_numpy(x)).numpy(), np.float32)
