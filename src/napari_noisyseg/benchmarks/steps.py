"""The loop's steps alone: no choice of best weights, no previews, no checkpoints."""

from __future__ import annotations

from ..data.loader import TrainingData
from ..method import Method, MethodConfig, Progress


def take_steps(method: Method, data: TrainingData, config: MethodConfig, epochs: int) -> int:
    """Train for so many epochs and keep the last weights; how many steps it took."""
    each = data.steps_per_epoch(config.batch_size)
    for epoch in range(epochs):
        for step in range(each):
            done = epoch * each + step
            progress = Progress(epoch, epochs, done, done / (epochs * each))
            if step == 0:
                _revise(method, data, progress)
            method.step(data.batch(epoch, step, config.batch_size), progress)
    return epochs * each


def _revise(method: Method, data: TrainingData, progress: Progress) -> None:
    """The method's labels of an epoch that begins."""
    images = data.images
    found = method.revise(progress, images) if progress.epoch else method.begin(images)
    for revision in list(found):
        data.revise(revision.image, revision.plane, revision.values)
