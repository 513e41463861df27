"""The coarse labels of one image or field, kept up to date click by click."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse.appearance import appearance, unlike_stained_tissue
from napari_noisyseg.coarse.cells import Cells, Pixel
from napari_noisyseg.coarse.cluster import PAPER_MPP, ClusterPlane, fit_clusters, smoothed
from napari_noisyseg.coarse.evidence import evidence, standardised
from napari_noisyseg.coarse.local import LocalPlane
from napari_noisyseg.coarse.outline import Look, OutlinePlane
from napari_noisyseg.coarse.starter import OUTLINE, at_click, shipped
from napari_noisyseg.coarse.voronoi import VoronoiPlane
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import UNKNOWN
from napari_noisyseg.slides import Box

Kind = Literal["outline", "voronoi", "cluster", "local"]
KINDS: tuple[Kind, ...] = ("outline", "voronoi", "cluster", "local")
Plane = VoronoiPlane | ClusterPlane | LocalPlane | OutlinePlane
STALE = 0.2
"""Share by which the count of points must change until a fit is stale."""
CHOSEN = ("radius_um", "smallest_um2")
"""What of a fit a person may set; it is kept when the rest is fitted again."""


def chosen_in(fit: Mapping[str, Any] | None) -> dict[str, float]:
    """What a person set of a fit: the nucleus radius in µm, the smallest nucleus in µm²."""
    return {name: float(fit[name]) for name in CHOSEN if name in fit} if fit else {}


class CoarseLabels:
    """Labels from points over one image: one of each of `KINDS`, `outlines` and `instances`.

    rgb: uint8 (H, W, 3). points: serial (1 or more) to (y, x) in pixels of this image, centres at
    integers; points outside the image are remembered and have no say. known: bool (H, W), inside
    fields declared complete; elsewhere every label is unknown (2). mpp: µm per pixel. fit: values
    stored from an earlier `.fit`, or None to fit when the cluster label is first asked for; where
    they are only what a person set (`CHOSEN`) the rest is fitted then.
    kinds: which labels will be asked for; each is computed when first asked for. look: the network
    that outlines a click (see `outline.Look`); the starter's when it is None. lazy: neighbours of a
    changed point see it in `outlines` after `catch_up` only, so that a click is quick.

    Every array handed out is a live, read-only view: later clicks show in it.
    """

    def __init__(
        self,
        rgb: NDArray[np.uint8],
        points: Mapping[int, tuple[float, float]],
        known: NDArray[np.bool_],
        mpp: float,
        fit: dict[str, Any] | None = None,
        kinds: Iterable[str] = KINDS,
        look: Look | None = None,
        lazy: bool = False,
    ) -> None:
        _check(rgb, known, mpp)
        self.rgb = rgb
        self.shape: tuple[int, int] = (rgb.shape[0], rgb.shape[1])
        self.scale = PAPER_MPP / mpp
        self.kinds = tuple(kinds)
        self._places = {serial: _pixel(serial, *place) for serial, place in points.items()}
        self._known = known.astype(bool, copy=True)
        inside = {s: p for s, p in self._places.items() if self._holds(p)}
        self._cells = Cells(self.shape, inside)
        self._chosen = chosen_in(fit)
        self._fit = dict(fit) if fit and "centroids" in fit else None
        self._outlines: LocalPlane | None = None
        self._colours: NDArray[np.uint8] | None = None
        self._look, self._mpp, self._lazy = look, mpp, lazy
        self._doubt = ""
        self._planes: dict[Kind, Plane] = {}
        self._raw: dict[Kind, NDArray[np.uint8]] = {}
        self._shown: dict[Kind, NDArray[np.uint8]] = {}

    @property
    def places(self) -> dict[int, Pixel]:
        """Pixel of every point, those outside the image included."""
        return dict(self._places)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Inside fields declared complete, bool (H, W)."""
        return _read_only(self._known)

    @property
    def cells(self) -> NDArray[np.int32]:
        """Serial of the nearest point, int32 (H, W); ties to the lower serial; 0 without points."""
        return _read_only(self._cells.owner)

    @property
    def voronoi(self) -> NDArray[np.uint8]:
        """Cell borders background, a disk at each point nucleus, the rest unknown."""
        return _read_only(self._label("voronoi"))

    @property
    def cluster(self) -> NDArray[np.uint8]:
        """K-means on colour and distance, cleaned per nucleus; uint8 (H, W)."""
        return _read_only(self._label("cluster"))

    @property
    def local(self) -> NDArray[np.uint8]:
        """`instances` as a training target: core nucleus, thin band unknown, rest background."""
        return _read_only(self._label("local"))

    @property
    def instances(self) -> NDArray[np.int32]:
        """Serial of the nucleus outlined at each point, int32 (H, W), inside `known` or not."""
        self._label("local")
        return _read_only(self._outliner().instances)

    @property
    def outline(self) -> NDArray[np.uint8]:
        """`outlines` as a training target: core nucleus, thin band unknown, rest background."""
        return _read_only(self._label("outline"))

    @property
    def outlines(self) -> NDArray[np.int32]:
        """Serial of the nucleus that the starter's network outlines at each point, int32 (H, W).

        Those of `instances` where it cannot: `doubt` says why.
        """
        self._label("outline")
        return _read_only(self._outlined().instances)

    @property
    def probability(self) -> NDArray[np.float32]:
        """Probability of the nearest clicks' nuclei behind `outlines`, float32 (H, W) in 0..1.

        Where these are those of `instances`: 1 inside, 0 outside.
        """
        outlines = self.outlines
        plane = self._outlined()
        if isinstance(plane, OutlinePlane):
            return plane.probability()
        return (outlines > 0).astype(np.float32)

    def certainty(self) -> dict[int, float]:
        """By serial, how far each of `outlines` is to be trusted, in 0..1.

        The overlap with its nucleus that the network itself expects; a half where it has no say.
        """
        outlines = self.outlines
        plane = self._outlined()
        if isinstance(plane, OutlinePlane):
            return plane.certainty()
        return dict.fromkeys(np.unique(outlines[outlines > 0]).tolist(), 0.5)

    def _outlined(self) -> OutlinePlane | LocalPlane:
        plane = self._planes["outline"]
        assert isinstance(plane, OutlinePlane | LocalPlane)
        return plane

    @property
    def doubt(self) -> str:
        """Why `outline` is no better than `local` in this image; empty where it is."""
        self._label("outline")
        return self._doubt

    @property
    def fit(self) -> dict[str, Any]:
        """What the cluster label was fitted to, as a JSON dict.

        Empty while there is no point, or when the cluster label was left out of `kinds`.
        """
        if not self._fit and "cluster" in self.kinds:
            self._fit = self._fitted()
        return dict(self._fit or {})

    def _fitted(self) -> dict[str, Any]:
        measured = self._outliner().typical_radius(self._cells, self._known)
        if not measured:
            return {}
        chosen = self._chosen.get("radius_um")
        radius = measured if chosen is None else chosen * self.scale / PAPER_MPP
        fit = fit_clusters(self._smoothed(), self._cells, self._known, radius)
        return {**fit, "count": len(self._cells.points), **self._chosen}

    @property
    def stale(self) -> bool:
        """Whether the count of points has changed by a fifth or more since the fit."""
        fitted = self._fit["count"] if self._fit else 0
        return abs(len(self._cells.points) - fitted) > 0 and (
            abs(len(self._cells.points) - fitted) >= STALE * fitted
        )

    def refit(self) -> Box:
        """Fit the cluster label again to the points of now; the box that changed (all of it)."""
        self._fit = None
        self._planes.pop("cluster", None)
        return Box(0, 0, *self.shape)

    def add(self, serial: int, y: float, x: float) -> Box:
        """A new point; the box in which anything changed (empty: nothing)."""
        if serial in self._places:
            raise ValueError(f"point {serial} is there already: move it instead")
        self._places[serial] = pixel = _pixel(serial, y, x)
        return self._put(serial, pixel) if self._holds(pixel) else Box(0, 0, 0, 0)

    def remove(self, serial: int) -> Box:
        """Take a point away; the box in which anything changed (empty: nothing)."""
        pixel = self._places.pop(serial)
        return self._take(serial, pixel) if self._holds(pixel) else Box(0, 0, 0, 0)

    def move(self, serial: int, y: float, x: float) -> Box:
        """Put a point elsewhere; the box in which anything changed (empty: nothing)."""
        if _pixel(serial, y, x) == self._places[serial]:
            return Box(0, 0, 0, 0)
        return Box.around([self.remove(serial), self.add(serial, y, x)])

    def catch_up(self) -> Box:
        """Let the neighbours of changed points see them; the box in which `outlines` changed."""
        plane = self._planes.get("outline")
        if not isinstance(plane, OutlinePlane):
            return Box(0, 0, 0, 0)
        box = plane.catch_up()
        self._mask("outline", box)
        return box

    def set_known(self, known: NDArray[np.bool_]) -> None:
        """Other fields: bool (H, W). The fit stays."""
        if known.shape != self.shape:
            raise ValueError(f"known has shape {known.shape}, the image {self.shape}")
        self._known = known.astype(bool, copy=True)
        for kind in self._planes:
            self._mask(kind, Box(0, 0, *self.shape))

    def _put(self, serial: int, pixel: Pixel) -> Box:
        changed, owners = self._cells.add(serial, pixel)
        return self._refresh(changed, owners, pixel)

    def _take(self, serial: int, pixel: Pixel) -> Box:
        changed, owners = self._cells.remove(serial)
        return self._refresh(changed, owners, pixel)

    def _refresh(self, changed: Box, owners: set[int], pixel: Pixel) -> Box:
        boxes = [changed]
        if "cluster" in self._planes and not self._fit:
            boxes.append(self.refit())  # the first point: nothing has been fitted yet
        for kind, plane in self._planes.items():
            raw = self._raw[kind]
            if isinstance(plane, VoronoiPlane):
                box = plane.update(raw, self._cells, changed, [pixel])
            elif isinstance(plane, ClusterPlane):
                box = plane.update(raw, self._cells, changed, owners, pixel)
            else:
                box = plane.update(raw, self._cells, changed, owners)
            self._mask(kind, box)
            boxes.append(box)
        return Box.around(boxes)

    def _label(self, kind: Kind) -> NDArray[np.uint8]:
        if kind not in self.kinds:
            raise ValueError(f"{kind} was left out of the kinds of these labels")
        if kind not in self._planes:
            plane = self._planes[kind] = self._plane(kind)
            self._raw[kind] = plane.full(self._cells)
            self._shown[kind] = np.empty_like(self._raw[kind])
            self._mask(kind, Box(0, 0, *self.shape))
        return self._shown[kind]

    def _plane(self, kind: Kind) -> Plane:
        if kind == "voronoi":
            return VoronoiPlane(self.scale)
        if kind == "cluster":
            return ClusterPlane(self._smoothed(), self.scale, self.fit)
        return self._learned() if kind == "outline" else self._outliner()

    def _learned(self) -> OutlinePlane | LocalPlane:
        """The starter's outlines; on what it has not seen, or without it, the untrained ones."""
        self._doubt = unlike_stained_tissue(self.rgb)
        if not self._doubt:
            try:
                look = self._look or at_click(shipped(OUTLINE))
                planes = appearance(self.rgb, self._mpp)
                return OutlinePlane(planes, self.shape, look, self._lazy)
            except NoisySegError as error:
                self._doubt = str(error)
        return self._local_plane()

    def _outliner(self) -> LocalPlane:
        """The outlines' evidence, made once for the label and for the fit."""
        if self._outlines is None:
            self._outlines = self._local_plane()
        return self._outlines

    def _local_plane(self) -> LocalPlane:
        return LocalPlane(*evidence(self.rgb, self.scale), self.scale)

    def _smoothed(self) -> NDArray[np.uint8]:
        if self._colours is None:
            self._colours = smoothed(self.rgb, self.scale)
        return self._colours

    def _mask(self, kind: Kind, box: Box) -> None:
        """What is shown: the label inside `known`, unknown elsewhere."""
        self._shown[kind][box.slices] = np.where(
            self._known[box.slices], self._raw[kind][box.slices], np.uint8(UNKNOWN)
        )

    def _holds(self, pixel: Pixel) -> bool:
        height, width = self.shape
        return 0 <= pixel[0] < height and 0 <= pixel[1] < width


def outlines(
    evidence: NDArray[np.floating], points: Mapping[int, tuple[float, float]], mpp: float
) -> NDArray[np.int32]:
    """The outlines of `CoarseLabels.instances` on any evidence, such as a network's log-odds.

    evidence: float (H, W), higher in nuclei, of any scale and offset, already smooth; points and
    mpp as in `CoarseLabels`. Every point inside the image gets one connected nucleus without
    holes, unless it stands on the pixel of a lower serial; int32 (H, W) of serials, 0 elsewhere.
    """
    height, width = evidence.shape
    places = {serial: _pixel(serial, *place) for serial, place in points.items()}
    inside = {s: (y, x) for s, (y, x) in places.items() if 0 <= y < height and 0 <= x < width}
    plane = LocalPlane(*standardised(evidence), PAPER_MPP / mpp)
    plane.full(Cells((height, width), inside))
    return plane.instances


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _pixel(serial: int, y: float, x: float) -> Pixel:
    if serial < 1:
        raise ValueError(f"serials start at 1, not {serial}")
    if not (math.isfinite(y) and math.isfinite(x)):
        raise NoisySegError(f"point {serial} has no finite place ({y}, {x}): give it numbers")
    return math.floor(y + 0.5), math.floor(x + 0.5)


def _check(rgb: NDArray[np.uint8], known: NDArray[np.bool_], mpp: float) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"rgb must be uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}")
    if known.shape != rgb.shape[:2]:
        raise ValueError(f"known has shape {known.shape}, the image {rgb.shape[:2]}")
    if not (math.isfinite(mpp) and mpp > 0):
        raise NoisySegError(f"{mpp} µm per pixel is no resolution: give a number above 0")
