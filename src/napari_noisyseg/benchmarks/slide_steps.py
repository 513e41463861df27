"""The steps of `slide-read` and `slide-predict`, each in a process of its own.

`python -m napari_noisyseg.benchmarks.slide_steps STEP WORD...` prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..slides import Box, content_hash, open_image
from ..whole import Plan, Stitched, load_model, make_plan
from ..whole.drive import predict_tiles
from .report import Row
from .sheet import MPP

VIEW = 1024
"""Rows and columns of the first look"""


def memory_mb() -> float:
    """Of this process at its largest."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def read(path: str) -> Row:
    """Open a slide; the coarsest level whole, then a view in the middle of the finest."""
    began = time.perf_counter()
    with open_image(Path(path)) as slide:
        far = np.asarray(slide.levels[-1])
        y, x = (n // 2 for n in slide.shape)
        near = slide.read(Box(y, x, y + VIEW, x + VIEW))
        taken = time.perf_counter() - began
        assert far.any()
        assert near.any()
    return {"open_seconds": taken, "memory_mb": memory_mb()}


def predict(path: str, folder: str, side: str) -> Row:
    """The starter on a whole slide, tiles of `side`; goes on where it was stopped."""
    where, began = Path(folder), time.process_time()
    model = load_model("starter")
    with open_image(Path(path)) as slide:
        kept = where / "slide.tiles" / "plan.json"
        plan = (
            Plan.read(kept)
            if kept.is_file()
            else make_plan(slide, slide.mpp or MPP, content_hash(Path(path)), model, int(side))
        )
        stitched = Stitched(where / "slide.tiles", where / "slide.ome.zarr", plan, "slide")
        predict_tiles(slide, model, stitched, plan.tiles())
        stitched.lay_all()
    return {
        "slide": Path(path).name, "tile": plan.side, "tiles": len(stitched.done),
        "cpu_seconds": time.process_time() - began, "memory_mb": memory_mb(),
    }  # fmt: skip


def speed(path: str, data: str) -> Row:
    """Seconds of the networks alone on tiles in memory over those of the whole pipeline.

    On a CPU the networks have one thread, so that a second core can do the rest.
    """
    from .slide_network import model_of

    model = model_of(Path(data))
    with open_image(Path(path)) as slide, tempfile.TemporaryDirectory() as scratch:
        plan = make_plan(slide, slide.mpp or MPP, "sha", model, 512)
        tiles = list(plan.tiles())
        prepared = [model.prepare(slide, plan, tile) for tile in tiles]
        gathered = [model.gather(model.look(one)) for one in prepared]
        began = time.perf_counter()
        for one, places in zip(prepared, gathered, strict=True):
            model.look(one)
            model.draw(places)
        bare = time.perf_counter() - began
        del prepared, gathered
        stitched = Stitched(Path(scratch) / "t", Path(scratch) / "o.ome.zarr", plan, "o")
        began = time.perf_counter()
        predict_tiles(slide, model, stitched, tiles)
        whole = time.perf_counter() - began
    return {
        "tiles": len(tiles), "network_seconds": bare, "pipeline_seconds": whole,
        "pipeline_share": bare / whole, "device": model.run.device,
    }  # fmt: skip


_STEPS: dict[str, Callable[..., Row]] = {"read": read, "predict": predict, "speed": speed}

if __name__ == "__main__":
    print(json.dumps(_STEPS[sys.argv[1]](*sys.argv[2:])))
