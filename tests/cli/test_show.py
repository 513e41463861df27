"""open, demo: what is wrong is told before a window or a virtual display is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from napari_noisyseg import samples
from napari_noisyseg.cli import show
from napari_noisyseg.store import backup


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No window and no virtual display: what would have come up."""
    seen: list[str] = []
    monkeypatch.setattr(show, "_need_window", lambda: seen.append("window"))
    monkeypatch.setattr(show, "_need_napari", lambda: None)
    monkeypatch.setattr(show, "_walk_on_virtual_display", lambda *_: seen.append("walk"))
    return seen


def refused(done) -> str:
    assert done.code == 2, done
    assert done.err.startswith("noisyseg: error: ")
    assert done.err.count("\n") == 1
    return done.err


def test_a_folder_that_is_no_project_is_told_as_by_other_commands(
    noisyseg, tmp_path: Path, shown: list[str]
) -> None:
    (tmp_path / "fake.noisyseg").mkdir()
    said = refused(noisyseg("open", tmp_path / "fake.noisyseg"))
    assert said == refused(noisyseg("info", tmp_path / "fake.noisyseg"))
    assert "there is no such project" in refused(noisyseg("open", tmp_path / "gone.noisyseg"))
    assert not shown


def test_a_restoring_that_was_broken_off_is_left_to_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.noisyseg").mkdir()
    monkeypatch.setattr(backup, "restoring", lambda folder: folder / "copy")
    show._check_there(tmp_path / "a.noisyseg")


@pytest.mark.parametrize("display", [True, False])
def test_a_demo_in_place_of_a_file_is_refused(
    noisyseg, tmp_path: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch, display: bool
) -> None:
    monkeypatch.setattr(show, "has_display", lambda: display)
    (tmp_path / "a.png").write_bytes(b"a picture")
    for output in (tmp_path / "a.png", tmp_path / "a.png" / "below"):
        said = refused(noisyseg("demo", "--output", output))
        assert str(output) in said
        assert "name another one" in said
    assert (tmp_path / "a.png").read_bytes() == b"a picture"
    assert not shown


def test_a_demo_without_napari_says_how_to_get_it(
    noisyseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "has_display", lambda: False)
    monkeypatch.setitem(sys.modules, "napari", None)
    said = refused(noisyseg("demo", "--output", tmp_path / "demo"))
    assert "napari-noisyseg[napari]" in said
    assert not (tmp_path / "demo").exists()


def test_a_demo_is_made_before_it_is_walked(noisyseg, tmp_path: Path, shown, monkeypatch) -> None:
    monkeypatch.setattr(show, "has_display", lambda: False)
    assert noisyseg("demo", "--output", tmp_path / "demo").code == 0
    assert shown == ["walk"]
    assert samples.demo_project(tmp_path / "demo").is_dir()


def test_the_starter_is_not_trained_without_torch(noisyseg, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("napari_noisyseg.cli.starter.find_spec", lambda name: None)
    said = refused(noisyseg("starter", "train", "--data", tmp_path))
    assert "napari-noisyseg[train]" in said
