"""What changed, in one type: everybody who shows something listens to this and to nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from napari_noisyseg.store.records import Aspect


class What(IntFlag):
    """What a change touched. The first ten are the project's own (`store.records.Aspect`)."""

    NOTHING = 0
    POINTS = Aspect.POINTS
    FIELDS = Aspect.FIELDS
    ROUGH = Aspect.ROUGH
    OUTLINES = Aspect.OUTLINES
    DECISIONS = Aspect.DECISIONS
    CLASSES = Aspect.CLASSES
    IMAGES = Aspect.IMAGES
    CANDIDATES = Aspect.CANDIDATES
    LEARNED = Aspect.LEARNED
    COMMENTS = Aspect.COMMENTS
    PROJECT = 1 << 10
    """another project, or none, is open"""
    IMAGE = 1 << 11
    """another image is in front, or none"""
    VIEW = 1 << 12
    """another step, tool or toggle"""
    LABELS = 1 << 13
    """coarse labels were made or written"""
    RUNS = 1 << 14
    """a run was started, stopped or ended"""
    LAYERS = 1 << 15
    """somebody else's layers came or went"""


ANNOTATION = What.POINTS | What.FIELDS | What.ROUGH | What.OUTLINES | What.DECISIONS
ANNOTATION |= What.CLASSES | What.IMAGES | What.CANDIDATES | What.LEARNED | What.COMMENTS
"""everything that the project's journal tells of"""
FRONT = What.PROJECT | What.IMAGE
"""something else is in front"""
ANY = ~What.NOTHING


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `image` is the image it was in, None where it concerns any."""

    what: What
    image: str | None = None

    def concerns(self, image: str | None) -> bool:
        """Whether an image is touched."""
        return self.image is None or self.image == image
