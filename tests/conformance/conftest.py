"""One small real batch, and every registered method in a size that trains in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2hed

from napari_noisyseg import registry
from napari_noisyseg.coarse.superpixels import superpixels
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN, Batch, Method, TrainingImage

TINY: dict[str, Any] = {
    "width": 6, "encoder": "1-1-1", "color_width": 2, "color_depth": 1, "batch_size": 4, "crop": 48,
}  # fmt: skip
"""Settings that make networks small, for the methods that have them."""

Build = Callable[..., Method]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=registry.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def build(name: str) -> Build:
    """Builds the method, tiny: build(seed=0, device="cpu", **settings)."""
    method = registry.load(name)

    def make(seed: int = 0, device: str = "cpu", **changes: Any) -> Method:
        fields = method.Config.model_fields
        settings = {k: v for k, v in {**TINY, **changes}.items() if k in fields}
        return method(method.Config.from_preset("small", **settings), device, seed)

    return make


@pytest.fixture
def batch(tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> Batch:
    """Four tiles of 48x48 at 0.5 µm/px of real tissue; a corner of each is not declared."""
    rgb, nuclei = tnbc[0][::2, ::2] / np.float32(255), tnbc[1][::2, ::2]
    hematoxylin = np.exp(-12 * rgb2hed(rgb)[..., :1].clip(0)).astype(np.float32)
    label = three_states(nuclei)
    corners = [(y, x) for y in (60, 130) for x in (40, 150)]
    cut = [(slice(y, y + 48), slice(x, x + 48)) for y, x in corners]

    def tiles(array: NDArray[Any]) -> torch.Tensor:
        planes = np.stack([array[box] for box in cut])
        return torch.from_numpy(planes if planes.ndim == 3 else np.moveaxis(planes, 3, 1).copy())

    known = torch.ones(4, 48, 48, dtype=torch.bool)
    known[:, :12, :12] = False
    labels = tiles(label).masked_fill(~known, UNKNOWN)
    revised = labels.float().masked_fill(labels == UNKNOWN, torch.nan)
    names = ("voronoi", "cluster", "local", "rough", "clean", "given")
    tiles_of_batch = Batch(
        image=tiles(rgb), hematoxylin=tiles(hematoxylin),
        labels={plane: labels.clone() for plane in names}, known=known,
        tissue=tiles(rgb.mean(axis=2) < 0.9), planes={"meta_structure": revised},
        half=torch.tensor([0, 1, 0, 1]),
        superpixels=tiles(superpixels(tnbc[0][::2, ::2], 0.5)).long(),
    )  # fmt: skip
    return with_meta(tiles_of_batch)


@pytest.fixture
def images(batch: Batch) -> list[TrainingImage]:
    """The tiles of the batch, each as a whole image."""
    return [_image(batch, tile) for tile in range(len(batch.image))]


def _image(batch: Batch, tile: int) -> TrainingImage:
    assert batch.superpixels is not None
    return TrainingImage(
        name=str(tile),
        image=batch.image[tile].numpy(),
        hematoxylin=batch.hematoxylin[tile].numpy(),
        labels={name: label[tile].numpy() for name, label in batch.labels.items()},
        known=batch.known[tile].numpy(),
        tissue=batch.tissue[tile].numpy(),
        points=np.zeros((0, 2)),
        superpixels=batch.superpixels[tile].numpy().astype(np.int32),
    )


def with_meta(batch: Batch) -> Batch:
    """The last two tiles are clean and stand in `meta`; of the others only rough masks are."""
    meta = batch.mapped(lambda values: values[2:])
    clean = batch.labels["clean"].clone()
    rough = batch.labels["rough"].clone()
    clean[:2], rough[2:] = UNKNOWN, UNKNOWN
    return replace(batch, labels={**batch.labels, "clean": clean, "rough": rough}, meta=meta)


def three_states(nuclei: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Nuclei, background, and a band between them that nobody vouches for."""
    inside = ndimage.minimum_filter(nuclei > 0, 3)
    outside = ~ndimage.maximum_filter(nuclei > 0, 3)
    states = np.select([inside, outside], [NUCLEUS, BACKGROUND], UNKNOWN)
    return states.astype(np.uint8)
