from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from tiny_runs import finished, spec, wait

from napari_noisyseg.cli import run as command
from napari_noisyseg.coarse.starter import OUTLINE
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review import ReviewQueue
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.adoption.clicked import offer
from napari_noisyseg.worker.adoption.found import CLICKS, read_results
from napari_noisyseg.worker.adoption.provenance import of_nucleus
from napari_noisyseg.worker.parent import client


def test_an_outline_at_a_click_is_traced_to_pixels_weights_and_reviewer(project: Project):
    offer(project)
    queue = ReviewQueue(project, reviewer="ada")
    first = queue.items[0]
    queue.decide([first.id], "accepted", ms=1200)
    found = of_nucleus(project, first.id)
    assert found == of_nucleus(project, str(first.candidate.serial))
    record = project.images()[0]
    assert found["image"]["sha256"] == record.sha
    assert found["run"]["id"] == CLICKS
    assert len(found["run"]["weights_sha256"]) == 64
    assert found["run"]["annotation_version"] < found["annotation_version"]
    (said,) = found["decisions"]
    assert (said["reviewer"], said["state"], said["ms"]) == ("ada", "accepted", 1200)
    assert [step["what"] for step in found["history"]][-1] == "accept a nucleus"
    project.nuclei.undo()
    assert of_nucleus(project, first.id)["decisions"] == []
    weights = b"another network's"
    project.learned.keep(OUTLINE, weights, {"nuclei": 9})
    now = of_nucleus(project, first.id)["run"]
    assert now["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert now["learned"] == {"nuclei": 9}


def test_an_unknown_nucleus_is_told(project: Project):
    for which in ("99999", "nonsense"):
        with pytest.raises(NoisySegError, match=f"no nucleus {which}"):
            of_nucleus(project, which)


@pytest.mark.slow
def test_a_run_is_traced_and_replays_to_the_same_labels(project: Project, tmp_path, capsys):
    run = client.start(project, spec(seed=3))
    with pytest.raises(NoisySegError, match="only a finished run"):
        client.replay(run, tmp_path / "early")
    wait(run, finished)
    adopt_finished(project)
    item = ReviewQueue(project).items[0]
    found = of_nucleus(project, item.id)
    assert (found["run"]["id"], found["run"]["method"], found["run"]["seed"]) == (
        run.id, "scnet", 3
    )  # fmt: skip
    assert found["run"]["config"]["width"] == 16
    digest = hashlib.sha256((run.dir / "model.safetensors").read_bytes()).hexdigest()
    assert found["run"]["weights_sha256"] == digest
    (tmp_path / "again").mkdir()
    again = client.replay(run, tmp_path / "again")
    wait(again, finished)
    first, second = (read_results(one.dir) for one in (run, again))
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.labels, other.labels)
        assert one.labels.any()
    path = project.path
    project.close()
    capsys.readouterr()
    assert command(["replay", str(path), run.id, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["same"] is True


def test_info_tells_it_on_the_command_line(project: Project, capsys):
    offer(project)
    serial = ReviewQueue(project).items[0].candidate.serial
    path = project.path
    project.close()
    assert command(["info", str(path), "--nucleus", str(serial), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["nucleus"]["serial"] == serial
    assert command(["info", str(path), "--nucleus", str(serial)]) == 0
    assert "weights_sha256" in capsys.readouterr().out
    assert command(["info", str(path), "--nucleus", "x"]) == 2
