"""Region to training image: working resolution, stains, and the label planes a method asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg import stains
from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.coarse.published import cluster_label
from napari_noisyseg.coarse.superpixels import superpixels
from napari_noisyseg.data.regions import Region
from napari_noisyseg.data.resample import (
    Shape,
    resize,
    resize_lines,
    resize_mask,
    resize_states,
    scale_points,
    working_shape,
)
from napari_noisyseg.instances import touching
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN, MethodConfig, TrainingImage
from napari_noisyseg.plans import PixelPlan, Recipe

CoarseKind = Literal["voronoi", "cluster", "local", "outline"]
COARSE: tuple[CoarseKind, ...] = ("voronoi", "cluster", "local", "outline")
SUPERPIXEL = "superpixel"
RIM = 2
"""px around an outline that its label leaves unknown"""


def stain_matrix(rgb: NDArray[np.uint8], plan: PixelPlan) -> stains.StainMatrix:
    """The stain matrix of uint8 (H, W, 3) that a plan asks for."""
    matrix = stains.estimate(rgb) if plan.stains == "estimated" else stains.FIXED
    return stains.levelled(rgb, matrix) if plan.level_stains else matrix


def planes_of_pixels(
    rgb: NDArray[np.uint8], matrix: stains.StainMatrix
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What networks see of uint8 (H, W, 3): RGB float32 (3, H, W) and hematoxylin (1, H, W)."""
    image = np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
    component = stains.hematoxylin(rgb, matrix)
    return image, component[None].astype(np.float32)


def training_image(region: Region, config: MethodConfig, labels: Iterable[str]) -> TrainingImage:
    """The region at the working resolution of `config` with the named label planes.

    Coarse labels are computed at level 0, where points and pixels are exact, then reduced;
    superpixels at the working resolution.
    """
    names, plan, mpp = tuple(labels), config.pixels(), config.working_mpp
    shape = working_shape(region.shape, region.mpp, mpp)
    rgb = resize(region.rgb, shape)
    image, component = planes_of_pixels(rgb, stain_matrix(rgb, plan))
    return TrainingImage(
        name=region.name,
        image=image,
        hematoxylin=component,
        labels=label_planes(region, shape, names, plan.cluster_recipe),
        known=resize_mask(region.known, shape),
        tissue=stains.tissue(rgb),
        points=scale_points(region.points, region.shape, shape),
        superpixels=superpixels(rgb, mpp, plan.superpixel_um) if SUPERPIXEL in names else None,
    )


def label_planes(
    region: Region, shape: Shape, names: tuple[str, ...], recipe: Recipe = "mended"
) -> dict[str, NDArray[np.uint8]]:
    """Each named plane, uint8 of `shape`.

    rough: the rough masks, which say nothing where clean ones do, when both are asked for: what is
    known to be clean is never trained as noisy. given: the rough masks everywhere, as they came.
    clean: a line of background parts nuclei that touch (ours).
    """
    planes: dict[str, NDArray[np.uint8]] = {}
    kinds = tuple(kind for kind in COARSE if kind in names)
    if kinds:
        coarse = CoarseLabels(
            region.rgb, region.points_by_serial(), region.known, region.mpp, region.fit, kinds=kinds
        )
        for kind in kinds:
            reduce = resize_lines if kind == "voronoi" else resize_states
            planes[kind] = reduce(_reviewed(_coarse_plane(coarse, kind, recipe), region), shape)
    if "rough" in names:
        planes["rough"] = resize_states(_rough(region, "clean" in names), shape)
    if "given" in names:
        planes["given"] = resize_states(_rough(region, beside_clean=False), shape)
    if "clean" in names:
        clean = _states(region.clean, region.clean_known)
        # without this line a network learns to make one of two that touch
        clean[touching(region.clean)] = BACKGROUND
        planes["clean"] = resize_states(clean, shape)
    return planes


def _rough(region: Region, beside_clean: bool) -> NDArray[np.uint8]:
    rough = _states(region.rough, region.rough_known)
    if beside_clean:
        rough[region.clean_known | (region.clean > 0)] = UNKNOWN
    return rough


def _coarse_plane(coarse: CoarseLabels, kind: CoarseKind, recipe: Recipe) -> NDArray[np.uint8]:
    """One coarse label at level 0; the other recipes have no use for the stored fit."""
    if kind == "cluster" and recipe != "mended":
        return cluster_label(
            coarse.rgb, coarse.cells, coarse.places.values(), coarse.known, coarse.scale, recipe
        )
    plane: NDArray[np.uint8] = getattr(coarse, kind)
    return plane


def _reviewed(plane: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    """The plane with what review has settled: accepted nuclei in, rejected ones out.

    What the nucleus of a click has of a rejected outline is in doubt, and unknown.
    """
    if not (region.clean.any() or region.rejected.any()):
        return plane
    plane = plane.copy()
    if region.rejected.any():
        doubt = _at_clicks(plane, region.points)[region.rejected]
        plane[region.rejected] = np.where(doubt, UNKNOWN, BACKGROUND)
    plane[region.clean_known & ~region.rejected & (plane == UNKNOWN)] = BACKGROUND
    plane[region.clean > 0] = NUCLEUS
    return plane


def _at_clicks(plane: NDArray[np.uint8], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Connected parts of the plane's nuclei that hold a point, and their rims, bool (h, w)."""
    parts, _ = ndimage.label(plane == NUCLEUS)
    pixels = np.floor(points + 0.5).astype(np.intp)
    inside = ((pixels >= 0) & (pixels < plane.shape)).all(axis=1)
    held = np.unique(parts[tuple(pixels[inside].T)])
    rims = ndimage.binary_dilation(np.isin(parts, held[held > 0]), iterations=RIM)
    return np.asarray(rims, bool)


def _states(labels: NDArray[np.int32], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(labels > 0, NUCLEUS, np.where(known, BACKGROUND, UNKNOWN)).astype(np.uint8)
