"""Cheap annotation to coarse labels."""

from napari_noisyseg.coarse.labels import KINDS, CoarseLabels, Kind, outlines

__all__ = ["KINDS", "CoarseLabels", "Kind", "outlines"]
