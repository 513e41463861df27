"""Trainings on a worker of a real scheduler on this machine."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from tiny_runs import end, finished, spec, wait

from napari_noisyseg.benchmarks.machines import Machines, machines
from napari_noisyseg.cli import run as command
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Checkpointed, Event, Failed, Finished, Previewed, Stepped, Warned
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.adoption.found import read_results
from napari_noisyseg.worker.cluster.connect import connected
from napari_noisyseg.worker.cluster.far import ROOT
from napari_noisyseg.worker.cluster.offers import look
from napari_noisyseg.worker.parent import client


def steps(events: list[Event]) -> list[Stepped]:
    return [event for event in events if isinstance(event, Stepped)]


def scratch_of(cluster: Machines) -> list[str]:
    with connected(cluster.scheduler) as found:
        told = found.run(lambda dask_worker: dask_worker.local_directory)
    return [str(path) for root in told.values() for path in (Path(root) / ROOT).glob("*/*")]


@pytest.mark.long
def test_a_run_elsewhere_is_the_run_here(project: Project, cluster: Machines) -> None:
    # a length in seconds would make two runs of different numbers of steps
    same = spec(checkpoint_seconds=0, preview_seconds=0)
    here = client.start(project, same)
    known = wait(here, finished)
    there = client.start(project, same.model_copy(update={"scheduler": cluster.scheduler.address}))
    events = wait(there, finished)
    assert steps(events) == [
        # of time left, which no two runs agree on, nothing is asked
        event.__class__(e.epoch, e.step, e.epochs, e.losses, event.seconds_left)
        for e, event in zip(steps(known), steps(events), strict=True)
    ]
    assert {Previewed, Checkpointed, Finished} <= {type(event) for event in events}
    for one, other in zip(read_results(here.dir), read_results(there.dir), strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        for column, same_column in zip(one.rows, other.rows, strict=True):
            np.testing.assert_array_equal(column, same_column)
    # when there is one hangs on the clock; the last stands at the end of both
    first, second = (sorted((r.dir / "checkpoints").iterdir()) for r in (here, there))
    assert first[-1].name == second[-1].name
    assert len(second) <= 2
    assert not list(there.dir.glob(".*"))
    end(there)
    assert there.state() == "finished"
    assert adopt_finished(project) == [here.id, there.id]
    assert scratch_of(cluster) == []


@pytest.mark.long
def test_a_run_elsewhere_stops_and_resumes_here(project: Project, cluster: Machines) -> None:
    order = spec(epochs=4000, scheduler=cluster.scheduler.address)
    run = client.start(project, order)
    wait(run, steps)
    client.stop(run)
    final = wait(run, finished)[-1]
    assert isinstance(final, Finished)
    assert final.stopped
    last = steps(run.events())[-1].step
    again = client.start(project, spec(epochs=4000, resume=run.id))
    assert steps(wait(again, steps))[0].step == last + 1
    end(again)


@pytest.mark.slow
def test_a_killed_worker_is_outlived(project: Project, cluster: Machines) -> None:
    order = spec(epochs=15, checkpoint_seconds=0.3, scheduler=cluster.scheduler.address)
    run = client.start(project, order)
    wait(run, lambda e: any(isinstance(event, Checkpointed) for event in e))
    (offer,) = look(cluster.scheduler, "cpu")
    (child,) = [
        p for p in psutil.process_iter(["cmdline"]) if ROOT in " ".join(p.info["cmdline"] or ())
    ]
    psutil.Process(offer.pid).kill()
    events = wait(run, finished)
    with contextlib.suppress(psutil.NoSuchProcess):
        child.wait(10)
    assert not child.is_running()
    words = [event.message for event in events if isinstance(event, Warned)]
    assert any("from step" in message for message in words), words
    # no step is missing, and what was done twice came to the same
    by_step: dict[int, dict[str, float]] = {}
    for event in steps(events):
        assert by_step.setdefault(event.step, event.losses) == event.losses
    assert sorted(by_step) == list(range(1, max(by_step) + 1))
    assert read_results(run.dir)


@pytest.mark.long
def test_what_breaks_there_is_told_here(project: Project, cluster: Machines) -> None:
    order = spec(scheduler=cluster.scheduler.address)
    with project.runs.making() as run:
        (run.dir / "snapshot").mkdir()
        (run.dir / "snapshot" / "index.json").write_text('{"regions": 3}', "utf-8")
        (run.dir / "spec.json").write_text(json.dumps(order.model_dump()), "utf-8")
    client.launch(run)
    events = wait(run, lambda e: e and isinstance(e[-1], Failed))
    assert "snapshot" in events[-1].message
    end(run)
    assert run.state() == "failed"
    assert "Traceback" in (run.dir / "log.txt").read_text("utf-8")
    assert scratch_of(cluster) == []


@pytest.mark.long
def test_a_scheduler_that_does_not_answer_leaves_no_run(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    words = ["train", str(project.path), "--method", "scnet", "--epochs", "1", "--scheduler"]
    assert command([*words, "tcp://127.0.0.1:9"]) == 2
    told = capsys.readouterr().err
    assert "noisyseg: error: tcp://127.0.0.1:9 does not answer" in told
    assert len(told.splitlines()) == 1
    assert command([*words, "tcp://10.1.2.3:8786"]) == 2
    assert "--insecure" in capsys.readouterr().err
    assert time.monotonic() - began < 20
    assert project.runs.list() == []


def test_a_scheduler_without_a_worker_is_told(project: Project) -> None:
    with machines() as empty, pytest.raises(NoisySegError, match="noisyseg cluster worker"):
        client.start(project, spec(scheduler=empty.scheduler.address))
    assert project.runs.list() == []


@pytest.mark.slow
def test_a_scheduler_that_comes_back_goes_on(project: Project) -> None:
    with machines(1) as first:
        order = spec(epochs=4000, checkpoint_seconds=0, scheduler=first.scheduler.address)
        run: Run = client.start(project, order)
        wait(run, lambda e: any(isinstance(event, Checkpointed) for event in e))
    wait(run, lambda e: any(isinstance(event, Warned) for event in e))
    client.stop(run)
    events = wait(run, lambda e: e and isinstance(e[-1], Failed))
    assert "--resume" in events[-1].message
    again = client.start(project, spec(epochs=1, resume=run.id))
    assert isinstance(wait(again, finished)[-1], Finished)
