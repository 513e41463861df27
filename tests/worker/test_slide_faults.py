"""A slide that is replaced, a disk that is full in the middle: what was done stays."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_noisyseg.cli import run as command
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Failed, Finished
from napari_noisyseg.store import durable
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.__main__ import _done
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.parent.slides import resume_slides, start_slides

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


def slide(path: Path, rgb: NDArray[np.uint8]) -> Path:
    size = {"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}
    kind = {"tile": (128, 128), "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(rgb, subifds=1, **kind, **size)
        file.write(rgb[::2, ::2], subfiletype=1, **kind)
    return path


@pytest.fixture
def path(tmp_path: Path, tnbc: Tissue) -> Path:
    return slide(tmp_path / "s.tif", tnbc[0])


@pytest.fixture
def project(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A linked slide in four tiles, which the test predicts itself."""
    for name in ("launch", "launch_again"):
        monkeypatch.setattr(f"napari_noisyseg.worker.parent.slides.{name}", lambda run: None)
    monkeypatch.setattr("napari_noisyseg.whole.model.Starter.side", 256)
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_image(path)
        yield made


@pytest.fixture
def filling(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the disk be full once so many more tiles were written."""
    left = [0]
    original = durable.writing

    def writing(place: Path, durable: bool = True) -> object:
        if place.suffix == ".npz":
            left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))
        return original(place, durable)

    monkeypatch.setattr(durable, "writing", writing)
    return lambda count: left.__setitem__(0, count)


def work(run: Run) -> Failed | Finished:
    """What the child does, to its last word."""
    _done(run, lambda: False)  # type: ignore[arg-type]
    (run.dir / "worker.json").unlink(missing_ok=True)
    (last,) = [event for event in run.said() if isinstance(event, Failed | Finished)]
    return last


def tiles(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*.npz")}


def test_a_full_disk_in_the_window_keeps_what_was_done(
    project: Project, filling: Callable[[int], None]
) -> None:
    filling(99)
    run = start_slides(project, {"s": None})
    filling(2)
    last = work(run)
    assert isinstance(last, Failed)
    assert "the disk is full; free space and try again" in last.window
    kept = tiles(run.dir)
    assert len(kept) == 2
    filling(99)
    adopt_finished(project)
    some = {c.id for c in project.nuclei.candidates("s")}
    assert some
    assert resume_slides(project, run).id == run.id
    assert isinstance(work(run), Finished)
    assert kept.items() <= tiles(run.dir).items()
    adopt_finished(project)
    assert some < {c.id for c in project.nuclei.candidates("s")}


@pytest.mark.long
def test_a_full_disk_under_the_command_keeps_what_was_done(
    path: Path, tmp_path: Path, filling: Callable[[int], None],
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("napari_noisyseg.whole.model.Starter.side", 256)
    words = ["predict", str(path), "--model", "starter", "--output", str(tmp_path / "o")]
    filling(2)
    assert command(words) != 0
    said = capsys.readouterr().err
    assert "the disk is full; free space and try again" in said
    assert "Traceback" not in said
    kept = tiles(tmp_path / "o")
    assert len(kept) == 2
    assert not (tmp_path / "o" / "s.csv").exists()
    filling(99)
    assert command(words) == 0
    assert kept.items() <= tiles(tmp_path / "o").items()
    assert command([*words[:-1], str(tmp_path / "again")]) == 0
    for name in ("s.tif", "s.csv"):
        assert (tmp_path / "o" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_slide_that_was_replaced_is_not_predicted(
    project: Project, path: Path, tnbc: Tissue
) -> None:
    """Not even where size and time are those of before."""
    before = path.stat()
    other = np.ascontiguousarray(tnbc[0][::-1])
    slide(path, other)
    assert path.stat().st_size == before.st_size
    with pytest.raises(NoisySegError, match="another content"):
        start_slides(project, {"s": None})
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(NoisySegError, match=r"another content .* what was annotated is safe"):
        start_slides(project, {"s": None})
    slide(path, tnbc[0])
    moved = path.rename(path.with_name("moved.tif"))
    run = start_slides(project, {"s": None})
    assert isinstance(work(run), Finished)
    assert project.image("s").link == moved
