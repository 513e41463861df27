"""What is learned from a project without a training: further nuclei, better outlines."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review.suggestions import Suggestion, keep, suggestions
from napari_noisyseg.store import Project
from napari_noisyseg.worker.lessons import adapting


def suggest(
    project: Project, images: Iterable[str] | None = None, keep_above: float | None = None
) -> list[Suggestion]:
    """Propose places that may be nuclei and have no point yet, the most likely first.

    images: names; None for all. keep_above: suggestions with at least this score (0..1) become
    points, as one action; the project must be open for writing for this.

    Returns suggestions (`.image`, `.y`, `.x` in pixels, `.score`), kept ones included. Raises
    NoisySegError for a large image without a field, and if there is nothing to learn from.
    """
    names = [r.name for r in project.images()] if images is None else list(images)
    found = [place for name in names for place in suggestions(project, name)]
    if keep_above is not None:
        keep(project, [place for place in found if place.score >= keep_above])
    return sorted(found, key=lambda place: -place.score)


def adapt(project: Project, seed: int = 0) -> adapting.Lesson:
    """Let the outlines at clicks learn from at least eight accepted or redrawn nuclei; seconds.

    They also learn from rejected finds (at least eight): `suggest` and `predict` then leave out
    what looks like them. project: open for writing. What was learned is used, as one action, only
    if it fits decisions that were held out better than before. seed: fixes which are held out.

    Returns the lesson (`.used`, `.nuclei`, `.rejected`, `.gain` in IoU, `.words`). Raises
    NoisySegError without torch.
    """
    if find_spec("torch") is None:
        raise NoisySegError("learning needs torch: pip install 'napari-noisyseg[train]'")
    return adapting.adapt(project, seed)
