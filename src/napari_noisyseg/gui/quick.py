"""From layers to layers, without a project: forms that magicgui makes of a function.

The panel keeps what people do; these two are for a quick look, in any napari session.
"""

# no `from __future__ import annotations` here: magicgui makes the forms of the types themselves
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from magicgui import magic_factory
from napari.layers import Image, Points
from napari.qt.threading import FunctionWorker, thread_worker
from napari.types import LayerDataTuple
from napari.utils.notifications import show_error

from napari_noisyseg.api.outlines import outline
from napari_noisyseg.api.predicting import predict
from napari_noisyseg.errors import NoisySegError, in_window
from napari_noisyseg.gui.canvas.lazy import coarser_of
from napari_noisyseg.gui.canvas.tissue import level0

Mpp = Annotated[float, {"min": 0.01, "max": 10.0, "step": 0.05, "label": "µm per pixel"}]

Layers = list[LayerDataTuple]


@magic_factory(call_button="Outline")  # type: ignore[untyped-decorator]
def outline_points(image: Image, points: Points, mpp: Mpp = 0.25) -> FunctionWorker[Layers]:
    """Outline the nucleus at each point of a layer; the outlines are a new labels layer."""
    # points in the pixels of the image, whatever the two layers' scales are
    places = np.array([image.world_to_data(points.data_to_world(p)) for p in points.data])
    return _beside(image, "outlines", lambda: outline(_pixels(image), places, mpp))


@magic_factory(call_button="Find nuclei")  # type: ignore[untyped-decorator]
def find_nuclei(image: Image, mpp: Mpp = 0.25) -> FunctionWorker[Layers]:
    """Find and outline the nuclei of an H&E image in which nobody has clicked."""
    return _beside(image, "nuclei", lambda: predict(_pixels(image), mpp=mpp))


def _pixels(image: Image) -> Any:
    # of a small slide of one level the coarser ones are ours
    if image.multiscale and coarser_of(image) is None:
        raise NoisySegError(f"{image.name} is a slide: open it in the NoisySeg panel")
    return np.asarray(level0(image))


def _beside(image: Image, what: str, work: Callable[[], Any]) -> FunctionWorker[Layers]:
    """A worker in a thread, so that the window stays free; its answer becomes a layer."""
    name = f"{image.name} {what}"
    like = {"name": name, "scale": image.scale[-2:], "translate": image.translate[-2:]}

    @thread_worker(start_thread=True)  # type: ignore[untyped-decorator]
    def labels() -> list[LayerDataTuple]:
        try:
            return [LayerDataTuple((work(), like, "labels"))]
        except NoisySegError as error:
            # told here: a worker that fails trips over itself in napari 0.9
            show_error(in_window(error))
            return []

    made: FunctionWorker[Layers] = labels()
    return made
