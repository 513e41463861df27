"""From fields in which every nucleus is marked to centres that are found in other images."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse.appearance import MPP, appearance
from napari_noisyseg.coarse.centres import centres
from napari_noisyseg.coarse.project import centres_of, labels_of
from napari_noisyseg.coarse.starter import CENTRES, Network, model_weights, packed, read_weights
from napari_noisyseg.metrics import f1_points
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.lessons.adapting import Lesson, at_working_size

if TYPE_CHECKING:
    from napari_noisyseg.learning.starter.squares import View

FEWEST = 40
"""Nuclei in complete fields from which on anything is learned."""
HELD = 0.25
"""Share of each field, along its longer side, that is kept back to judge by."""
LOOKS = 3
"""Of each field: as it is, and in other stains."""
NEAR_PX = 6.0
"""Px of 0.25 µm within which a centre is that of a click."""
BETTER = 0.005
"""F1 on what was kept back that must be gained."""
REFUSED = -1
"""As in `learning.starter.squares`, which needs torch."""
Pixels = NDArray[np.uint8]


class Field(NamedTuple):
    """Pixels (h, w, 3), labels int32 (h, w) and clicks (n, 2) of a complete field."""

    rgb: Pixels
    labels: NDArray[np.int32]
    clicks: NDArray[np.float64]
    mpp: float

    def part(self, first: bool) -> Field:
        """What is learned from, or what is kept back to judge by."""
        axis = int(np.argmax(self.labels.shape))
        at = round(self.labels.shape[axis] * (1 - HELD))
        cut = np.s_[:at] if first else np.s_[at:]
        where = (cut, np.s_[:]) if axis == 0 else (np.s_[:], cut)
        inside = (self.clicks[:, axis] < at) == first
        shift = np.zeros(2)
        shift[axis] = 0 if first else at
        return Field(self.rgb[where], self.labels[where], self.clicks[inside] - shift, self.mpp)


def learn_places(project: Project, seed: int = 0) -> Lesson:
    """Learn where nuclei lie from complete fields; used, as one action, only where it helps.

    Needs the project's lock and torch, and about two minutes. With too few nuclei nothing changes,
    and the words say what it waits for.
    """
    lesson, weights = learn(project, seed)
    keep(project, lesson, weights)
    return lesson


def keep(project: Project, lesson: Lesson, weights: bytes) -> None:
    """Use what was learned from now on, where it is to be used; one action."""
    if lesson.used:
        project.learned.keep(CENTRES, weights, lesson.about())


def learn(project: Project, seed: int = 0) -> tuple[Lesson, bytes]:
    """The lesson and, where it is to be used, the weights as a safetensors file; writes nothing."""
    from napari_noisyseg.learning.starter import places

    began = time.monotonic()
    fields = complete_fields(project)
    count = sum(len(field.clicks) for field in fields)
    if count < FEWEST:
        words = (
            f"{count} nuclei are marked in complete fields: at least {FEWEST} are needed to learn "
            "where nuclei lie"
        )
        return Lesson(False, count, 0.0, time.monotonic() - began, words), b""
    old = _present(project)
    new = places.learn(old, [v for f in fields for v in _views(f.part(True), seed)], seed=seed)
    kept_back = [field.part(False) for field in fields]
    before, after = (judged(Network(CENTRES, w), kept_back) for w in (old, new))
    gain = round(after - before, 4)
    used = gain >= BETTER
    words = _words(count, before, after, used)
    lesson = Lesson(used, count, gain, time.monotonic() - began, words)
    return lesson, packed(new, {"network": CENTRES, **lesson.about()}) if used else b""


def _words(count: int, before: float, after: float, used: bool) -> str:
    found = f"nuclei kept back are found with F1 {before:.2f}, then {after:.2f}"
    if used:
        return f"learned where nuclei lie from {count} nuclei: {found}"
    return f"{count} marked nuclei do not help yet to find others ({found}): nothing is changed"


def judged(network: Network, fields: list[Field]) -> float:
    """Mean F1 at `NEAR_PX` of the centres found and the clicks, over fields with clicks."""
    scores = []
    for field in fields:
        if len(field.clicks):
            found = centres(field.rgb, field.mpp, network=network).points
            scores.append(f1_points(found, field.clicks, NEAR_PX * MPP / field.mpp))
    return float(np.mean(scores)) if scores else 0.0


def complete_fields(project: Project) -> list[Field]:
    """Every complete field with a click; accepted and drawn outlines stand as they are.

    What was rejected, a click or not, is `REFUSED` there, and so learned to be none.
    """
    found = [
        _field(project, record.name, field.box)
        for record in project.images()
        for field in project.nuclei.fields(record.name)
        if field.complete and project.nuclei.of(record.name, field.box)
    ]
    return [field for field in found if len(field.clicks)]


def _field(project: Project, image: str, box: Box) -> Field:
    made = labels_of(project, image, box, ("outline",))
    labels = project.nuclei.settled(image, box, np.array(made.outlines))
    refused = {n.serial for n in project.nuclei.of(image, box) if n.state == "rejected"}
    for nucleus, outline in project.nuclei.outlines(image, ("rejected",), box):
        refused.add(nucleus.serial)
        outline.paste(labels, box, nucleus.serial, under=True)
    rejected = [(made.outlines == serial) for serial in refused & set(made.places)]
    labels[np.isin(labels, list(refused))] = REFUSED
    for shown in rejected:
        labels[shown & (labels == 0)] = REFUSED
    left = [place for serial, place in made.places.items() if serial not in refused]
    clicks = np.array(left, np.float64).reshape(-1, 2)
    return Field(made.rgb, labels, clicks, project.image(image).mpp)


def _views(field: Field, seed: int) -> list[View]:
    import torch

    from napari_noisyseg.learning.starter.looks import another_look
    from napari_noisyseg.learning.starter.squares import View

    random = np.random.default_rng(seed)
    places = {n: (y, x) for n, (y, x) in enumerate(field.clicks.tolist(), start=1)}
    clicks, labels = at_working_size(places, field.labels, field.mpp)
    found = []
    for look in range(LOOKS):
        rgb = another_look(field.rgb, random) if look else field.rgb
        planes = torch.from_numpy(appearance(rgb, field.mpp)).half()
        found.append(View(planes, torch.tensor(labels), clicks, np.array(list(places), np.int64)))
    return found


def _present(project: Project) -> dict[str, Any]:
    """The weights in use; a damaged file is passed over, as `centres_of` does."""
    learned = project.learned.of(CENTRES)
    if learned is not None and centres_of(project) is not None:
        return read_weights(learned.path)[0]
    return model_weights(CENTRES)
