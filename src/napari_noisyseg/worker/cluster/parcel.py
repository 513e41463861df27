"""What a worker needs to predict tiles of a slide: sent once, opened once by each worker."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from napari_noisyseg.coarse.readers import file_of, readers_of
from napari_noisyseg.coarse.starter import CENTRES, OUTLINE
from napari_noisyseg.data.regions import SNAPSHOT
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.regular_file import read_bytes
from napari_noisyseg.slides import Slide, content_hash, open_image
from napari_noisyseg.store import SUFFIX, Project
from napari_noisyseg.whole import Model, Plan, load_trained, nuclei_of_tile
from napari_noisyseg.whole.model import STARTER, Starter

RUN = "model.safetensors"
LARGEST = 8 * 2**30
"""Bytes of a model."""


@dataclass(frozen=True)
class Parcel:
    """A slide, by its path and content, and how it is predicted.

    files: the model's weights by name (`RUN`, or what the starter learned; none as it comes).
    proof: a path and its content, by which a worker knows that it reads the same pixels; None: the
    slide's own.
    """

    path: str
    channel: int | None
    plan: Mapping[str, Any]
    files: Mapping[str, bytes]
    device: str = "auto"
    proof: tuple[str, str] | None = None

    @property
    def proven(self) -> tuple[str, str]:
        """The path to look at, and the content that it must have."""
        return self.proof or (self.path, str(self.plan["sha"]))

    @property
    def key(self) -> str:
        """Of what would have to be opened again."""
        # all of the plan: two may differ in the size of pixels or the tone alone
        about = (self.path, self.channel, self.device, self.proof, json.dumps(dict(self.plan)))
        return hashlib.sha256(repr(about).encode()).hexdigest()


class Opened(NamedTuple):
    """A parcel, opened on a worker."""

    slide: Slide
    plan: Plan
    model: Model


def weights_of(source: str | Path) -> dict[str, bytes]:
    """The files of a model: of a run's folder or model file, `starter`, or a project."""
    if str(source) == STARTER:
        return {}
    path = Path(source)
    if path.suffix == SUFFIX:
        with Project.open(path, write=False) as project:
            found = {name: project.learned.of(name) for name in (OUTLINE, CENTRES)}
            return {n: read_bytes(f.path, LARGEST) for n, f in found.items() if f is not None}
    if not path.is_dir():
        return {RUN: read_bytes(path, LARGEST)}
    taught = {name: path / SNAPSHOT / file_of(name) for name in (OUTLINE, CENTRES)}
    files = {RUN: path / RUN, **{name: file for name, file in taught.items() if file.is_file()}}
    return {name: read_bytes(file, LARGEST) for name, file in files.items()}


def proof_of(slide: Slide, sha: str) -> tuple[str, tuple[str, str]]:
    """Where workers find a project's image, and the path and content by which they know it.

    sha: of a slide. What was copied in lies in a folder to which labels are added, so that its
    pixels alone, which never change, are looked at.
    """
    path = slide.path.absolute()
    if slide.is_pyramid:
        return str(path), (str(path), sha)
    return str(path), (str(path / "0"), content_hash(path / "0"))


async def unreadable(slides: Mapping[str, str]) -> str:
    """Runs on a worker: why it cannot read a slide (path to content); "" where it can read all."""
    doubts = await asyncio.to_thread(lambda: [doubt(path, sha) for path, sha in slides.items()])
    return next((f"{p}: {words}" for p, words in zip(slides, doubts, strict=True) if words), "")


def doubt(path: str, sha: str) -> str:
    """Why a slide of this content cannot be read at this path, here; "" where it can."""
    try:
        found = content_hash(Path(path))
    except (NoisySegError, OSError, ValueError) as error:
        return f"{socket.gethostname()} cannot read it ({error})"
    return "" if found == sha else f"{socket.gethostname()} has another file of that name"


def predict_tile(parcel: Parcel, index: int) -> bytes:
    """Runs on a worker: the nuclei of one tile, as `TileNuclei.to_bytes`."""
    slide, plan, model = _opened(parcel)
    return nuclei_of_tile(slide, model, plan, plan.tile(index)).to_bytes()


_last: dict[str, Opened] = {}


def _opened(parcel: Parcel) -> Opened:
    """Opened, and kept until another slide comes. Raises NoisySegError."""
    if parcel.key not in _last:
        for old in _last.values():
            old.slide.close()
        _last.clear()
        path, content = parcel.proven
        words = doubt(path, content)
        if words:
            raise NoisySegError(f"{path}: {words}")
        plan = Plan.of(parcel.plan)
        model = model_of(parcel)
        if model.key != plan.model:
            raise NoisySegError(
                f"{socket.gethostname()} has other networks than the machine that asks: install "
                "the same version of napari-noisyseg on both"
            )
        slide = open_image(Path(parcel.path), parcel.channel, plan.icc)
        _last[parcel.key] = Opened(slide, plan, model)
    return _last[parcel.key]


def model_of(parcel: Parcel) -> Model:
    """The parcel's model. Raises NoisySegError where its files are damaged."""
    with tempfile.TemporaryDirectory(prefix="noisyseg-") as folder:
        for name in (RUN, OUTLINE, CENTRES):
            if name in parcel.files:
                (Path(folder) / name).write_bytes(parcel.files[name])
        files = {n: Path(folder) / n for n in (OUTLINE, CENTRES) if n in parcel.files}
        readers = readers_of(files)
        key = str(parcel.plan["model"]) if files else ""
        if RUN in parcel.files:
            return load_trained(Path(folder) / RUN, parcel.device, readers, key)
    return Starter(readers, key)
