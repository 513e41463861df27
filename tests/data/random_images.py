"""Random images whose labels can be told from their pixels."""

from __future__ import annotations

import numpy as np

from napari_noisyseg.method import TrainingImage


def image_of(shape: tuple[int, int], name: str = "a", seed: int = 0) -> TrainingImage:
    """A smooth random image whose one label plane says where it is dark."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((3, shape[0] // 8 + 2, shape[1] // 8 + 2))
    pixels = np.kron(coarse, np.ones((8, 8)))[:, : shape[0], : shape[1]].astype(np.float32)
    dark = pixels[0] < 0.5
    return TrainingImage(
        name=name,
        image=pixels,
        hematoxylin=pixels[:1],
        labels={"local": dark.astype(np.uint8)},
        known=np.ones(shape, bool),
        tissue=np.ones(shape, bool),
        points=np.zeros((0, 2)),
    )
