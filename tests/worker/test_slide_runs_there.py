"""“Find nuclei” with its tiles shared out among workers, and here where none is left."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_noisyseg.benchmarks.machines import Machines, end, machines
from napari_noisyseg.errors import NoisySegError, in_window, names_command
from napari_noisyseg.events import Event, Finished, Started, Stepped, Warned
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.child.slide import predict_slides
from napari_noisyseg.worker.cluster import either
from napari_noisyseg.worker.parent import client
from napari_noisyseg.worker.parent.slides import resume_slides, start_slides

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]
NOBODY = "tcp://127.0.0.1:9"


@pytest.fixture
def project(tmp_path: Path, tnbc: Tissue) -> Iterator[Project]:
    """The same field twice, four tiles each: linked as a slide, and copied in."""
    path = tmp_path / "slide.tif"
    options = {"tile": (128, 128), "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(tnbc[0], subifds=1, **options)
        file.write(tnbc[0][::2, ::2], subfiletype=1, **options)
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_image(path, "linked", 0.25)
        made.add_array(tnbc[0], "copied", 0.25)
        yield made


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """No child: the test does its work itself."""
    for name in ("launch", "launch_again"):
        monkeypatch.setattr(f"napari_noisyseg.worker.parent.slides.{name}", lambda run: None)
    monkeypatch.setattr("napari_noisyseg.whole.model.Starter.side", 256)


def works(run: Run) -> Iterator[Event]:
    """The child's work, event by event."""
    for event in predict_slides(run.dir, lambda: run.stop_requested):
        run.say(event)
        yield event
    (run.dir / "worker.json").unlink(missing_ok=True)


def tiles(run: Run) -> dict[str, bytes]:
    return {
        p.relative_to(run.dir).as_posix(): p.read_bytes()
        for p in sorted((run.dir / "slides").glob("*/tiles/*.npz"))
    }


def warned(run: Run) -> list[str]:
    return [event.message for event in run.said() if isinstance(event, Warned)]


@pytest.mark.long
def test_workers_find_what_is_found_here(
    project: Project, cluster: Machines, by_hand: None
) -> None:
    regions = {"linked": None, "copied": None}
    here = start_slides(project, regions)
    assert isinstance(list(works(here))[-1], Finished)
    wanted = tiles(here)
    assert len(wanted) == 8
    shutil.rmtree(here.dir)
    run = start_slides(project, regions, scheduler=f" {cluster.scheduler.address} ")
    assert run.spec()["scheduler"] == cluster.scheduler.address
    said = list(works(run))
    assert isinstance(said[0], Started)
    assert cluster.scheduler.address in said[0].note
    assert tiles(run) == wanted
    assert warned(run) == []
    assert adopt_finished(project) == [run.id]
    assert len(project.nuclei.candidates("linked")) == len(project.nuclei.candidates("copied")) > 20


def test_stopped_there_and_gone_on_with_here(
    project: Project, cluster: Machines, by_hand: None
) -> None:
    run = start_slides(project, {"linked": None}, scheduler=cluster.scheduler.address)
    for event in works(run):
        if isinstance(event, Stepped):
            run.request_stop()
    assert isinstance(event, Finished)
    assert event.stopped
    some = tiles(run)
    assert 1 <= len(some) < 4
    assert resume_slides(project, run, "cpu").id == run.id
    assert run.spec()["scheduler"] is None
    assert not list(works(run))[-1].stopped  # type: ignore[union-attr]
    assert some.items() <= tiles(run).items()
    assert len(tiles(run)) == 4


@pytest.mark.long
def test_what_cannot_be_done_there_is_said_first(
    project: Project, cluster: Machines, by_hand: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address, words in (
        (NOBODY, "does not answer"),
        ("tcp://10.0.0.5:8786", "not encrypted"),
        ("http://x", "no scheduler's address"),
    ):
        with pytest.raises(NoisySegError, match=words):
            start_slides(project, {"linked": None}, scheduler=address)
    monkeypatch.setattr(
        "napari_noisyseg.worker.cluster.parcel.proof_of",
        lambda slide, sha: (str(slide.path), (f"{slide.path}.only-here", sha)),
    )
    with pytest.raises(NoisySegError, match="the same path") as caught:
        start_slides(project, {"linked": None}, scheduler=cluster.scheduler.address)
    words = in_window(caught.value)
    assert "Run on another machine" in words
    assert not names_command(words)
    assert project.runs.list() == []


@pytest.mark.long
def test_a_scheduler_that_is_gone_costs_nothing(
    project: Project, by_hand: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there when it was asked, and answers no more: the tiles are done here."""
    monkeypatch.setattr(either, "PATIENCE", 0.2)
    monkeypatch.setattr("napari_noisyseg.worker.cluster.tiles.check_workers", lambda *words: None)
    run = start_slides(project, {"linked": None}, scheduler=NOBODY)
    assert isinstance(list(works(run))[-1], Finished)
    assert len(tiles(run)) == 4
    (words,) = warned(run)
    assert "4 tiles are left, done on this computer" in words


@pytest.mark.slow
def test_a_scheduler_that_is_lost_and_returns(
    project: Project, by_hand: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost after the first tile: the second is done here, then another one listens there again."""
    monkeypatch.setattr(either, "PATIENCE", 0.2)
    monkeypatch.setattr(either, "LOOKS", 0.2)
    with machines(1) as first:
        address = first.scheduler.address
        run = start_slides(project, {"linked": None, "copied": None}, scheduler=address)
        work = works(run)
        while not isinstance(next(work), Stepped):
            pass
        end(first.process)
        first.end()
    while not warned(run):
        next(work)
    with machines(1, port=int(address.rpartition(":")[2])) as second:
        assert second.scheduler.address == address
        assert isinstance(list(work)[-1], Finished)
        assert any("is back" in words for words in warned(run))
    assert len(tiles(run)) == 8


@pytest.mark.slow
def test_the_child_does_it(project: Project, cluster: Machines) -> None:
    run = start_slides(project, {"linked": None}, scheduler=cluster.scheduler.address)
    limit = time.monotonic() + 120
    while client.is_alive(run) and time.monotonic() < limit:
        time.sleep(0.1)
    assert run.state() == "finished", (run.dir / "log.txt").read_text()
    assert adopt_finished(project) == [run.id]
