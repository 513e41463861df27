"""`cluster`: two workers against one, a worker killed, over tls://, and a training elsewhere.

Everything runs on this machine: a scheduler and workers of one thread each, as processes. Seconds
mean something only where nothing else wants the processor; CPU seconds nearly always.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import tifffile
from numpy.typing import NDArray

from ..errors import JobError
from ..events import Failed
from ..slides import Box, content_hash, open_image
from ..store import Project
from ..store.arrays import open_array
from ..store.spec import RunSpec
from ..whole import Plan, Stitched, TileNuclei, load_model, make_plan
from ..worker.adoption.found import read_results
from ..worker.cluster.offers import look
from ..worker.cluster.parcel import Parcel
from ..worker.cluster.tiles import predicted_there
from ..worker.parent import client
from .machines import Machines, machines
from .report import Report
from .tissue import fields, inner_points

MPP, SIDE = 0.25, 512
ACROSS, DOWN = 2, 3
WARM = 2
"""Tiles of each worker before the clock runs: it loads the networks with the first."""
TINY = {
    "preset": "small", "width": 16, "color_width": 2, "tile": 64, "tile_overlap": 0, "crop": 48,
    "batch_size": 2,
}  # fmt: skip
CROP, EPOCHS = 256, 3


@dataclass
class Timed:
    """One pass over a slide. home, scheduler: CPU seconds; sent: bytes of nuclei that came."""

    seconds: float
    home: float
    scheduler: float
    tiles: int
    sent: int
    labels: NDArray[np.int32] = field(repr=False)

    def row(self, name: str) -> dict[str, object]:
        """Of the table."""
        return {
            "pass": name, "tiles": self.tiles, "seconds": self.seconds,
            "tiles_per_second": self.tiles / self.seconds,
            "home_cpu_ms_per_tile": 1000 * self.home / self.tiles,
            "scheduler_cpu_ms_per_tile": 1000 * self.scheduler / self.tiles,
            "bytes_per_tile": self.sent / self.tiles,
        }  # fmt: skip


def run(data: Path, full: bool) -> Report:
    """Six fields of real tissue side by side as a slide; with `full` eight times as many."""
    with tempfile.TemporaryDirectory(prefix="noisyseg-") as name:
        folder = Path(name)
        parcel = _slide(data, folder, 8 if full else 1)
        passes = _passes(folder, parcel)
        remote = _trained(data, folder)
    one, two = passes["one worker"], passes["two workers"]
    figures = {
        "two_over_one": one.seconds / two.seconds,
        "lost_difference": _difference(two, passes["one of two killed"]),
        "tls_difference": _difference(two, passes["two workers, tls"]),
        "remote_difference": remote,
    }
    return Report("cluster", figures, [found.row(name) for name, found in passes.items()])


def _slide(data: Path, folder: Path, times: int) -> Parcel:
    """Fields of MoNuSeg as one tiled TIFF, `times` of six fields below each other."""
    tissue = [f.rgb() for f in fields(data, "monuseg")[: ACROSS * DOWN]]
    rows = [np.concatenate(tissue[n : n + ACROSS], axis=1) for n in range(0, len(tissue), ACROSS)]
    path = folder / "slide.tif"
    tifffile.imwrite(path, np.concatenate(rows * times), tile=(256, 256), compression="zlib")
    with open_image(path) as slide:
        plan = make_plan(slide, MPP, content_hash(path), load_model("starter"), SIDE)
    return Parcel(str(path), None, plan.document(), {})


def _passes(folder: Path, parcel: Parcel) -> dict[str, Timed]:
    found: dict[str, Timed] = {}
    with machines(1) as made:
        _warm(made, parcel, 1)
        found["one worker"] = _pass(made, parcel, folder / "one")
        made.add(1)
        _warm(made, parcel, 2)
        found["two workers"] = _pass(made, parcel, folder / "two")
        found["one of two killed"] = _pass(made, parcel, folder / "killed", kill=True)
    with machines(2, encrypted=True) as made:
        _warm(made, parcel, 2)
        found["two workers, tls"] = _pass(made, parcel, folder / "tls")
    return found


def _warm(made: Machines, parcel: Parcel, workers: int) -> None:
    tiles = list(Plan.of(parcel.plan).tiles())[: WARM * workers]
    for _ in predicted_there(made.scheduler, parcel, tiles):
        pass


def _pass(made: Machines, parcel: Parcel, folder: Path, kill: bool = False) -> Timed:
    plan, sent, count = Plan.of(parcel.plan), 0, 0
    stitched = Stitched(folder / "tiles", folder / "labels.ome.zarr", plan, "slide")
    watched = psutil.Process(made.process.pid)
    before, home, began = _cpu(watched), time.process_time(), time.perf_counter()
    for nuclei in _found(made, parcel, plan, kill):
        stitched.add(nuclei)
        sent, count = sent + len(nuclei.to_bytes()), count + 1
    seconds = time.perf_counter() - began
    home, scheduler = time.process_time() - home, _cpu(watched) - before
    labels = np.asarray(open_array(stitched.labels, 0, "r")[:], np.int32)
    return Timed(seconds, home, scheduler, count, sent, labels)


def _found(made: Machines, parcel: Parcel, plan: Plan, kill: bool) -> Iterator[TileNuclei]:
    """The tiles; where asked, a worker is killed at a third of them."""
    tiles = list(plan.tiles())
    for k, nuclei in enumerate(predicted_there(made.scheduler, parcel, tiles), start=1):
        if kill and k == len(tiles) // 3:
            psutil.Process(look(made.scheduler, "cpu")[0].pid).kill()
        yield nuclei


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _difference(one: Timed, other: Timed) -> float:
    """Share of the nuclei's pixels that differ."""
    nuclei = (one.labels > 0) | (other.labels > 0)
    return float((one.labels != other.labels).sum() / max(1, nuclei.sum()))


def _trained(data: Path, folder: Path) -> float:
    """The same short training here and on a worker: the share of pixels that differ."""
    found = fields(data, "monuseg")[0]
    rgb, truth = found.rgb()[:CROP, :CROP], found.truth()[:CROP, :CROP]
    spec = RunSpec(method="scnet", config=TINY, epochs=EPOCHS, device="cpu", threads=1)
    with machines(1) as made, Project.create(folder / "case.noisyseg") as project:
        project.add_array(rgb, "tissue", found.mpp)
        project.nuclei.add_many("tissue", inner_points(truth))
        project.nuclei.add_field("tissue", Box(0, 0, CROP, CROP))
        there = spec.model_copy(update={"scheduler": made.scheduler.address})
        labels = [_labels(project, each) for each in (spec, there)]
    nuclei = (labels[0] > 0) | (labels[1] > 0)
    return float((labels[0] != labels[1]).sum() / max(1, nuclei.sum()))


def _labels(project: Project, spec: RunSpec) -> NDArray[np.int32]:
    run = client.start(project, spec)
    while client.is_alive(run):
        time.sleep(0.2)
    if run.state() != "finished":
        said = [event.message for event in run.events() if isinstance(event, Failed)]
        raise JobError(f"the training {run.id} is {run.state()}: {' '.join(said)}")
    return read_results(run.dir)[0].labels
