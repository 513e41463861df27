"""A slide without coarser levels gets some in the project: whole or not at all, and honest."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from yaozarrs import v05, validate_ome_uri, validate_zarr_store

from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.slides import Box, open_image
from napari_noisyseg.slides.coarser import AT_ONCE, UNSEEN, Coarser, lacks_levels
from napari_noisyseg.store import Project, coarser, pyramid
from napari_noisyseg.worker.child.coarser import main

Child = Callable[..., "subprocess.Popen[str]"]
NAME = "CMU-1-Small-Region"
KILLED = """
import os, sys
from napari_noisyseg.store import Project
from napari_noisyseg.slides import open_image
left = 8
def stopping():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), 9)
project = Project.open(sys.argv[1], write=False)
project.coarser.make(sys.argv[2], project.pixels(sys.argv[2]), stopping)
"""


@pytest.fixture
def flat(project: Project, data_dir: Path) -> Project:
    """A project with a real scanner's slide of one level, 2220 x 2967."""
    pytest.importorskip("openslide")
    project.add_image(data_dir / "slides" / f"{NAME}.svs")
    return project


def test_what_is_made_is_what_is_reckoned(flat: Project) -> None:
    assert flat.coarser.state(NAME) == "missing"
    assert flat.coarser.levels(NAME) == []
    # of another process, while this one holds the lock
    assert main([str(flat.path), NAME]) == 0
    assert flat.coarser.state(NAME) == "made"
    made = flat.coarser.levels(NAME)
    with closing(flat.pixels(NAME)) as slide:
        assert lacks_levels(slide)
        reckoned = Coarser(slide.levels[0], NAME)
        assert [n.shape for n in made] == [n.shape for n in reckoned.levels]
        assert made[-1].shape == (371, 278, 3)
        for level, other in zip(made, reckoned.levels, strict=True):
            assert np.array_equal(level[100:333, 51:250], other[100:333, 51:250])
        wanted = slide.read(Box(400, 80, 408, 88)).reshape(-1, 3).mean(axis=0)
        assert np.abs(made[2][50, 10] - wanted).max() < 2
        reckoned.use(made)
        assert reckoned.levels[0][7, 9].tolist() == made[0][7, 9].tolist()


def test_its_folder_is_valid_or_says_nothing(flat: Project) -> None:
    main([str(flat.path), NAME])
    folder = flat.path / "images" / NAME
    flat.labels.write(NAME, "refined", np.zeros((2967, 2220), np.int32))
    for place in (folder / "coarser", folder / "labels" / "refined"):
        validate_zarr_store(str(place))
    assert "ome" not in zarr.open_group(folder, mode="r").attrs
    assert "ome" not in zarr.open_group(flat.path, mode="r").attrs
    ome = validate_ome_uri(str(folder / "coarser")).attributes.ome
    assert isinstance(ome, v05.Image)
    flat.set_mpp(NAME, 0.25)
    ome = validate_ome_uri(str(folder / "coarser")).attributes.ome
    scale, shift = ome.multiscales[0].datasets[0].coordinateTransformations
    # the middle of a pixel of half the fineness lies between four
    assert (scale.scale, shift.translation) == ([1.0, 0.5, 0.5], [0.0, 0.125, 0.125])
    # labels are seen from afar, too
    assert len(flat.labels.levels(NAME, "refined")) == 4


def test_killed_in_the_middle_nothing_of_it_is_used(flat: Project, child: Child) -> None:
    process = child(KILLED, flat.path, NAME)
    process.communicate(timeout=120)
    assert process.returncode == -9
    folder = flat.path / "images" / NAME
    assert list(folder.glob(".coarser.new-*"))
    assert flat.coarser.state(NAME) == "missing"
    assert flat.coarser.levels(NAME) == []
    with closing(flat.pixels(NAME)) as slide:
        assert flat.coarser.make(NAME, slide)
    assert sorted(p.name for p in folder.iterdir()) == ["coarser", "zarr.json"]


def test_stopped_and_in_the_midst(flat: Project) -> None:
    states, count = [], iter(range(99))

    def stopping() -> bool:
        states.append(flat.coarser.state(NAME))
        return next(count) == 3

    with closing(flat.pixels(NAME)) as slide:
        assert not flat.coarser.make(NAME, slide, stopping)
    assert set(states) == {"being made"}
    assert [p.name for p in (flat.path / "images" / NAME).iterdir()] == ["zarr.json"]


def test_a_full_disk_is_said_first_and_leaves_nothing(
    flat: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = flat.path / "images" / NAME
    with closing(flat.pixels(NAME)) as slide, monkeypatch.context() as patch:
        usage = SimpleNamespace(free=2**28)
        patch.setattr(coarser.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(JobError, match="7 MB, and 268 MB are free"):
            flat.coarser.make(NAME, slide)
    with closing(flat.pixels(NAME)) as slide, monkeypatch.context() as patch:

        def full(place: Path) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(pyramid, "sync_tree", full)
        with pytest.raises(NoisySegError, match="the disk is full"):
            flat.coarser.make(NAME, slide)
    assert [p.name for p in folder.iterdir()] == ["zarr.json"]


def test_those_of_another_slide_are_refused(flat: Project) -> None:
    main([str(flat.path), NAME])
    place = flat.path / "images" / NAME / "coarser" / "zarr.json"
    place.write_text(place.read_text().replace(flat.image(NAME).sha, "0" * 64))
    with pytest.raises(NoisySegError, match="another slide"):
        flat.coarser.levels(NAME)


def test_what_cannot_be_seen_at_once_is_grey_and_quick(data_dir: Path) -> None:
    """A slide of 100,000 x 80,000 pixels of one level opens, and nothing reads all of it."""
    with open_image(data_dir / "slides" / f"{NAME}.svs") as slide:
        read = slide.levels[0].box

        def tiled(box: Box) -> np.ndarray:
            assert box.height * box.width <= 2048**2
            return read(Box(0, 0, box.height, box.width))

        base = type(slide.levels[0])(80_000, 100_000, tiled, "large")
        levels = Coarser(base, "large").levels
        assert (levels[-1][:] == UNSEEN).all()
        near = levels[0][1000:1200, 2000:2200]
        assert near.std() > 5
        assert levels[3].shape == (5000, 6250, 3)
        assert 4 * 4 * near.size < AT_ONCE
