"""The training child killed at random moments: its run is a row, the project is untouched."""

from __future__ import annotations

import random
import time

import psutil
import pytest
from tiny_runs import finished, spec, wait

from napari_noisyseg.benchmarks.faults import acts
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.parent import client


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_child_killed_at_any_moment_leaves_a_run_that_says_so(project: Project) -> None:
    moments, ended = random.Random(0), []
    for _ in range(8):
        run = client.start(project, spec(checkpoint_seconds=0.2))
        time.sleep(moments.uniform(0, 8))
        worker = run.worker()
        assert worker is not None
        child = psutil.Process(int(worker["pid"]))
        child.kill()
        child.wait(30)
        assert not client.is_alive(run)
        assert run.state() in ("lost", "finished")
        assert run.spec()["method"] == "scnet"
        adopt_finished(project)
        assert run.adopted == run.has_results
        ended.append(run)
    path = project.path
    project.close()
    assert acts.disagreements(path) == []
    with Project.open(path) as again:
        left = [r for r in ended if any((r.dir / "checkpoints").glob("[0-9]*"))]
        if left:
            resumed = client.start(again, spec(resume=left[-1].id))
            wait(resumed, finished)
