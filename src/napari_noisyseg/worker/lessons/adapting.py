"""From a project's decisions to outlines that follow them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse.appearance import MPP, appearance, resized_labels, working_shape
from napari_noisyseg.coarse.project import points_in, regions
from napari_noisyseg.coarse.starter import OUTLINE, model_weights, packed, read_weights
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project

if TYPE_CHECKING:
    from napari_noisyseg.learning.starter.adapt import Pick

FAR = 300
"""Undecided nuclei on which it is measured how far outlines moved."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What came of it: whether it is used, from how many nuclei, IoU gained on held-out ones."""

    used: bool
    nuclei: int
    gain: float
    seconds: float
    words: str

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def about(self) -> dict[str, Any]:
        """What is kept beside the weights."""
        return {"nuclei": self.nuclei, "gain": self.gain, "words": self.words}


def adapt(project: Project, seed: int = 0) -> Lesson:
    """Learn outlines from accepted and redrawn nuclei; used, as one action, only where it helps.

    Needs the project's lock and torch. Too few or contradictory decisions change nothing, and the
    words say what it waits for.
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
    from napari_noisyseg.learning.starter import adapt as learning
    from napari_noisyseg.nets.half import of_weights

    began = time.monotonic()
    decided, others = _picks(project)
    if len(decided) < learning.FEWEST:
        words = (
            f"{len(decided)} nuclei with a click are decided: outlines learn from "
            f"{learning.FEWEST} accepted or redrawn ones on"
        )
        return Lesson(False, len(decided), 0.0, time.monotonic() - began, words), b""
    weights = _present(project)
    found = learning.adapt(weights, decided, seed)
    if found.better:
        moved = _moved(of_weights(weights), of_weights(found.weights), others)
        words = f"learned from {len(decided)} nuclei{moved}"
    else:
        words = (
            f"learning from {len(decided)} decided nuclei does not help yet on those held out (IoU "
            f"{found.before:.2f}, then {found.after:.2f}): the outlines stay; decide on more"
        )
    gain = round(found.after - found.before, 4)
    lesson = Lesson(found.better, len(decided), gain, time.monotonic() - began, words)
    if not lesson.used:
        return lesson, b""
    return lesson, packed(found.weights, {"network": OUTLINE, **lesson.about()})


def _present(project: Project) -> dict[str, NDArray[np.float32]]:
    """The weights in use; damaged ones are passed over, as `look_of` does."""
    learned = project.learned.of(OUTLINE)
    with contextlib.suppress(NoisySegError):
        if learned is not None:
            return read_weights(learned.path)[0]
    return model_weights(OUTLINE)


def _picks(project: Project) -> tuple[list[Pick], list[Pick]]:
    """Clicks whose nucleus is settled, and the others, of every image."""
    decided: list[Pick] = []
    others: list[Pick] = []
    for record in project.images():
        for box in regions(project, record.name):
            known, open_ = _in_box(project, record.name, box)
            decided += known
            others += open_
    return decided, others


def _in_box(project: Project, image: str, box: Box) -> tuple[list[Pick], list[Pick]]:
    import torch

    from napari_noisyseg.learning.starter.squares import View

    points = points_in(project, image, box)
    settled = {
        nucleus.serial: outline
        for nucleus, outline in project.nuclei.outlines(image, ("accepted", "unreviewed"), box)
        if nucleus.frozen and nucleus.serial in points and not outline.box.intersect(box).empty
    }
    if not settled:
        return [], []
    record = project.image(image)
    with project.pixels(image) as slide:
        rgb = slide.read(box)
    labels = np.zeros(box.shape, np.int32)
    for serial, outline in settled.items():
        outline.paste(labels, box, serial)
    clicks, labels = at_working_size(points, labels, record.mpp)
    view = View(
        torch.from_numpy(appearance(rgb, record.mpp)).half(), torch.tensor(labels), clicks,
        np.array(list(points), np.int64),
    )  # fmt: skip
    rows = [(view, at) for at in range(len(points))]
    known = [row for row in rows if int(view.serials[row[1]]) in settled]
    return known, [row for row in rows if int(view.serials[row[1]]) not in settled]


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
