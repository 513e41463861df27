"""Cheap annotation to coarse labels."""

from napari_noisyseg.coarse.labels import KINDS, CoarseLabels, Kind

__all__ = ["KINDS", "CoarseLabels", "Kind"]
