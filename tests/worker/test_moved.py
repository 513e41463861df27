"""A project that is moved or whose run is damaged while a child works on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Doing, Event
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Runs
from napari_noisyseg.training import checkpoint
from napari_noisyseg.worker import __main__ as child
from napari_noisyseg.worker.child import execute


def test_a_moved_project_does_not_come_to_life_at_its_old_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.noisyseg", tmp_path / "new.noisyseg"
    old.mkdir()
    run = Runs(old).new()
    run.write_spec({"method": "scnet"})

    def moving(folder: Path, stopping: object) -> Iterator[Event]:
        yield Doing("work")
        old.rename(new)
        checkpoint.save(folder / "checkpoints", checkpoint.Checkpoint(checkpoint.Position(), {}))
        yield Doing("more work")

    monkeypatch.setattr(execute, "execute", moving)
    assert child._work(run, child._Stop(run)) == 1
    assert "was moved or deleted" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["new.noisyseg"]


def test_a_writer_of_a_moved_project_is_told_and_writes_nothing(project: Project) -> None:
    old, new = project.path, project.path.with_name("moved.noisyseg")
    before = len(project.nuclei.of("tissue"))
    old.rename(new)
    with pytest.raises(NoisySegError, match="was moved or deleted while it was open"):
        project.nuclei.add("tissue", 5, 5)
    with pytest.raises(NoisySegError, match="was moved or deleted"):
        project.labels.write("tissue", "refined", np.ones((160, 160), np.int32))
    project.close()
    assert not old.exists()
    with Project.open(new) as again:
        assert len(again.nuclei.of("tissue")) == before
