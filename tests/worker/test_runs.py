"""Real trainings in real children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from tiny_runs import SIDE, end, finished, spec, wait

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import (
    Checkpointed,
    Doing,
    Event,
    Failed,
    Finished,
    Previewed,
    Started,
    Stepped,
)
from napari_noisyseg.store.project import Project
from napari_noisyseg.training.predict import load_model
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.adoption.provenance import of_nucleus
from napari_noisyseg.worker.child.share import LADDER
from napari_noisyseg.worker.parent import client


def steps(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, Stepped)]


@pytest.mark.long
def test_a_run_says_with_which_first_weights_it_began(project: Project) -> None:
    run = client.start(project, spec(epochs=1, config={"width": 32}))
    events = wait(run, finished)
    (note,) = (event.note for event in events if isinstance(event, Started))
    made = load_model(run.dir, "cpu").file.provenance["first_weights"]
    assert f"from first weights {made[:8]}, learned on other tissue" in note
    adopt_finished(project)
    nucleus = project.nuclei.of("tissue")[0]
    assert of_nucleus(project, nucleus.id)["run"]["first_weights_sha256"] == made


def test_a_run_trains_and_its_results_come_into_the_project(project: Project) -> None:
    began = time.monotonic()
    run = client.start(project, spec(checkpoint_seconds=0, preview_seconds=0))
    returned = time.monotonic() - began
    events = wait(run, lambda e: steps(e))
    # what people do now changes nothing in the run
    first, *others = project.nuclei.of("tissue")
    project.nuclei.remove([first.id])
    added = project.nuclei.add("tissue", 3, 3)
    events = wait(run, finished)
    assert returned < time.monotonic() - began
    assert steps(events) == list(range(1, 17))
    kinds = {type(event) for event in events}
    said = [event.work for event in events if isinstance(event, Doing)]
    assert (said[0], said[-1]) == ("loading PyTorch", "writing the nuclei")
    assert {Started, Previewed, Stepped, Checkpointed, Finished} <= kinds
    (began_so,) = (event.note for event in events if isinstance(event, Started))
    assert "from random weights: first weights are for networks of another shape" in began_so
    final = events[-1]
    assert isinstance(final, Finished)
    assert not final.stopped
    assert final.figures["nuclei"] == len(others) + 1
    assert final.figures["outside_networks"] < 0.5
    end(run)
    assert run.state() == "finished"

    assert adopt_finished(project) == [run.id]
    assert adopt_finished(project) == []
    refined = project.labels.read("tissue", "refined")
    assert refined is not None
    assert set(np.unique(refined)) == {0, *(n.serial for n in others)}
    assert added.serial not in refined
    found = project.nuclei.candidates("tissue")
    assert {c.id for c in found} == {n.id for n in others}
    assert all(0 <= c.score <= 1 and c.reason for c in found)
    assert {"probability", "uncertainty"} <= set(project.labels.kinds("tissue"))
    assert project.labels.source("tissue", "refined")["run"] == run.id
    _check_preview(run.dir, events)
    model = load_model(run.dir, "cpu")
    assert model.file.provenance["run"] == run.id
    assert model.config.width == 16


def _check_preview(folder: object, events: list[Event]) -> None:
    first = next(event for event in events if isinstance(event, Previewed))
    last = [event for event in events if isinstance(event, Previewed)][-1]
    assert (first.image, first.origin, first.scale) == ("tissue", (0.5, 0.5), 2.0)
    with np.load(folder / last.path) as maps:
        assert maps["probability"].shape == maps["refined"].shape == (SIDE // 2, SIDE // 2)
        assert maps["refined"].max() > 0


@pytest.mark.long
def test_a_killed_run_is_lost_and_its_checkpoint_resumes(project: Project) -> None:
    project.add_array(np.full((64, 64, 3), 150, np.uint8), "other", 0.25)
    project.nuclei.add("other", 30, 30)
    run = client.start(
        project, spec(epochs=4000, checkpoint_seconds=0, preview_seconds=0, yielding=True)
    )
    wait(run, lambda e: any(isinstance(event, Checkpointed) for event in e))
    assert not any(isinstance(e, Previewed) and e.image == "other" for e in run.events())
    client.look(run, "other")
    wait(run, lambda e: isinstance(e[-1], Previewed) and e[-1].image == "other")
    process = psutil.Process(run.worker()["pid"])
    if sys.platform != "win32":
        assert os.getsid(process.pid) != os.getsid(0)
        assert process.nice() == max(3 if sys.platform == "linux" else 5, os.nice(0))
    group = Path(f"/proc/{process.pid}/autogroup")
    if group.exists():
        assert int(group.read_text("ascii").split()[-1]) in LADDER
    process.kill()
    process.wait(30)
    assert not client.is_alive(run)
    assert run.state() == "lost"
    assert client.lost(run) == (client.LOST if sys.platform == "win32" else client.KILLED)
    assert adopt_finished(project) == []
    with (run.dir / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "Stepped", "ti')
    kept = [e for e in run.events() if isinstance(e, Checkpointed)][-1].step

    again = client.start(project, spec(epochs=1, resume=run.id))
    assert again.id != run.id
    events = wait(again, finished)
    assert json.loads((again.dir / "spec.json").read_text("utf-8"))["config"]["width"] == 16
    assert isinstance(events[-1], Finished)
    assert events[-1].figures["steps"] >= kept
    assert adopt_finished(project) == [again.id]
    assert run.state() == "lost"


@pytest.mark.long
def test_a_stopped_run_has_results_a_checkpoint_and_a_model(project: Project) -> None:
    run = client.start(project, spec(epochs=4000))
    with pytest.raises(NoisySegError, match="still running"):
        client.start(project, spec(resume=run.id))
    wait(run, lambda e: steps(e))
    client.stop(run)
    events = wait(run, finished)
    final = events[-1]
    assert isinstance(final, Finished)
    assert final.stopped
    assert final.results == ("results/0.npz",)
    end(run)
    assert run.state() == "stopped"
    last = steps(events)[-1]
    assert (run.dir / "checkpoints" / f"{last:08d}").is_dir()

    resumed = client.start(project, spec(epochs=4000, resume=run.id))
    events = wait(resumed, lambda e: steps(e))
    assert steps(events)[0] == last + 1
    os.kill(resumed.worker()["pid"], signal.SIGTERM)
    final = wait(resumed, finished)[-1]
    assert isinstance(final, Finished)
    assert final.stopped

    warm = client.start(project, spec(epochs=1, init=run.id, config={"lr": 1e-4}))
    events = wait(warm, finished)
    first = next(event for event in events if isinstance(event, Stepped))
    cold = next(event for event in run.events() if isinstance(event, Stepped))
    assert first.losses != cold.losses


@pytest.mark.long
def test_a_time_budget_holds_start_up_training_and_writing(project: Project) -> None:
    began = time.time()
    # how long starting takes depends on how busy the machine is
    imports = "import napari_noisyseg.worker.child.execute"
    subprocess.run([sys.executable, "-c", imports], check=True)
    budget = 3 * (time.time() - began) + 3
    began = time.time()
    reader = Project.open(project.path, write=False)
    run = client.start(reader, spec(epochs=None, time_budget=budget, deadline=began + budget))
    reader.close()
    events = wait(run, finished)
    end(run)
    share = (time.time() - began) / budget
    trained = [event for event in events if isinstance(event, Stepped)]
    assert 0.5 < share < 1.15
    assert len(trained) > 8
    assert trained[-1].epochs - 2 <= trained[-1].epoch < trained[-1].epochs


def test_a_run_that_breaks_says_so(project: Project) -> None:
    run = client.start(project, spec())
    end(run)
    (run.dir / "snapshot" / "0.npz").write_bytes(b"PK")
    (run.dir / "events.jsonl").unlink(missing_ok=True)
    from napari_noisyseg.worker.parent import process

    process.launch(run)
    events = wait(run, lambda e: e and isinstance(e[-1], Failed))
    end(run)
    assert "0.npz" in events[-1].message
    assert run.state() == "failed"
    assert "Traceback" in (run.dir / "log.txt").read_text("utf-8")
    assert adopt_finished(project) == []
