"""What a training leaves behind, made without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.regions import region_of, save_regions
from ...events import Finished, Previewed, Started, Stepped, Validated
from ...store import rounds
from ...store.runs import Run
from ...store.spec import RunSpec, write_spec

TINY: dict[str, Any] = {"preset": "small", "width": 4, "tile": 64, "tile_overlap": 0, "crop": 48}
METHOD = "supervised"


def write_model(path: Path) -> Path:
    """The smallest model that a run saves."""
    from ... import registry
    from ...training.model import ModelFile
    from ...training.model import write_model as write

    kind: Any = registry.load(METHOD)
    config = kind.Config(**TINY)
    method = kind(config, "cpu", 0)
    write(path, ModelFile(METHOD, config.model_dump(), config.working_mpp), method.weights())
    return path


def write_checkpoint(folder: Path) -> Path:
    """A run's folder of checkpoints."""
    import torch

    from ...training.checkpoint import Checkpoint, Position, save

    state = {"step": 3, "nested": [1, (2.5, None), {"w": torch.ones(2, 2)}]}
    planes = {(0, "pseudo"): np.full((4, 4), 0.5, np.float16)}
    random = {"cpu": torch.get_rng_state()}
    for step in (1, 2):
        position = Position(step=step, epoch=1, epochs=2)
        save(folder, Checkpoint(position, state, {"w": torch.zeros(3)}, planes, random))
    return folder


def write_run(folder: Path, image: str, rgb: NDArray[np.uint8], ids: NDArray[np.int32]) -> Path:
    """The folder of a run that has finished and was not taken in yet."""
    folder.mkdir(exist_ok=True, parents=True)
    write_spec(folder, RunSpec(method=METHOD, config=TINY), created=1.0)
    (folder / "settings.json").write_text(json.dumps(TINY))
    record = {"pid": 2**22 + 1, "started": 1.0, "host": "elsewhere"}
    (folder / "worker.json").write_text(json.dumps(record))
    (folder / "heartbeat").touch()
    run = Run(folder)
    for event in (
        Started(METHOD, 2, 1, "cpu", "a note"),
        Stepped(0, 1, 2, {"total": 0.5}, 3.0),
        Previewed(image, "previews/000001.npz", 0),
        Validated(0, {"total": 0.4}, True),
        Finished(False, 2.5, {"nuclei": 3.0}, ("results/0.npz",)),
    ):
        run.say(event)
    save_regions(folder / "snapshot", [region_of(rgb, 0.25, image, rough=ids)], version=1)
    _write_results(folder / "results", image, ids)
    maps = {
        name: np.full(ids.shape, value, np.float32)
        for name, value in {
            "before": 0, "after": 1, "loss": 0.5, "vote": 0.6, "rank": 0.7, "taken": 1
        }.items()
    }  # fmt: skip
    rounds.keep(folder, 1, 1, image, maps)
    return folder


def _write_results(folder: Path, image: str, ids: NDArray[np.int32]) -> None:
    folder.mkdir()
    maps = {name: np.full(ids.shape, 0.5, np.float16) for name in ("probability", "uncertainty")}
    np.savez(folder / "0.npz", labels=ids, **maps)  # type: ignore[arg-type]
    rows = [
        {
            "label": int(n), "serial": 0, "y": 5.0, "x": 5.0, "score": 0.75,
            "reason": "the edge is faint", "area_um2": 20.0,
        }
        for n in np.unique(ids)[1:]
    ]  # fmt: skip
    entry = {
        "file": "0.npz", "name": image, "image": image, "box": [0, 0, *ids.shape], "mpp": 0.25,
        "candidates": rows,
    }  # fmt: skip
    (folder / "index.json").write_text(json.dumps({"method": METHOD, "regions": [entry]}))
