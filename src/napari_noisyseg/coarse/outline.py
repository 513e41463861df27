"""An outline at every click by the starter's network, neighbours settled between all of them.

Each click's square is looked at by itself, with spots where the other clicks are. A pixel goes to
the click whose probability there is the largest and above a half; of what a click wins it keeps
one connected part, without holes. All of it is a function of the clicks, not of their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.coarse.appearance import REACH, SIDE, crops, square_at
from napari_noisyseg.coarse.cells import Cells, Pixel
from napari_noisyseg.coarse.morphology import Mask, disk
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN
from napari_noisyseg.slides import Box

F32 = NDArray[np.float32]
Ints = NDArray[np.int32]
Look = Callable[[F32], F32]
"""Squares (n, CHANNELS, SIDE, SIDE) to the probability of the nucleus at the click, (n, ...)."""

LEAST = 0.5
TIE = 1e-4
"""Smaller differences of probability are noise: the last digits depend on the batch."""
SHARE, OWN = 0.15, 0.05
"""Of the log-odds that another network's are; below which probability a click's own alone counts.
On true masks (images 11, 13, 15 of MoNuSeg) shares of 0, 0.1, 0.15 and 0.3 are all alike: AJI
0.7326, 0.7329, 0.7327, 0.7322. Of a network that was trained for long more may be right."""
SHARE_WITH_FIRST = 0.3
"""The share of a trained network and its first weights, `halfway` between both. Images 11, 13, 15
and 17, clicks off by 0, 4 and 8 px: AJI 0.754, 0.743 and 0.706; with the trained network alone
0.752, 0.740 and 0.700; with neither 0.750, 0.738 and 0.697."""
FAINT = 0.7
"""Where no pixel reaches `LEAST`, those from this share of the largest probability on count."""
BATCH = 64
"""Clicks that a network looks at together."""
BESIDE = 0.25
"""A part that holds the click counts if it has this share of the largest part."""
BAND = 1.0
"""Half the width of the ignored band along an outline of the training target, px of 0.25 µm."""


class _Seen(NamedTuple):
    """Probability of one click's nucleus in level-0 pixels."""

    box: Box
    values: F32


class OutlinePlane:
    """`instances` int32 (H, W) of serials, and `target` uint8 (H, W) to train on.

    planes: `appearance` of the image; shape: of the image itself, in pixels. lazy: after a click
    the neighbours, who see it too, wait for `catch_up`. beside: probability of nucleus by another
    network, float32 (H, W), which has `share` of the say where a click's own is in doubt. seen: of
    the first clicks, in order of serial, what `seen_at` gives for them.
    """

    def __init__(
        self,
        planes: F32,
        shape: tuple[int, int],
        look: Look,
        lazy: bool = False,
        beside: F32 | None = None,
        share: float = SHARE,
        seen: F32 | None = None,
    ) -> None:
        self._given = seen
        self._lazy, self._pending = lazy, set[int]()
        self._beside, self._share = beside, share
        self.instances: Ints = np.zeros(shape, np.int32)
        self.target = np.full(shape, UNKNOWN, np.uint8)
        self._planes, self._look, self.shape = planes, look, shape
        self._factor = np.array(planes.shape[1:]) / np.array(shape)
        self._core: Ints = np.zeros(shape, np.int32)
        self._seen: dict[int, _Seen] = {}
        self._pixels: dict[int, Pixel] = {}
        self._band = disk(max(BAND / float(self._factor.mean()), 1.0))

    def full(self, cells: Cells) -> NDArray[np.uint8]:
        """The target of the whole image; fills `instances` too."""
        self.bring_to(cells.points)
        return self.target

    def update(
        self, plane: NDArray[np.uint8], cells: Cells, changed: Box, owners: Iterable[int]
    ) -> Box:
        """Bring both up to date with the points of now; the box rewritten. `plane`: the target."""
        return self.bring_to(cells.points)

    def bring_to(self, points: Mapping[int, Pixel]) -> Box:
        """Bring both up to date with the points of now; the box rewritten."""
        old = self._pixels
        moved = {s for s in {*old, *points} if old.get(s) != points.get(s)}
        if not moved:
            return Box(0, 0, 0, 0)
        self._pixels = dict(points)
        due = self._near([p for s in moved for p in (old.get(s), points.get(s)) if p is not None])
        if self._lazy and old:
            self._pending |= due - moved
            due &= moved
        changed = self._renew(moved, due)
        if bool(old) != bool(points):  # without any click nothing is known, not even background
            changed = self._aim(Box(0, 0, *self.shape))
        return changed

    def catch_up(self) -> Box:
        """Look again at those who wait; the box that changed."""
        due, self._pending = self._pending & set(self._pixels), set()
        return self._renew(due, due)

    def probability(self) -> F32:
        """The largest that any click's nucleus has, in 0..1, float32 (H, W); 0 far from clicks."""
        found = np.zeros(self.shape, np.float32)
        for box, values in self._seen.values():
            np.maximum(found[box.slices], values, out=found[box.slices])
        return np.minimum(found, 1.0)

    def certainty(self) -> dict[int, float]:
        """By serial, the overlap (IoU) with its nucleus that each outline's own probability says.

        Sum of the probability inside over the area and what of it lies outside, in 0..1.
        """
        found = {}
        for serial, (box, values) in self._seen.items():
            own = self.instances[box.slices] == serial
            chance = np.minimum(values, 1.0)
            inside = float(chance[own].sum())
            found[serial] = inside / max(float(own.sum()) + float(chance.sum()) - inside, 1.0)
        return found

    def _renew(self, old: set[int], due: set[int]) -> Box:
        """Forget what was seen around some clicks, look around others."""
        boxes = [self._seen.pop(s).box for s in old | due if s in self._seen]
        self._see(sorted(due))
        boxes += [self._seen[s].box for s in due]
        return self._aim(self._settle(Box.around(boxes)))

    # --- looking -------------------------------------------------------------------------------

    def _clicks(self, pixels: Iterable[Pixel]) -> NDArray[np.float64]:
        """In pixels of the planes."""
        places = np.array(list(pixels), np.float64).reshape(-1, 2)
        return np.asarray((places + 0.5) * self._factor - 0.5, np.float64)

    def _near(self, changed: list[Pixel]) -> set[int]:
        """Points in whose squares one of these can be seen."""
        if not self._pixels:
            return set()
        serials = np.array(list(self._pixels))
        clicks = self._clicks(self._pixels.values())
        near = np.zeros(len(serials), bool)
        for place in self._clicks(changed):
            near |= (np.abs(clicks - place) <= REACH).all(axis=1)
        return set(serials[near].tolist())

    def _see(self, serials: list[int]) -> None:
        if not serials:
            return
        every = list(self._pixels)
        clicks = self._clicks(self._pixels.values())
        rows = {serial: row for row, serial in enumerate(every)}
        chosen = np.array([rows[s] for s in serials], np.intp)
        found, self._given = self._given, None
        if found is None or len(found) != len(serials):
            found = self._look(crops(self._planes, clicks, chosen))
        for serial, square, click in zip(serials, found, clicks[chosen], strict=True):
            self._seen[serial] = self._placed(square, click, self._pixels[serial])

    def _placed(self, square: F32, click: NDArray[np.float64], pixel: Pixel) -> _Seen:
        """A square's probability in the image's own pixels; the click's pixel is its nucleus's."""
        at = np.array(square_at(click).origin)
        low = np.maximum(np.ceil((at + 0.5) / self._factor - 0.5), 0).astype(int)
        high = np.minimum(np.floor((at + SIDE - 0.5) / self._factor - 0.5) + 1, self.shape).astype(
            int
        )
        box = Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        if (self._factor == 1).all():
            values = square[low[0] - at[0] : high[0] - at[0], low[1] - at[1] : high[1] - at[1]]
        else:
            axes = [(np.arange(a, b) + 0.5) * f - 0.5 - c
                    for a, b, f, c in zip(low, high, self._factor, at, strict=True)]  # fmt: skip
            places = np.meshgrid(*axes, indexing="ij")
            values = ndi.map_coordinates(square, places, order=1, mode="nearest")
        values = np.array(values, np.float32)
        if self._beside is not None:
            values = together(values, self._beside[box.slices], self._share)
        if values.max() * FAINT < LEAST:
            values *= LEAST / (FAINT * max(float(values.max()), 1e-6))
        values[pixel[0] - box.y0, pixel[1] - box.x0] = 2.0
        return _Seen(box, values)

    # --- settling ------------------------------------------------------------------------------

    def _settle(self, box: Box) -> Box:
        """Share out the pixels of a box again; the box in which a nucleus may be another."""
        touched = sorted(s for s, seen in self._seen.items() if not seen.box.intersect(box).empty)
        outer = Box.around([box, *(self._seen[s].box for s in touched)]).clip(self.shape)
        within = sorted(s for s, seen in self._seen.items() if not seen.box.intersect(outer).empty)
        owner = self._shared_out(outer, within)
        part = self._core[outer.slices]
        part[np.isin(part, [*touched, *self._gone(part)])] = 0
        filled: dict[int, tuple[Box, Mask]] = {}
        for serial in touched:
            near = self._seen[serial].box
            inner = near.shift(-outer.y0, -outer.x0).slices
            kept = self._part_of(serial, near, owner[inner] == serial)
            self._core[near.slices][kept] = serial
        shown = self.instances[outer.slices]
        shown[np.isin(shown, [*touched, *self._gone(shown)])] = 0
        for serial in touched:
            near = self._seen[serial].box
            core = self._core[near.slices] == serial
            filled[serial] = (near, ndi.binary_fill_holes(core))
            self.instances[near.slices][core] = serial
        for serial, (near, whole) in filled.items():
            place = self.instances[near.slices]
            place[whole & (place == 0)] = serial
        return outer

    def _gone(self, part: Ints) -> list[int]:
        return [s for s in np.unique(part).tolist() if s and s not in self._seen]

    def _shared_out(self, outer: Box, serials: list[int]) -> Ints:
        """Serial of the largest probability of each pixel of a box; ties to the lower serial."""
        best = np.full(outer.shape, LEAST, np.float32)
        owner = np.zeros(outer.shape, np.int32)
        for serial in serials:
            seen = self._seen[serial]
            both = seen.box.intersect(outer)
            values = seen.values[both.shift(-seen.box.y0, -seen.box.x0).slices]
            here = both.shift(-outer.y0, -outer.x0).slices
            won = values > best[here] + TIE
            best[here][won] = values[won]
            owner[here][won] = serial
        return owner

    def _part_of(self, serial: int, box: Box, won: Mask) -> Mask:
        """The one connected part of what a click won that is its nucleus."""
        labels, count = ndi.label(won)
        if count < 2:
            return won
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        y, x = self._pixels[serial]
        held, largest = int(labels[y - box.y0, x - box.x0]), int(sizes.argmax())
        chosen = held if held and sizes[held] >= BESIDE * sizes[largest] else largest
        return np.asarray(labels == chosen)

    # --- training target -----------------------------------------------------------------------

    def _aim(self, box: Box) -> Box:
        """Core nucleus, a thin band along each outline unknown, the rest background.

        box: where nuclei changed; the box in which the target did, which has the band around it.
        """
        if not self._pixels:
            self.target.fill(UNKNOWN)
        if not self._pixels or box.empty:
            return box
        margin = len(self._band)
        outer = box.grow(margin).clip(self.shape)
        wide = outer.grow(margin).clip(self.shape)
        part = self.instances[wide.slices]
        edge = np.zeros(part.shape, bool)
        for axis in (0, 1):
            step = np.diff(part, axis=axis) != 0
            first, second = np.moveaxis(edge, axis, 0)[:-1], np.moveaxis(edge, axis, 0)[1:]
            first |= np.moveaxis(step, axis, 0)
            second |= np.moveaxis(step, axis, 0)
        target = np.where(part > 0, NUCLEUS, BACKGROUND).astype(np.uint8)
        target[ndi.binary_dilation(edge, self._band)] = UNKNOWN
        self.target[outer.slices] = target[outer.shift(-wide.y0, -wide.x0).slices]
        return outer


def seen_at(planes: F32, clicks: NDArray[np.float64], look: Look) -> F32:
    """Probability of the nucleus at each click (n, 2), px of the planes: (n, SIDE, SIDE).

    The squares of some clicks are cut while the network looks at those before; few are in memory.
    """
    found = np.empty((len(clicks), SIDE, SIDE), np.float32)
    parts = np.array_split(np.arange(len(clicks)), max(1, -(-len(clicks) // BATCH)))
    with ThreadPoolExecutor(1, "squares") as beside:
        coming = beside.submit(crops, planes, clicks, parts[0])
        for n, part in enumerate(parts):
            squares = coming.result()
            if n + 1 < len(parts):
                coming = beside.submit(crops, planes, clicks, parts[n + 1])
            if len(part):
                found[part] = look(squares)
    return found


def together(own: F32, other: F32, share: float = SHARE) -> F32:
    """Probability of a click's nucleus where another network has a share of the say."""
    odds = (1 - share) * _log_odds(own) + share * _log_odds(other)
    return np.where(own < OWN, own, 1 / (1 + np.exp(-odds))).astype(np.float32)


def halfway(one: F32, other: F32) -> F32:
    """Two networks' probability where each has half of the say."""
    odds = (_log_odds(one) + _log_odds(other)) / 2
    return np.asarray(1 / (1 + np.exp(-odds)), np.float32)


def _log_odds(probability: F32) -> F32:
    p = np.clip(probability, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(p / (1 - p)), np.float32)


def outlined(
    planes: F32,
    points: Mapping[int, Pixel],
    shape: tuple[int, int],
    look: Look,
    beside: F32 | None = None,
    share: float = SHARE,
) -> OutlinePlane:
    """Outlines at all points at once; see `OutlinePlane`."""
    plane = OutlinePlane(planes, shape, look, beside=beside, share=share)
    plane.bring_to(points)
    return plane
