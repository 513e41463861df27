"""What a run is asked to do: one JSON file in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.durable import write_atomically

NAME = "spec.json"
DeviceName = Literal["auto", "cpu", "cuda", "mps"]


class RunSpec(BaseModel):
    """A run's task; everything else it needs lies in its snapshot.

    deadline is the Unix time at which a time budget ends: the command's start plus the budget.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    method: str
    """one of `registry.names()`"""
    config: dict[str, Any] = {}
    """settings that differ from the preset; the preset itself where it was chosen"""
    epochs: Annotated[int | None, Field(ge=1)] = None
    """length of the training; None: the settings' own, or what the time allows"""
    time_budget: Annotated[float | None, Field(gt=0)] = None
    """seconds of wall clock from command to exit"""
    deadline: float | None = None
    """Unix time by which results must be written; None: no limit"""
    device: DeviceName = "auto"
    """where to train"""
    seed: Annotated[int, Field(ge=0)] = 0
    """fixes every random choice"""
    resume: str | None = None
    """run whose checkpoint to go on from"""
    init: str | None = None
    """run, or model file, whose weights to start from; `starter` or `none`: with the networks that
    come with the package or without them (None: as the preset says)"""
    images: list[str] | None = None
    """images to train on; None: every annotated one"""
    threads: Annotated[int | None, Field(ge=1)] = None
    """CPU threads; None: as many as physical cores"""
    everywhere: bool = False
    """also outline nuclei that no point marks, outside fields"""
    yielding: bool = False
    """give way at once to whoever wants to run: set by the window that the run works beside"""
    preview_seconds: Annotated[float, Field(ge=0)] = 4.0
    """time between two previews"""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0
    """time between two checkpoints"""
    scheduler: str | None = None
    """address of the Dask scheduler on whose workers to train; None: here"""
    insecure: bool = False
    """the scheduler may be spoken to without encryption beyond this machine"""


def write_spec(folder: Path, spec: RunSpec, **notes: Any) -> None:
    """Write a run's spec.json atomically; notes are kept beside the fields."""
    write_atomically(folder / NAME, json.dumps({**spec.model_dump(), **notes}, indent=1))


def read_spec(folder: Path) -> RunSpec:
    """The spec of a run's folder; NoisySegError where there is none or it is damaged."""
    path = folder / NAME
    try:
        return RunSpec.model_validate(bounded_json.read_record(path))
    except ValidationError as error:
        raise NoisySegError(f"{path}: not a run's spec ({error.errors()[0]['msg']})") from None
