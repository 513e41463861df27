"""Cheap annotation to coarse labels."""

from napari_noisyseg.coarse.labels import KINDS, CoarseLabels, Kind, chosen_in, outlines

__all__ = ["KINDS", "CoarseLabels", "Kind", "chosen_in", "outlines"]
