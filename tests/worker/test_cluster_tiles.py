"""Tiles of a slide on a worker: those of this machine, also where the worker is killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from numpy.typing import NDArray

from napari_noisyseg.benchmarks.machines import Machines
from napari_noisyseg.cli import run
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.slides import content_hash, open_image
from napari_noisyseg.whole import Plan, Stitched, TileNuclei, load_model, make_plan, nuclei_of_tile
from napari_noisyseg.worker.cluster.offers import look
from napari_noisyseg.worker.cluster.parcel import Parcel, _opened, weights_of
from napari_noisyseg.worker.cluster.tiles import predicted_there, read

MODEL = load_model("starter")


@pytest.fixture
def parcel(tmp_path: Path, tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> Parcel:
    """The bundled tissue as a file, in four tiles."""
    path = tmp_path / "slide ü.tif"
    tifffile.imwrite(path, tnbc[0])
    with open_image(path) as slide:
        plan = make_plan(slide, 0.25, content_hash(path), MODEL, 256)
    return Parcel(str(path), None, plan.document(), weights_of("starter"))


def here(parcel: Parcel) -> list[bytes]:
    plan = Plan.of(parcel.plan)
    with open_image(Path(parcel.path)) as slide:
        return [nuclei_of_tile(slide, MODEL, plan, tile).to_bytes() for tile in plan.tiles()]


@pytest.mark.long
def test_a_killed_worker_costs_nothing(parcel: Parcel, cluster: Machines, tmp_path: Path) -> None:
    plan, said = Plan.of(parcel.plan), list[str]()
    stitched = Stitched(tmp_path / "tiles", tmp_path / "o.ome.zarr", plan, "o")
    found: dict[int, TileNuclei] = {}
    for nuclei in predicted_there(cluster.scheduler, parcel, plan.tiles(), say=said.append):
        assert nuclei.index not in found
        if not found:
            psutil.Process(look(cluster.scheduler, "cpu")[0].pid).kill()
        found[nuclei.index] = nuclei
        stitched.add(nuclei)
    assert [found[n].to_bytes() for n in sorted(found)] == here(parcel)
    assert stitched.done == set(found) == {0, 1, 2, 3}
    # the only worker held the model
    assert any("trying again" in words for words in said)


def test_a_worker_takes_no_plan_for_another(parcel: Parcel) -> None:
    other = replace(Plan.of(parcel.plan), mpp=0.5)
    anew = replace(parcel, plan=other.document())
    assert _opened(parcel).plan.mpp == 0.25
    assert _opened(anew).plan.mpp == 0.5
    assert _opened(parcel).plan.mpp == 0.25


def test_a_slide_that_workers_cannot_read_is_told(parcel: Parcel, cluster: Machines) -> None:
    plan = Plan.of(parcel.plan)
    gone = replace(parcel, path=f"{parcel.path}.gone")
    with pytest.raises(NoisySegError, match="the same path"):
        list(predicted_there(cluster.scheduler, gone, plan.tiles()))
    other = replace(parcel, plan={**parcel.plan, "sha": "0" * 64})
    with pytest.raises(NoisySegError, match="another file of that name"):
        list(predicted_there(cluster.scheduler, other, plan.tiles()))


def test_what_is_to_stop_stops(parcel: Parcel, cluster: Machines) -> None:
    plan, found = Plan.of(parcel.plan), list[TileNuclei]()
    tiles = predicted_there(cluster.scheduler, parcel, plan.tiles(), lambda: bool(found))
    for nuclei in tiles:
        found.append(nuclei)
    assert 1 <= len(found) < 4


def test_what_comes_is_checked(parcel: Parcel) -> None:
    empty = TileNuclei(
        3, np.zeros((0, 4), np.int32), [], np.zeros((0, 2)), np.zeros(0, np.float32), []
    )
    assert len(read(3, empty.to_bytes())) == 0
    with pytest.raises(JobError, match="tile 3 for tile 2"):
        read(2, empty.to_bytes())
    for data in (b"", b"PK\x03\x04", empty.to_bytes()[:-40]):
        with pytest.raises(NoisySegError):
            read(3, data)


@pytest.mark.long
def test_the_command_predicts_there_as_here(
    parcel: Parcel, cluster: Machines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", parcel.path, "--model", "starter", "--mpp", "0.25", "--output"]
    there = [*words, str(tmp_path / "there"), "--scheduler"]
    assert run([*there, "tcp://127.0.0.1:9"]) == 2
    assert "does not answer" in capsys.readouterr().err
    assert not (tmp_path / "there").exists()
    assert run([*there, cluster.scheduler.address]) == 0
    labels = tifffile.imread(tmp_path / "there" / "slide ü.tif")
    assert capsys.readouterr().out.strip() == str(tmp_path / "there" / "slide ü.ome.zarr")
    plan = Plan.read(tmp_path / "there" / "slide ü.tiles" / "plan.json")
    assert plan.side == 512
    with open_image(Path(parcel.path)) as slide:
        (nuclei,) = [nuclei_of_tile(slide, MODEL, plan, tile) for tile in plan.tiles()]
    assert len(np.unique(labels)) - 1 == len(nuclei) > 20
