"""Each of the four docks alone: the panel with one step."""

from __future__ import annotations

from napari.viewer import Viewer

from napari_noisyseg.gui.panel import Panel


class AnnotateAlone(Panel):
    """Points, fields and rough masks."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, ("annotate",))


class CoarseAlone(Panel):
    """Coarse labels from points."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, ("coarse",))


class TrainAlone(Panel):
    """Training in the background."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, ("train",))


class ReviewAlone(Panel):
    """Review nucleus by nucleus."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, ("review",))
