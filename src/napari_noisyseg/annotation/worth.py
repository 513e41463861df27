"""What a rough annotation is worth, before any training: its bias, what it misses, what it keeps.

Accepted nuclei are the measure; without any, only figures that need none are given. All
intervals are 95 % ones over nuclei: pixels of one nucleus err together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg import registry
from napari_noisyseg.annotation import advice
from napari_noisyseg.annotation.advice import nuclei
from napari_noisyseg.annotation.masks import Judge, judge_rough
from napari_noisyseg.annotation.snapshot import region
from napari_noisyseg.coarse.project import regions
from napari_noisyseg.data.regions import Region
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.instances import middles
from napari_noisyseg.instances.suggest import FEWEST, suggest
from napari_noisyseg.noise import transition
from napari_noisyseg.slides import Box, windows_of
from napari_noisyseg.store.project import Project

F64 = NDArray[np.float64]
Interval = tuple[float, float]

WINDOW_UM = 4.0
"""Half the side of the window in which the density is counted: about a nucleus."""
COVERED = 0.25
"""Share of a nucleus's area that a rough mask must cover to be of it."""
JUDGES = 10
"""Accepted nuclei from which on they, and not likely ones, tell what is missing."""
BOOTSTRAPS = 400
BIAS_WITHIN, MISSING_WITHIN = 0.1, 0.1
"""How closely (µm, share) bias and missing share are wanted."""
START = 20
"""Nuclei to accept first."""
MOST = 200
Z = 1.96


@dataclass(frozen=True, slots=True)
class Worth:
    """What the rough masks of one box of an image are worth.

    density: float32 (h, w), share of nucleus in the window around each pixel. bias_um: median
    distance of the rough outlines from the accepted ones, positive where they lie outside.
    missing: share of nuclei without a rough mask; missing_of: accepted or likely nuclei. matrix:
    (2, 2), [j, i] = p(rough j | true i) around accepted nuclei, 0 background; rank and distance
    (2 keeps all, 0 nothing) are the matrix's. None where nothing is known yet; method: None where
    training would refuse the masks, and `advice` says why.
    """

    image: str
    box: Box
    density: NDArray[np.float32]
    masks: int
    accepted: int
    bias_um: float | None
    bias_interval: Interval | None
    missing: float | None
    missing_interval: Interval | None
    missing_of: str
    matrix: F64 | None
    rank: int | None
    distance: float | None
    distance_interval: Interval | None
    more: int
    method: str | None
    advice: str

    def lines(self) -> list[str]:
        """What is known, a line each."""
        return [line for line in (_bias_words(self), _missing_words(self), _kept(self)) if line]


def worth(project: Project, image: str, box: Box | None = None) -> Worth:
    """Look at the rough masks of an image (or of a box of it) against what was accepted.

    Errors: `NoisySegError` where there is no rough mask, or a large image has no field.
    """
    record = project.image(image)
    if "rough" not in project.nuclei.planes(image):
        raise NoisySegError(
            f"{image} has no rough masks: paint some under Annotate, or import them "
            "(noisyseg import --as rough)"
        )
    box = box or next(iter(regions(project, image)), None)
    if box is None:
        raise NoisySegError(f"{image} is large: draw a field around some rough masks")
    with project.pixels(image) as slide:
        seen = region(project, record, image, box, slide.read(box))
    if not seen.rough.any():
        raise NoisySegError(f"{image}: there is no rough mask in the part that is checked")
    return _judged(project, seen)


def _judged(project: Project, seen: Region) -> Worth:
    recommended = advice.recommend(project)
    shifts = _floats(outline_shifts(seen.rough, seen.clean) * seen.mpp)
    bias, bias_interval = _median(shifts)
    fault = _fault(project, seen, recommended.method)
    missing, missing_interval, judged_by = _missing(seen, search=not fault)
    matrix, distance_interval = _matrix(seen)
    accepted = len(np.unique(seen.clean[seen.clean > 0]))
    more = _more(accepted, bias_interval, missing if judged_by == "accepted" else None)
    return Worth(
        image=seen.image,
        box=seen.box,
        density=density(seen.rough, seen.mpp),
        masks=len(np.unique(seen.rough[seen.rough > 0])),
        accepted=accepted,
        bias_um=bias,
        bias_interval=bias_interval,
        missing=missing,
        missing_interval=missing_interval,
        missing_of=judged_by,
        matrix=matrix,
        rank=None if matrix is None else transition.rank(matrix, tolerance=0.05),
        distance=None if matrix is None else transition.randomization_distance(matrix),
        distance_interval=distance_interval,
        more=more,
        method=None if fault else recommended.method,
        advice=fault or _sentence(recommended, accepted, more),
    )


def _fault(project: Project, seen: Region, method: str) -> str:
    """Why training would refuse these masks, and what to do; "" where it would not."""
    judge = Judge(registry.describe(method).needs)
    try:
        judge_rough(seen)
        judge.looked_at(seen)
        record, *others = project.images()
        if not others and seen.shape == (record.height, record.width):
            judge.verdict()
    except NoisySegError as error:
        return f"These masks cannot be trained on as they are. {error}."
    return ""


def density(rough: NDArray[np.int32], mpp: float) -> NDArray[np.float32]:
    """Share of nucleus in the window around each pixel, float32 (H, W) in 0..1."""
    half = max(1, round(WINDOW_UM / mpp))
    return transition.heat((rough > 0).astype(np.int32), 1, half)


def outline_shifts(rough: NDArray[np.int32], clean: NDArray[np.int32]) -> F64:
    """How far the rough outline of each accepted nucleus lies outside its own, px, (n,).

    Nuclei that no rough mask covers are left out.
    """
    found = []
    margin = 24
    for label, place in windows_of(clean).items():
        window = Box.of_slices(*place).grow(margin).clip(clean.shape).slices
        mine = clean[window] == label
        names = rough[window][mine]
        if (names > 0).mean() < COVERED:
            continue
        values, counts = np.unique(names[names > 0], return_counts=True)
        drawn = rough[window] == values[counts.argmax()]
        found.append(_shift(mine, drawn, (clean[window] > 0) & ~mine))
    return _floats(found)


def _shift(mine: NDArray[np.bool_], drawn: NDArray[np.bool_], others: NDArray[np.bool_]) -> float:
    """Signed distance of one outline from another, the mean of its middle half, px.

    What touches other nuclei says nothing.
    """
    away = ndimage.distance_transform_edt(~mine) - 0.5
    deep = ndimage.distance_transform_edt(mine) - 0.5
    signed = np.where(mine, -deep, away)
    border = drawn & ~ndimage.binary_erosion(drawn, border_value=1)
    free = border & ~ndimage.binary_dilation(others, iterations=2)
    middle = np.sort(signed[free if free.any() else border])
    cut = len(middle) // 4  # the mean of the middle half: few strays, no rounding to whole pixels
    return float(middle[cut : len(middle) - cut].mean() + 0.5)


def _median(values: F64) -> tuple[float | None, Interval | None]:
    if not len(values):
        return None, None
    drawn = np.random.default_rng(0).integers(len(values), size=(BOOTSTRAPS, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), (2.5, 97.5))
    return float(np.median(values)), (float(low), float(high))


def _missing(seen: Region, search: bool) -> tuple[float | None, Interval | None, str]:
    """Share of accepted nuclei without a rough mask; with few, that of likely nuclei.

    search: likely nuclei are looked for. Beside masks that are refused they take a minute and say
    nothing.
    """
    covered = _covered(seen)
    if len(covered) >= JUDGES:
        count = int((~covered).sum())
        return count / len(covered), wilson(count, len(covered)), "accepted"
    count = len(np.unique(seen.rough[seen.rough > 0]))
    if count < FEWEST or not search:
        return None, None, "likely"
    names = np.unique(seen.rough, return_inverse=True)[1].reshape(seen.rough.shape)
    names = names + (0 if (seen.rough == 0).any() else 1)
    places = middles(names.astype(np.int32), count)
    found = suggest(seen.rgb, places[np.isfinite(places).all(axis=1)], seen.mpp).points
    pixels = np.clip(np.floor(found + 0.5).astype(int), 0, np.array(seen.shape) - 1)
    bare = int((seen.rough[tuple(pixels.T)] == 0).sum())
    return bare / (bare + count), wilson(bare, bare + count), "likely"


def _covered(seen: Region) -> NDArray[np.bool_]:
    names = np.unique(seen.clean[seen.clean > 0])
    share = _floats(ndimage.mean(seen.rough > 0, seen.clean, names) if len(names) else [])
    return share >= COVERED


def wilson(count: int, of: int) -> Interval:
    """Wilson's 95 % interval of a share."""
    share, z2 = count / of, Z * Z / of
    middle = (share + z2 / 2) / (1 + z2)
    half = Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _matrix(seen: Region) -> tuple[F64 | None, Interval | None]:
    """The matrix around accepted nuclei, and the interval of its randomization distance."""
    if not seen.clean.any():
        return None, None
    nearest = ndimage.distance_transform_edt(
        seen.clean == 0, return_distances=False, return_indices=True
    )
    known = seen.clean_known | (seen.clean > 0)
    owner = np.unique(seen.clean[tuple(nearest)][known], return_inverse=True)[1]
    cell = (seen.rough[known] > 0) * 2 + (seen.clean[known] > 0)
    counts = np.bincount(owner * 4 + cell, minlength=4 * (owner.max() + 1)).reshape(-1, 2, 2)
    matrix = transition.of_pairs(counts.sum(axis=0).astype(np.float64))
    if np.isnan(matrix).any():
        return None, None
    drawn = np.random.default_rng(0).integers(len(counts), size=(BOOTSTRAPS, len(counts)))
    of_draws = [transition.of_pairs(counts[d].sum(axis=0).astype(np.float64)) for d in drawn]
    low, high = np.nanpercentile(
        [transition.randomization_distance(m) for m in of_draws], (2.5, 97.5)
    )
    return matrix, (float(low), float(high))


def _more(accepted: int, bias: Interval | None, missing: float | None) -> int:
    """How many more accepted nuclei bring the estimates as close as they are wanted."""
    if accepted < JUDGES or bias is None:
        return max(START - accepted, 1)
    wanted = accepted * ((bias[1] - bias[0]) / 2 / BIAS_WITHIN) ** 2
    if missing is not None:
        # a share of 0 or 1 among few is not that certain
        share = (missing * accepted + 2) / (accepted + 4)
        wanted = max(wanted, Z * Z * share * (1 - share) / MISSING_WITHIN**2)
    return max(0, min(math.ceil(wanted), MOST) - accepted)


def _sentence(found: advice.Advice, accepted: int, more: int) -> str:
    start = f"Train with {found.method} ({found.why})"
    if not more:
        return f"{start}; more accepted nuclei would hardly change these figures."
    if accepted < JUDGES:
        return f"{start}; accept {nuclei(more)} to see how far the masks are off."
    return f"{start}; with {nuclei(more, 'more accepted ')} the figures would be reliable."


def _bias_words(seen: Worth) -> str:
    if seen.bias_um is None or seen.bias_interval is None:
        return "Bias of the outlines: not known until nuclei are accepted."
    low, high = seen.bias_interval
    way = "too large" if seen.bias_um > 0 else "too small"
    if abs(seen.bias_um) < 0.1:
        way = "about right"
    return f"Outlines {way}: {seen.bias_um:+.2f} µm ({low:+.2f} to {high:+.2f})."


def _missing_words(seen: Worth) -> str:
    if seen.missing is None or seen.missing_interval is None:
        return "Missing nuclei: too few masks to say."
    low, high = seen.missing_interval
    sure = "of accepted nuclei" if seen.missing_of == "accepted" else "of likely nuclei"
    about = "" if seen.missing_of == "accepted" else "about "
    return f"Without a mask: {about}{seen.missing:.0%} {sure} ({low:.0%} to {high:.0%})."


def _kept(seen: Worth) -> str:
    if seen.distance is None:
        return ""
    words = "rank 2: nucleus and background differ" if seen.rank == 2 else "rank 1: random"
    return f"Distance from random {seen.distance:.2f} of 2 ({words})."


def _floats(values: object) -> F64:
    """Float64 array of what is given."""
    return np.asarray(values, np.float64)
