"""What each round of training, and each minute of review, bought: on decisions held out.

A decision that was made after a run had begun is held out for that run: nothing of it was learned.
A run's nuclei are compared with all such decisions of now, and the run before with the same ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review.audit import RIGHT
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline, Verdict
from napari_noisyseg.store.verdicts import overlap
from napari_noisyseg.worker.adoption.found import CLICKS

LONGEST = 120_000
"""ms that one look counts at most: who goes for coffee reviews nothing meanwhile"""


@dataclass(frozen=True, slots=True)
class Round:
    """One run in the order of the rounds; None where nothing can be said.

    looks, minutes: spent since the round before. decisions: held out for both rounds. right_before,
    right: shares of them that each round had right. per_minute: gain for each minute.
    """

    number: int
    run: str
    method: str
    looks: int
    minutes: float
    decisions: int
    right_before: float | None
    right: float | None
    gain: float | None
    per_minute: float | None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def rounds(project: Project) -> list[Round]:
    """Every round whose nuclei came into the project, the outlines at clicks being the first."""
    begun = _begun(project)
    said = [v for v in project.nuclei.verdicts(ways=("queue", "audit")) if v.agreed is not None]
    truths = _truths(project, said)
    found: list[Round] = []
    before, since = "", 0.0
    for number, (at, run, method) in enumerate(begun, start=1):
        spent = [v for v in said if since <= v.time < at]
        held = [v for v in said if v.time >= at and v.id in truths]
        right = _right(project, run, held, truths)
        earlier = _right(project, before, held, truths) if before else None
        minutes = sum(min(v.ms or 0, LONGEST) for v in spent) / 60_000
        gain = None if right is None or earlier is None else round(right - earlier, 4)
        per = round(gain / minutes, 4) if gain is not None and minutes > 0 else None
        found.append(
            Round(number, run, method, len(spent), round(minutes, 2), len(held), earlier, right,
                  gain, per)
        )  # fmt: skip
        before, since = run, at
    return found


def _begun(project: Project) -> list[tuple[float, str, str]]:
    """(Unix seconds, run, method) of every round adopted, the first first."""
    begun = []
    for run, adopted in project.nuclei.adopted().items():
        if run == CLICKS:
            begun.append((adopted, run, "outline"))
            continue
        try:
            folder = project.runs.get(run)
            begun.append((float(folder.created), run, str(folder.spec().get("method", ""))))
        except NoisySegError:
            begun.append((adopted, run, ""))
    return sorted(begun)


def _truths(project: Project, said: list[Verdict]) -> dict[str, Outline | None]:
    """What stands of each decided nucleus: its outline, or None for a rejected one."""
    found: dict[str, Outline | None] = {v.id: None for v in said if v.state == "rejected"}
    for image in {v.image for v in said}:
        for nucleus, outline in project.nuclei.outlines(image):
            found[nucleus.id] = outline
    return {v.id: found[v.id] for v in said if v.id in found}


def _right(
    project: Project, run: str, held: list[Verdict], truths: dict[str, Outline | None]
) -> float | None:
    """Share of held-out decisions that a run agrees with: found as accepted, or rightly not."""
    if not held:
        return None
    made: dict[str, Outline] = {}
    for image in {v.image for v in held}:
        made |= project.nuclei.of_run(image, run, [v.id for v in held if v.image == image])
    good = 0
    for verdict in held:
        truth, outline = truths[verdict.id], made.get(verdict.id)
        if truth is None:
            good += outline is None
        else:
            good += outline is not None and overlap(outline, truth) >= RIGHT
    return round(good / len(held), 4)
