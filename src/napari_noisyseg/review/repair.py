"""What becomes of outlines that a person cuts, joins or draws: pixels in, pixels out.

Lines are (n, 2) of (y, x) in level-0 pixels, pixel centres at integers.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.draw import polygon2mask

from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.coarse.morphology import disk
from napari_noisyseg.coarse.project import look_of
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord, Outline

Line = NDArray[np.floating]
CRUMB = 0.05
"""a piece of less than this share of a nucleus goes with its neighbour"""
GAP_UM = 2.0
"""nuclei that lie further apart are not merged"""
AROUND_UM = 24.0
"""what is looked at around a click"""


def cut(outline: Outline, line: Line) -> list[Outline]:
    """The parts into which a line cuts a nucleus, every pixel of it in one of them.

    One part, the whole, where the line does not cross it.
    """
    room = outline.box.grow(1)
    mask = outline.cut(room)
    pieces, count = ndi.label(mask & ~_pixels_of(line, room))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    large = [k for k in range(1, count + 1) if sizes[k - 1] >= CRUMB * outline.area]
    if len(large) < 2:
        return [outline]
    return [part for part in _shared_out(pieces, large, mask, room) if part is not None]


def _shared_out(
    pieces: NDArray[np.integer], large: list[int], mask: NDArray[np.bool_], room: Box
) -> list[Outline | None]:
    """The line's own pixels and crumbs go to the nearest large piece."""
    kept = np.isin(pieces, large)
    nearest = ndi.distance_transform_edt(~kept, return_distances=False, return_indices=True)
    owner = np.where(mask, pieces[tuple(nearest)], 0)
    return [Outline.of(owner == k, room) for k in large]


def _pixels_of(line: Line, box: Box) -> NDArray[np.bool_]:
    """The pixels of a box that a line runs through, joined by their sides."""
    found = np.zeros(box.shape, bool)
    for a, b in pairwise(np.asarray(line, np.float64)):
        steps = int(np.ceil(2 * np.abs(b - a).max())) + 1
        places = np.floor(np.linspace(a, b, steps + 1) + 0.5).astype(int) - box.origin
        inside = ((places >= 0) & (places < box.shape)).all(axis=1)
        found[tuple(places[inside].T)] = True
    return np.asarray(ndi.binary_dilation(found))


def join(first: Outline, second: Outline, mpp: float) -> Outline:
    """One nucleus of two that touch or nearly do; the gap between them is filled.

    Raises NoisySegError where they lie further apart than `GAP_UM`.
    """
    most = max(1, round(GAP_UM / mpp))
    room = Box.around((first.box, second.box)).grow(most)
    both = first.cut(room) | second.cut(room)
    for radius in range(0, most + 1):
        closed = both | (ndi.binary_closing(both, disk(radius)) if radius else both)
        if ndi.label(closed, np.ones((3, 3)))[1] == 1 and _joined(closed, radius, most):
            joined = Outline.of(ndi.binary_fill_holes(closed), room)
            if joined is not None:
                return joined
    raise NoisySegError(
        f"these two nuclei are more than {GAP_UM:g} µm apart: choose one that touches this one"
    )


def _joined(mask: NDArray[np.bool_], radius: int, most: int) -> bool:
    """Whether it is connected by the sides of pixels, or by a corner where nothing else helps."""
    return bool(ndi.label(mask)[1] == 1) or radius == most


def drawn(line: Line, record: ImageRecord) -> Outline:
    """What a closed line encloses of an image. Raises NoisySegError where that is no pixel."""
    places, outline = np.asarray(line, np.float64), None
    if len(places) > 2:
        low, high = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0)) + 1
        box = Box(*map(int, low), *map(int, high)).clip((record.height, record.width))
        if not box.empty:
            mask = polygon2mask(box.shape, places - box.origin)
            outline = Outline.of(_largest(mask), box)
    if outline is None:
        raise NoisySegError("that line encloses nothing: draw all around the nucleus")
    return outline


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part, without holes."""
    pieces, count = ndi.label(mask)
    if count > 1:
        sizes = np.bincount(pieces.ravel())
        mask = pieces == int(sizes[1:].argmax()) + 1
    return np.asarray(ndi.binary_fill_holes(mask))


def at_click(
    project: Project, image: str, place: tuple[float, float], instead_of: str = ""
) -> Outline:
    """The nucleus at a place (y, x) as a click in Annotate would outline it; takes a moment.

    The image's other nuclei near it take part, and none of their pixels is in it; `instead_of` is
    the id of one that does not count. Raises NoisySegError where nothing is found.
    """
    record = project.image(image)
    (y, x), reach = place, round(AROUND_UM / record.mpp)
    box = Box(round(y), round(x), round(y) + 1, round(x) + 1).grow(reach)
    box = box.clip((record.height, record.width))
    if not box.contains(y, x):
        raise NoisySegError("that place is outside the image")
    with project.pixels(image) as slide:
        rgb = slide.read(box)
    points = {1: (y - box.y0, x - box.x0)}
    taken = np.zeros(box.shape, bool)
    for n, other in enumerate(project.nuclei.candidates(image, box=box), 2):
        if other.id == instead_of or other.state == "rejected":
            continue
        taken |= other.outline.cut(box)
        if box.contains(other.y, other.x):
            points[n] = (other.y - box.y0, other.x - box.x0)
    labels = CoarseLabels(
        rgb, points, np.zeros(box.shape, bool), record.mpp, kinds=("outline",),
        look=look_of(project),
    )  # fmt: skip
    free = (labels.outlines == 1) & ~taken
    found = Outline.of(_largest(free), box) if free.any() else None
    if found is None:
        raise NoisySegError("no outline was found at that place: draw it (P)")
    return found


def inside(line: Line, places: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which places (n, 2) of (y, x) a closed line encloses, bool (n,)."""
    if len(line) < 3:
        return np.zeros(len(places), bool)
    area = shapely.make_valid(shapely.Polygon(line))
    return np.asarray(shapely.contains_xy(area, places[:, 0], places[:, 1]), bool)
