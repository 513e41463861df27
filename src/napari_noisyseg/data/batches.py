"""Batches: all pixels in one flat tensor, tiles gathered and augmented without a loop.

A batch is one gather and two grid samples (pixels bilinear, labels nearest), whatever its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_noisyseg import views
from napari_noisyseg.data.tiles import Tiles
from napari_noisyseg.method import UNKNOWN, Batch, TrainingImage
from napari_noisyseg.plans import Augmentation
from napari_noisyseg.stains import FIXED

PIXELS = 4
"""R, G, B and hematoxylin, uint8; the flags known, tissue and inside and the labels follow."""
FLAGS = 3


class Pixels:
    """Every pixel of every training image, once: uint8 (n, channels) and planes float16 (n, p)."""

    def __init__(self, images: Sequence[TrainingImage], device: str) -> None:
        self.labels = tuple(images[0].labels) if images else ()
        self.planes: tuple[str, ...] = ()
        self.device = device
        sizes = [image.known.size for image in images]
        self.start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.shapes = [image.known.shape for image in images]
        rows = np.concatenate([self._rows(image) for image in images])
        self.values = torch.from_numpy(rows).to(device)
        self.superpixels = _superpixels(images, device)
        self.revised = torch.empty((len(self.values), 0), dtype=torch.float16, device=device)
        for i, image in enumerate(images):
            for name, plane in image.planes.items():
                self.revise(i, name, plane)

    def _rows(self, image: TrainingImage) -> NDArray[np.uint8]:
        pixels = np.concatenate([image.image, image.hematoxylin])
        bytes_ = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
        flags = [image.known, image.tissue, np.ones_like(image.known)]
        labels = [image.labels[name] for name in self.labels]
        columns = [*bytes_, *(plane.astype(np.uint8) for plane in [*flags, *labels])]
        return np.stack([column.ravel() for column in columns], axis=1)

    def revise(self, image: int, plane: str, values: NDArray[np.float32]) -> None:
        """Put a plane (H, W) of one image in place; other images are NaN until they have it."""
        if plane not in self.planes:
            self.planes = (*self.planes, plane)
            fresh = self.revised.new_full((len(self.revised), 1), float("nan"))
            self.revised = torch.cat([self.revised, fresh], dim=1)
        window = slice(int(self.start[image]), int(self.start[image + 1]))
        new = torch.from_numpy(np.array(values, np.float16).ravel())
        self.revised[window, self.planes.index(plane)] = new.to(self.device)

    def index(self, tiles: Tiles) -> tuple[Tensor, Tensor]:
        """Rows of `values` for each pixel of each tile, and which of them are the tile's own.

        int64 and bool (B, side, side). Tiles smaller than the side stand in the middle, mirrored
        outwards.
        """
        rows = torch.from_numpy(tiles.rows).to(self.device)
        image, y, x, h, w = rows.T[:, :, None, None].unbind()
        width = torch.tensor([shape[1] for shape in self.shapes], device=self.device)[image]
        start = torch.from_numpy(self.start).to(self.device)[image]
        offset = torch.arange(tiles.side, device=self.device)
        dy = offset[None, :, None] - (tiles.side - h) // 2
        dx = offset[None, None, :] - (tiles.side - w) // 2
        own = (dy >= 0) & (dy < h) & (dx >= 0) & (dx < w)
        return start + (y + _mirrored(dy, h)) * width + x + _mirrored(dx, w), own


def _superpixels(images: Sequence[TrainingImage], device: str) -> Tensor | None:
    """Ids of every pixel, int32 (n,), where the images have them."""
    ids = [image.superpixels.ravel() for image in images if image.superpixels is not None]
    return torch.from_numpy(np.concatenate(ids)).to(device) if ids else None


def _mirrored(position: Tensor, length: Tensor) -> Tensor:
    """Positions outside 0..length-1 thrown back inside."""
    wave = position % (2 * length)
    return torch.minimum(wave, 2 * length - 1 - wave)


def random_theta(
    count: int, crop: int, side: int, augmentation: Augmentation, generator: torch.Generator
) -> Tensor:
    """Random maps (count, 2, 3) from a crop's (x, y) in -1..1 to its tile's (x, y) in -1..1."""
    theta = views.random_views(
        count,
        generator,
        augmentation.scale,
        augmentation.rotation,
        augmentation.shear,
        shift=max(0.0, 1 - crop / side),
    )
    return _of_crop(theta, crop, side)


def centre_theta(count: int, crop: int, side: int) -> Tensor:
    """The unchanged middle of each tile, (count, 2, 3)."""
    return _of_crop(views.identity(count), crop, side)


def _of_crop(theta: Tensor, crop: int, side: int) -> Tensor:
    """Views of square tiles as maps from the smaller crop's own -1..1."""
    return torch.cat([theta[:, :, :2] * (crop / side), theta[:, :, 2:]], dim=2)


def assemble(pixels: Pixels, tiles: Tiles, theta: Tensor, crop: int) -> Batch:
    """The tiles seen through `theta` as one batch of (B, ..., crop, crop)."""
    index, own = pixels.index(tiles)
    values = pixels.values[index].permute(0, 3, 1, 2)
    shape = [len(tiles), 1, crop, crop]
    grid = F.affine_grid(theta.to(pixels.device), shape, align_corners=False)
    smooth = values[:, :PIXELS].float() / 255
    if pixels.planes:
        smooth = torch.cat([smooth, pixels.revised[index].permute(0, 3, 1, 2).float()], dim=1)
    smooth = F.grid_sample(smooth, grid, "bilinear", "reflection", align_corners=False)
    states = values[:, PIXELS:].clone()
    states[:, FLAGS:] = UNKNOWN - states[:, FLAGS:]
    states *= own[:, None]
    states = F.grid_sample(states.float(), grid, "nearest", "zeros", align_corners=False)
    batch = _batch(pixels, smooth, states, tiles)
    if pixels.superpixels is None:
        return batch
    ids = (pixels.superpixels[index] * own)[:, None].float()  # exact to 2^24
    ids = F.grid_sample(ids, grid, "nearest", "zeros", align_corners=False)
    return replace(batch, superpixels=ids[:, 0].long())


def _batch(pixels: Pixels, smooth: Tensor, states: Tensor, tiles: Tiles) -> Batch:
    known, tissue, inside = states[:, :FLAGS].bool().unbind(1)
    labels = (UNKNOWN - states[:, FLAGS:]).to(torch.uint8)
    planes = torch.where(inside[:, None], smooth[:, PIXELS:], torch.nan)
    return Batch(
        image=smooth[:, :3],
        hematoxylin=smooth[:, 3:PIXELS],
        labels=dict(zip(pixels.labels, labels.unbind(1), strict=True)),
        known=known,
        tissue=tissue,
        planes=dict(zip(pixels.planes, planes.unbind(1), strict=True)),
        half=torch.from_numpy(tiles.half).to(pixels.device),
    )


def jitter_stain(batch: Batch, amount: float, generator: torch.Generator) -> Batch:
    """Stain densities of each tile, thicker or thinner by up to `amount` (0.1: a tenth).

    Hematoxylin, eosin and what is neither change each by a factor of its own, the image by all of
    them and x_h by that of hematoxylin: the two stay views of one tissue (Beer-Lambert, Eqs. 1 and
    2 of SC-Net). A blank stays white.
    """
    if not amount:
        return batch
    count = len(batch.image)
    change = 1 + amount * (2 * torch.rand(count, 3, generator=generator) - 1)
    change = change.to(batch.image.device, batch.image.dtype)
    w = _STAINS.to(change)
    # OD = W D, so that factors f of D make it W diag(f) W^-1 OD
    mixed = torch.einsum("ij,bj,jk->bik", w, change, torch.linalg.inv(w))
    density = -batch.image.clamp(1e-3, 1).log()
    image = torch.einsum("bik,bkhw->bihw", mixed, density).clamp_min(0).neg().exp()
    return replace(
        batch,
        image=image,
        hematoxylin=batch.hematoxylin.clamp_min(1e-3) ** change[:, 0, None, None, None],
    )


def _three_stains() -> Tensor:
    """W with a third column at right angles to both stains, for what neither explains, (3, 3)."""
    both = FIXED.W
    rest = np.cross(both[:, 0], both[:, 1])
    return torch.from_numpy(np.column_stack([both, rest / np.linalg.norm(rest)]))


_STAINS = _three_stains()
