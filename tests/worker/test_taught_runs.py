"""What the starter learned in a project draws what trainings and predictions find there, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_runs import SIDE, finished, spec, wait

from napari_noisyseg import instances
from napari_noisyseg.coarse.project import copy_learned
from napari_noisyseg.coarse.readers import AS_SHIPPED, Readers, readers_in
from napari_noisyseg.coarse.starter import CENTRES, OUTLINE, model_weights, packed
from napari_noisyseg.data.regions import SNAPSHOT
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Started
from napari_noisyseg.store.project import Project
from napari_noisyseg.training.predict import load_model
from napari_noisyseg.whole.model import learned_key, taught_key
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.adoption.provenance import digest, of_nucleus
from napari_noisyseg.worker.cluster.parcel import RUN, weights_of
from napari_noisyseg.worker.parent import client
from napari_noisyseg.worker.parent.predicting import start_prediction

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]
WIDER = 1.5
"""added to the log-odds of every pixel: outlines are drawn wider"""


def teach(project: Project) -> None:
    weights = dict(model_weights(OUTLINE))
    weights["head.bias"] = weights["head.bias"] + np.float32(WIDER)
    project.learned.keep(OUTLINE, packed(weights, {"network": OUTLINE}), {"nuclei": 9})


def read(run: Any, rgb: NDArray[np.uint8], points: Any, readers: Readers) -> NDArray[np.int32]:
    with np.load(run.dir / "results" / "0.npz") as stored:
        probability = stored["probability"].astype(np.float32)
    density = np.zeros(rgb.shape[:2], np.float32)
    found = instances.at_points(probability, points, density, rgb, 0.25, "centres", None, readers)
    return found.labels


@pytest.mark.long
def test_a_training_and_a_prediction_use_what_was_learned(
    project: Project, tnbc: Tissue, points: NDArray[np.float64]
) -> None:
    teach(project)
    run = client.start(project, spec(epochs=1))
    project.learned.forget(OUTLINE)  # what comes later changes nothing in the run
    events = wait(run, finished)
    (note,) = (event.note for event in events if isinstance(event, Started))
    assert "learned from your decisions" in note
    readers = readers_in(run.dir / SNAPSHOT)
    rgb = tnbc[0][:SIDE, :SIDE]
    wide, plain = (read(run, rgb, points, r) > 0 for r in (readers, AS_SHIPPED))
    with np.load(run.dir / "results" / "0.npz") as stored:
        shown = stored["labels"] > 0
    assert wide.sum() > 1.05 * plain.sum()
    # probabilities are stored in half precision
    assert (shown != wide).mean() < 0.002
    assert load_model(run.dir, "cpu").readers.look is not None
    assert set(weights_of(run.dir)) == {RUN, OUTLINE}
    adopt_finished(project)
    told = of_nucleus(project, project.nuclei.of("tissue")[0].id)["run"]
    assert told["learned_sha256"] == {
        OUTLINE: digest(run.dir / SNAPSHOT / f"{OUTLINE}.safetensors")
    }

    project.add_array(tnbc[0][SIDE:, :SIDE], "other", 0.25)
    sizes = []
    for taught in (False, True):
        if taught:
            teach(project)
        other = start_prediction(project, run, ["other"], "cpu")
        wait(other, finished)
        with np.load(other.dir / "results" / "0.npz") as stored:
            sizes.append(int((stored["labels"] > 0).sum()))
    assert sizes[1] > 1.05 * sizes[0]


def test_what_cannot_be_read_is_passed_over(project: Project, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    project.learned.keep(CENTRES, b"no weights", {"nuclei": 9})
    copy_learned(project, copies)
    assert list(copies.iterdir()) == []
    assert readers_in(copies) == AS_SHIPPED
    (copies / f"{OUTLINE}.safetensors").write_bytes(b"no weights")
    with pytest.raises(NoisySegError, match=f"{OUTLINE}.safetensors"):
        readers_in(copies)


def test_tiles_of_a_run_that_knows_more_are_not_those_of_before(project: Project) -> None:
    before = learned_key(project)
    teach(project)
    assert taught_key("a", before) == "a"
    assert taught_key("a", learned_key(project)) not in ("a", learned_key(project))
