"""Outlines and other coarse labels from points."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noisyseg.api.images import ImageLike, pixels
from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.coarse.project import EVERY, KINDS, SUPERPIXEL, derive_image, regions
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import Project

NO_FIELD = "too large for coarse labels as a whole: mark a field"
Tell = Callable[[float, str], object]
"""Called with the share done (0..1), and what it is a share of."""


def outline(
    image: ImageLike, points: ArrayLike, mpp: float | None = None, channel: int | None = None
) -> NDArray[np.int32]:
    """Outline the nucleus at each point, without training and without torch.

    image: a file, or pixels (H, W, 3), uint8. points: (n, 2) of (y, x) in pixels, as napari's
    Points layers have them; the middle of the first pixel is (0, 0). mpp: µm per pixel; if None,
    the file's own value, else 0.25 with a warning. channel: fluorescence channel, from 1 on.

    Returns labels, int32 (H, W): k + 1 where the nucleus of `points[k]` is, 0 elsewhere. On images
    that the network cannot judge (grey, fluorescence) the untrained outlines are returned, with a
    warning. Raises NoisySegError for points that are not numbers, are outside the image, or share
    a pixel.
    """
    rgb, size = pixels(image, mpp, channel)
    places = _places(points, rgb.shape[:2])
    marks = dict(enumerate(map(tuple, places.tolist()), start=1))
    known = np.ones(rgb.shape[:2], bool)
    labels = CoarseLabels(rgb, marks, known, size, kinds=("outline",))
    drawn = np.array(labels.outlines)
    if labels.doubt:
        warnings.warn(labels.doubt, UserWarning, stacklevel=2)
    return drawn


def _places(points: ArrayLike, shape: Sequence[int]) -> NDArray[np.float64]:
    """Points (n, 2) of (y, x), all of them in the image and on pixels of their own."""
    try:
        places = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise NoisySegError("points must be numbers, (n, 2) of (y, x) in pixels") from None
    places = places.reshape(-1, 2) if places.size == 0 else places
    if places.ndim != 2 or places.shape[1] != 2:
        raise NoisySegError(f"points have shape {places.shape}: give (n, 2) of (y, x) in pixels")
    inside = np.isfinite(places).all(1)
    inside &= ((places >= -0.5) & (places < np.array(shape) - 0.5)).all(1)
    if not inside.all():
        first = int(np.argmin(inside))
        y, x = places[first]
        raise NoisySegError(
            f"point {first} (y {y:g}, x {x:g}) lies outside the image of {shape[0]} rows and "
            f"{shape[1]} columns; give (y, x), y first"
        )
    cells = np.floor(places + 0.5)
    _, firsts, counts = np.unique(cells, axis=0, return_index=True, return_counts=True)
    if (counts > 1).any():
        y, x = cells[firsts[np.argmax(counts > 1)]]
        raise NoisySegError(f"two points lie on the pixel (y {y:g}, x {x:g}): remove one of them")
    return places


def derive(
    project: Project,
    kinds: Iterable[str] = KINDS,
    images: Iterable[str] | None = None,
    tell: Tell | None = None,
) -> dict[str, str]:
    """Make coarse labels of a project's images and save them in it (`project.labels`).

    project: open for writing. kinds: some of `outline`, `voronoi`, `cluster`, `local` (all from
    points) and `superpixel` (from pixels). images: names; None for every image with points, or for
    every image if only superpixels are asked for. tell: called with (share done, image).

    Returns for each image why `outline` could not judge it, or that it is large and has no field;
    "" otherwise. Raises NoisySegError for an unknown kind, and if no image has points.
    """
    kinds = tuple(kinds)
    if unknown := sorted(set(kinds) - set(EVERY)):
        raise NoisySegError(f"there is no kind {unknown[0]!r}: choose from {', '.join(EVERY)}")
    every = kinds == (SUPERPIXEL,)
    names = [r.name for r in project.images() if every or project.nuclei.of(r.name)]
    names = names if images is None else list(images)
    if not names:
        raise NoisySegError(
            f"{project.path}: no image has points; click some, or 'noisyseg import --as points'",
            window="no image has points: click some first",
        )
    doubts = {}
    for done, name in enumerate(names, start=1):
        # superpixels say so themselves
        marked = SUPERPIXEL in kinds or regions(project, name)
        doubts[name] = derive_image(project, name, kinds) if marked else NO_FIELD
        if tell is not None:
            tell(done / len(names), name)
    return doubts
