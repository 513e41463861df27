"""From a project's decisions to outlines that follow them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from napari_noisyseg.coarse import belief
from napari_noisyseg.coarse.appearance import (
    MPP,
    appearance,
    crops,
    resized_labels,
    working_shape,
)
from napari_noisyseg.coarse.outline import Look
from napari_noisyseg.coarse.project import points_in, regions
from napari_noisyseg.coarse.starter import (
    OUTLINE,
    Network,
    at_click,
    model_weights,
    packed,
    read_weights,
)
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.points import DROPPED, FOUND_BY_RUN, SUGGESTED
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Nucleus, Outline

if TYPE_CHECKING:
    from napari_noisyseg.learning.starter.adapt import Pick

FAR = 300
"""Undecided nuclei on which it is measured how far outlines moved."""
MEASURED = 600
"""Nuclei that stand, at most, that rejected finds are told from."""
BY_MACHINE = (FOUND_BY_RUN, SUGGESTED, DROPPED)
"""Origins of nuclei that no person has seen first: rejected, there is none. A rejected click may as
well have had a wrong outline, and teaches nothing."""
APART_PX = 8.0
"""Px of 0.25 µm from a nucleus that stands within which a rejected one may be that one twice."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What came of it: whether it is used, from how many nuclei, IoU gained on held-out ones.

    rejected: of how many rejected finds it learned what is no nucleus.
    """

    used: bool
    nuclei: int
    gain: float
    seconds: float
    words: str
    rejected: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def about(self) -> dict[str, Any]:
        """What is kept beside the weights."""
        names = ("nuclei", "rejected", "gain", "words")
        return {name: getattr(self, name) for name in names}


def adapt(project: Project, seed: int = 0) -> Lesson:
    """Learn outlines from accepted and redrawn nuclei, and from rejected finds what is none.

    Used, as one action, only where it helps. Needs the project's lock and torch. Too few or
    contradictory decisions change nothing, and the words say what it waits for.
    """
    lesson, weights = learn(project, seed)
    keep(project, lesson, weights)
    return lesson


def keep(project: Project, lesson: Lesson, weights: bytes, unasked: bool = False) -> None:
    """Use what was learned from now on, where it is to be used; see `LearnedNetworks.keep`."""
    if lesson.used:
        project.learned.keep(OUTLINE, weights, lesson.about(), unasked)


def learn(project: Project, seed: int = 0) -> tuple[Lesson, bytes]:
    """The lesson and, where it is to be used, the weights as a safetensors file; writes nothing."""
    began = time.monotonic()
    picks = _picks(project)
    outlines = _outlines(_present(project), picks, seed)
    weights, words, used = outlines.weights, outlines.words, outlines.used
    rejected = sum(int((~one.standing).sum()) for one in picks.told)
    known = None
    if rejected >= belief.FEWEST:
        known = _belief(picks.told, at_click(Network(OUTLINE, weights)), _right(project))
    if known is not None:
        beside = f"less is found that looks like the {rejected} finds that you rejected"
        words, used = f"{words}; {beside}" if outlines.used else beside, True
    seconds = time.monotonic() - began
    count, taught = len(picks.decided), rejected if known is not None else 0
    lesson = Lesson(used, count, outlines.gain, seconds, words, taught)
    if not used:
        return lesson, b""
    tensors = belief.without(weights) | (known.tensors() if known is not None else {})
    return lesson, packed(tensors, {"network": OUTLINE, **lesson.about()})


class _Outlines(NamedTuple):
    """What the outlines learned: the weights as they are now, in words, and what was gained."""

    weights: Mapping[str, NDArray[np.float32]]
    words: str
    gain: float = 0.0
    used: bool = False


def _outlines(weights: Mapping[str, NDArray[np.float32]], picks: Picks, seed: int) -> _Outlines:
    from napari_noisyseg.learning.starter import adapt as learning
    from napari_noisyseg.nets.half import of_weights

    count = len(picks.decided)
    if count < learning.FEWEST:
        return _Outlines(
            weights,
            f"{count} nuclei with a click are decided: outlines learn from "
            f"{learning.FEWEST} accepted or redrawn ones on",
        )
    found = learning.adapt(weights, picks.decided, seed)
    gain = round(found.after - found.before, 4)
    if not found.better:
        words = (
            f"outlines stay as they are: learning from {count} nuclei did not improve them "
            f"(overlap with yours {found.before:.2f} before, {found.after:.2f} after); "
            "decide on more"
        )
        return _Outlines(weights, words, gain)
    moved = _moved(of_weights(weights), of_weights(found.weights), picks.others)
    return _Outlines(found.weights, f"learned from {count} nuclei{moved}", gain, True)


def _present(project: Project) -> dict[str, NDArray[np.float32]]:
    """The weights in use; damaged ones are passed over, as `look_of` does."""
    learned = project.learned.of(OUTLINE)
    with contextlib.suppress(NoisySegError):
        if learned is not None:
            return read_weights(learned.path)[0]
    return model_weights(OUTLINE)


class Told(NamedTuple):
    """Clicks and rejected finds of a region, (n, 2) px of its planes; standing (n,): the former."""

    planes: Any
    clicks: NDArray[np.float64]
    standing: NDArray[np.bool_]


class Picks(NamedTuple):
    """Clicks whose nucleus is settled, those nobody decided on, and what is no nucleus."""

    decided: list[Pick]
    others: list[Pick]
    told: list[Told]


def _picks(project: Project) -> Picks:
    """Those of every image."""
    found = Picks([], [], [])
    for record in project.images():
        for box in regions(project, record.name):
            decided, others, told = _in_box(project, record.name, box)
            found.decided.extend(decided)
            found.others.extend(others)
            found.told.extend(told)
    return found


def _in_box(project: Project, image: str, box: Box) -> Picks:
    import torch

    from napari_noisyseg.learning.starter.squares import View

    points = points_in(project, image, box)
    settled = {
        nucleus.serial: outline
        for nucleus, outline in project.nuclei.outlines(image, ("accepted", "unreviewed"), box)
        if nucleus.frozen and nucleus.serial in points and not outline.box.intersect(box).empty
    }
    none, refused = _said_none(project, image, box), _refused(project, image, box, settled)
    if not settled and not refused:
        return Picks([], [], [])
    record = project.image(image)
    with project.pixels(image) as slide:
        rgb = slide.read(box)
    labels = np.zeros(box.shape, np.int32)
    for serial, outline in settled.items():
        outline.paste(labels, box, serial)
    standing = {serial: place for serial, place in points.items() if serial not in none}
    places, _ = at_working_size({**standing, **refused}, labels, record.mpp)
    clicks, labels = at_working_size(points, labels, record.mpp)
    planes = torch.from_numpy(appearance(rgb, record.mpp)).half()
    view = View(planes, torch.tensor(labels), clicks, np.array(list(points), np.int64))
    rows = [(view, at) for at in range(len(points))]
    known = [row for row in rows if int(view.serials[row[1]]) in settled]
    others = [row for row in rows if int(view.serials[row[1]]) not in {*settled, *none}]
    return Picks(known, others, [Told(planes, places, np.arange(len(places)) < len(standing))])


def _right(project: Project) -> float:
    """Share of the finds without a decision that are nuclei, as their confidences have it."""
    total = count = 0.0
    for record in project.images():
        clicked = set(project.nuclei.marks(record.name)[0].tolist())
        for piece in project.nuclei.selection(record.name, ("unreviewed",)).in_order():
            for serial, score in zip(piece.serials, piece.scores, strict=True):
                if score is not None and serial not in clicked:
                    total, count = total + score, count + 1
    return total / count if count else 0.5


def _belief(told: list[Told], look: Look, right: float) -> belief.Belief | None:
    """What tells nuclei from rejected finds, where enough is known of both."""
    every = sum(int(one.standing.sum()) for one in told)
    step = max(1, -(-every // MEASURED))
    parts = []
    for planes, clicks, standing in told:
        chosen = np.concatenate([np.flatnonzero(standing)[::step], np.flatnonzero(~standing)])
        seen = planes.float().numpy()
        squares = look(crops(seen, clicks, chosen))
        parts.append((belief.figures(seen, clicks[chosen], squares), standing[chosen]))
    measured, standing = (np.concatenate(part) for part in zip(*parts, strict=True))
    return belief.learned(measured, standing, right)


def _said_none(project: Project, image: str, box: Box) -> set[int]:
    """Serials of what a person rejected."""
    return {n.serial for n in project.nuclei.of(image, box, every=True) if n.state == "rejected"}


def _refused(
    project: Project, image: str, box: Box, settled: dict[int, Outline]
) -> dict[int, tuple[float, float]]:
    """Places in the box, by serial, at which a machine saw a nucleus and a person says none is."""
    every = project.nuclei.of(image, box, every=True)
    found = [n for n in every if n.state == "rejected" and n.origin in BY_MACHINE]
    standing = [n for n in every if n.state != "rejected" and _stands(n)]
    near = APART_PX * MPP / project.image(image).mpp
    if standing and found:
        there, here = (np.array([(n.y, n.x) for n in some]) for some in (standing, found))
        away = np.asarray(KDTree(there).query(here)[0])
        found = [n for n, far in zip(found, away.tolist(), strict=True) if far > near]
    return {
        n.serial: (n.y - box.y0, n.x - box.x0)
        for n in found
        if not any(outline.holds(n.y, n.x) for outline in settled.values())
    }


def _stands(nucleus: Nucleus) -> bool:
    """Whether a person says that there is a nucleus."""
    return nucleus.origin not in (FOUND_BY_RUN, DROPPED) or nucleus.state == "accepted"


def at_working_size(
    points: dict[int, tuple[float, float]], labels: NDArray[np.int32], mpp: float
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Clicks (n, 2) and labels in pixels of `MPP`."""
    shape = working_shape((labels.shape[0], labels.shape[1]), mpp)
    factor = np.array(shape) / np.array(labels.shape)
    clicks = (np.array(list(points.values()), np.float64).reshape(-1, 2) + 0.5) * factor - 0.5
    return np.asarray(clicks, np.float64), resized_labels(labels, shape)


def _moved(before: Any, after: Any, others: list[Pick]) -> str:
    """How far the outlines of undecided nuclei moved, in words."""
    from napari_noisyseg.learning.starter.adapt import masks

    some = others[:: max(1, len(others) // FAR)]
    if not some:
        return ""
    radii = [np.sqrt(masks(net, some).sum(axis=(1, 2)) / np.pi) for net in (before, after)]
    by = float(np.median(radii[1] - radii[0])) * MPP
    if abs(by) < 0.05:
        return ": outlines of the rest changed in shape, not in size"
    return f": outlines of the rest moved {'outwards' if by > 0 else 'inwards'} by {abs(by):.1f} µm"
