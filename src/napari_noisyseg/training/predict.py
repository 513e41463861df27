"""From a method, or a saved model, to maps and nuclei of whole images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noisyseg import instances, stains
from napari_noisyseg.coarse.readers import AS_SHIPPED, Readers, readers_in
from napari_noisyseg.data.prepare import planes_of_pixels, stain_matrix
from napari_noisyseg.data.regions import SNAPSHOT
from napari_noisyseg.data.resample import resize, working_shape
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import Method, MethodConfig
from napari_noisyseg.plans import Tiling
from napari_noisyseg.slides import Box, Slide, open_image
from napari_noisyseg.slides.limits import check_labelled
from napari_noisyseg.training.beginning import untrained
from napari_noisyseg.training.device import choose, precision
from napari_noisyseg.training.model import ModelFile, read_model

Maps = dict[str, NDArray[np.float32]]
"""`probability` and what else the method shows, each float32 (H, W)."""

ASSUMED_MPP = 0.25


@torch.inference_mode()
def predict_maps(
    method: Method,
    image: NDArray[np.float32],
    hematoxylin: NDArray[np.float32],
    device: str,
    tiling: Tiling | None = None,
) -> Maps:
    """Maps at working resolution of RGB (3, H, W) and hematoxylin (1, H, W), both 0..1."""
    tiling = tiling or Tiling()
    height, width = image.shape[1:]
    total: dict[str, Tensor] = {}
    weight = torch.zeros(height, width)
    for window in _windows(height, width, tiling):
        part = (slice(None), *window.slices)
        ramp = _ramp(window, height, width, tiling.overlap)
        for name, values in _one(method, image[part], hematoxylin[part], device).items():
            sums = total.setdefault(name, torch.zeros(height, width))
            sums[window.slices] += values * ramp
        weight[window.slices] += ramp
    return {name: (sums / weight).numpy() for name, sums in total.items()}


def _one(
    method: Method, image: NDArray[np.float32], hematoxylin: NDArray[np.float32], device: str
) -> dict[str, Tensor]:
    x = torch.from_numpy(np.ascontiguousarray(image))[None].to(device)
    stain = torch.from_numpy(np.ascontiguousarray(hematoxylin))[None].to(device)
    with precision(device):
        prediction = method.predict(x, stain)
    maps = {"probability": prediction.probability, **prediction.maps}
    return {name: values[0].float().cpu() for name, values in maps.items()}


def _windows(height: int, width: int, tiling: Tiling) -> Iterator[Box]:
    for y in _starts(height, tiling):
        for x in _starts(width, tiling):
            yield Box(y, x, min(y + tiling.side, height), min(x + tiling.side, width))


def _starts(length: int, tiling: Tiling) -> list[int]:
    if length <= tiling.side:
        return [0]
    stride = max(1, tiling.side - tiling.overlap)
    count = -(-(length - tiling.side) // stride) + 1
    return [round(s) for s in np.linspace(0, length - tiling.side, count)]


def _ramp(window: Box, height: int, width: int, overlap: int) -> Tensor:
    """Weights that fall linearly towards sides where another window takes over."""
    y = _fall(window.height, overlap, window.y0 > 0, window.y1 < height)
    x = _fall(window.width, overlap, window.x0 > 0, window.x1 < width)
    return y[:, None] * x[None, :]


def _fall(length: int, overlap: int, before: bool, after: bool) -> Tensor:
    position = torch.arange(length) + 0.5
    span = max(overlap, 1)
    weight = torch.ones(length)
    if before:
        weight = torch.minimum(weight, position / span)
    if after:
        weight = torch.minimum(weight, (length - position) / span)
    return weight


@dataclass(frozen=True)
class Model:
    """A trained method, ready to predict; `file` is its header.

    readers: the starter's networks, where nuclei are read with them.
    """

    method: Method
    config: MethodConfig
    file: ModelFile
    device: str
    readers: Readers = AS_SHIPPED

    def predict(
        self,
        rgb: NDArray[np.uint8],
        mpp: float,
        tiling: Tiling | None = None,
        matrix: stains.StainMatrix | None = None,
    ) -> Maps:
        """Maps at the resolution of rgb, uint8 (H, W, 3), whose pixels measure `mpp` µm.

        tiling, matrix of the stains: None for what the settings say.
        """
        shape = working_shape(rgb.shape[:2], mpp, self.config.working_mpp)
        small = resize(rgb, shape)
        tiling = tiling or self.config.prediction().tiling
        matrix = matrix or stain_matrix(small, self.config.pixels())
        maps = predict_maps(self.method, *planes_of_pixels(small, matrix), self.device, tiling)
        return {name: resize(values, rgb.shape[:2]) for name, values in maps.items()}

    def first(self, rgb: NDArray[np.uint8], mpp: float) -> NDArray[np.float32] | None:
        """Probability of the same networks with first weights, never trained, (H, W).

        None where they do not begin with them (`beginning.untrained`).
        """
        fresh = untrained(self.method, self.config, self.device, rgb)
        if fresh is None:
            return None
        return replace(self, method=fresh).predict(rgb, mpp)["probability"]

    def blocks(
        self, slide: Slide, mpp: float, side: int = 2048, margin: int = 128
    ) -> Iterator[tuple[Box, Maps]]:
        """Maps of a slide of any size, block by block at level 0, nothing held but one block.

        Every block is predicted with `margin` more pixels around it, which are then cut off; the
        stains are those of the slide's coarsest level.
        """
        height, width = slide.shape
        matrix = stain_matrix(np.asarray(slide.levels[-1]), self.config.pixels())
        for y in range(0, height, side):
            for x in range(0, width, side):
                core = Box(y, x, min(y + side, height), min(x + side, width))
                around = core.grow(margin).clip(slide.shape)
                inner = core.within(around)
                maps = self.predict(slide.read(around), mpp, matrix=matrix)
                yield core, {name: values[inner] for name, values in maps.items()}


def load_model(path: Path, device: str = "auto") -> Model:
    """The model of a run's folder, or of a .safetensors file; NoisySegError where it is none.

    A run's folder knows what the starter had learned in its project when the run began.
    """
    from napari_noisyseg import registry

    file, weights = read_model(path)
    if file.method not in registry.names():
        raise NoisySegError(f"{path}: made by the method {file.method!r}, which is not known here")
    kind = registry.load(file.method)
    chosen = choose(device).name
    try:
        config = kind.Config.model_validate(file.config)
        method = kind(config, chosen, 0)
        method.load_weights(weights)
    except (ValueError, KeyError, RuntimeError) as error:
        raise NoisySegError(f"{path}: its weights do not fit its settings ({error})") from error
    readers = readers_in(path / SNAPSHOT) if path.is_dir() else AS_SHIPPED
    return Model(method, config, file, chosen, readers)


def predict_nuclei(
    model: Model,
    path: Path,
    mpp: float | None = None,
    say: Callable[[str], None] = print,
    channel: int | None = None,
    icc: bool = False,
) -> NDArray[np.int32]:
    """One id per nucleus, int32 (H, W) at level 0, of an image file.

    Without an mpp, given or in the file, 0.25 is assumed and `say` is told. channel: of
    fluorescence, 1 the first. icc: colours in sRGB, by the file's own profile.
    """
    slide = open_image(path, channel, icc)
    try:
        height, width = slide.shape
        check_labelled(path, height, width)
        size = mpp or slide.mpp
        if size is None:
            size = ASSUMED_MPP
            say(f"{path.name}: no pixel size in the file; {size} µm per pixel assumed (--mpp)")
        return nuclei_of(model, slide.read(Box(0, 0, height, width)), size)
    finally:
        slide.close()


def nuclei_of(model: Model, rgb: NDArray[np.uint8], mpp: float) -> NDArray[np.int32]:
    """One id per nucleus, int32 (H, W), of uint8 (H, W, 3)."""
    probability = model.predict(rgb, mpp)["probability"]
    splitting = model.config.prediction().splitting
    return instances.nuclei(probability, rgb, mpp, splitting, model.readers)


def density_of(rgb: NDArray[np.uint8], config: MethodConfig) -> NDArray[np.float32]:
    """Hematoxylin density float32 (H, W) by the stain matrix that the settings ask for."""
    density: NDArray[np.float32] = stains.densities(rgb, stain_matrix(rgb, config.pixels()))[0]
    return density
