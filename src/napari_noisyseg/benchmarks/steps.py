"""The loop's steps alone: no choice of best weights, no previews, no checkpoints."""

from __future__ import annotations

from ..data.loader import TrainingData
from ..method import Method, MethodConfig, Progress


def take_steps(
    method: Method,
    data: TrainingData,
    config: MethodConfig,
    epochs: int = 0,
    updates: int = 0,
    each: int = 0,
) -> int:
    """Train and keep the last weights; how many steps it took.

    For so many epochs, or for so many `updates`. each: steps of an epoch, where it is not the
    data's own number.
    """
    each = each or data.steps_per_epoch(config.batch_size)
    total = updates or epochs * each
    for done in range(total):
        epoch, step = divmod(done, each)
        progress = Progress(epoch, -(-total // each), done, done / total)
        if step == 0:
            _revise(method, data, progress)
        method.step(data.batch(epoch, step, config.batch_size), progress)
    return total


def _revise(method: Method, data: TrainingData, progress: Progress) -> None:
    """The method's labels of an epoch that begins."""
    images = data.images
    found = method.revise(progress, images) if progress.epoch else method.begin(images)
    for revision in list(found):
        data.revise(revision.image, revision.plane, revision.values)
