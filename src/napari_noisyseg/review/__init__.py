"""Nucleus by nucleus: what to look at next and why, and what the decisions so far say."""

from napari_noisyseg.review.agreement import Share, share_above, suggested_confidence
from napari_noisyseg.review.queue import ReviewItem, ReviewProgress, ReviewQueue, accept_above

__all__ = [
    "ReviewItem",
    "ReviewProgress",
    "ReviewQueue",
    "Share",
    "accept_above",
    "share_above",
    "suggested_confidence",
]
