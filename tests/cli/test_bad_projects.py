"""Projects that are damaged, newer, elsewhere or in use: one line, exit 2, nothing lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from napari_noisyseg import samples
from napari_noisyseg.store import Project
from napari_noisyseg.worker.adoption.adopt import adopt_finished

DATABASE = "project.sqlite"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return samples.demo_project(tmp_path)


def refused(done) -> str:
    assert done.code == 2, done
    assert done.out == ""
    lines = done.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("noisyseg: error: ")
    return lines[0]


def test_a_page_of_the_database_is_corrupt(noisyseg, project: Path) -> None:
    path = project / DATABASE
    damaged = bytearray(path.read_bytes())
    damaged[4096:12288] = b"\xff" * 8192
    path.write_bytes(bytes(damaged))
    said = refused(noisyseg("info", project))
    assert "backup" in said or "copy" in said
    assert path.read_bytes() == bytes(damaged)


def test_the_project_is_of_a_newer_version(noisyseg, project: Path) -> None:
    path = project / DATABASE
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    assert "newer" in refused(noisyseg("derive", project))
    assert path.read_bytes() == before


def test_a_chunk_of_an_image_is_corrupt(noisyseg, project: Path) -> None:
    chunks = [p for p in (project / "images").rglob("c/*") if p.is_file()]
    chunks += [p for p in (project / "images").rglob("c/**/*") if p.is_file()]
    for chunk in chunks:
        chunk.write_bytes(b"not a chunk")
    assert "cannot" in refused(noisyseg("derive", project)) or chunks == []
    assert chunks


def test_somebody_else_has_it_open(noisyseg, project: Path) -> None:
    with Project.open(project):
        said = refused(noisyseg("derive", project))
        assert "already open" in said
        assert noisyseg("info", project, "--json").code == 0


def test_a_linked_slide_is_gone_and_found_again(noisyseg, tmp_path: Path) -> None:
    slide = tmp_path / "slides" / "small.svs"
    slide.parent.mkdir()
    shutil.copyfile(samples.SLIDE, slide)
    csv = tmp_path / "small.csv"
    csv.write_text("x,y\n300,300\n340,310\n")
    project = tmp_path / "linked.noisyseg"
    words = ("--images", slide, "--points", csv, "--field", "250,250,200,200")
    assert noisyseg("create", project, *words).code == 0
    slide.rename(tmp_path / "elsewhere.bin")
    assert "small" in refused(noisyseg("derive", project))
    moved = tmp_path / "renamed.svs"
    (tmp_path / "elsewhere.bin").rename(moved)
    assert noisyseg("derive", project).code == 0


def test_the_disk_is_full_while_exporting(
    noisyseg, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_noisyseg.exchange.labels.tifffile.imwrite", full)
    with Project.open(project) as opened:
        image = opened.images()[0].name
        from napari_noisyseg.exchange.importing import import_clean

        import_clean(opened, image, samples.FIELD_NUCLEI)
    done = noisyseg("export", project, tmp_path / "out", "--format", "labels")
    assert done.code in (1, 2)
    assert "Traceback" not in done.err
    assert not list((tmp_path / "out").glob("*.tif"))


def test_few_points_without_a_field_are_told_what_to_do(noisyseg, tmp_path: Path) -> None:
    project = tmp_path / "none.noisyseg"
    assert noisyseg("create", project, "--images", samples.FIELD).code == 0
    few = tmp_path / "few.csv"
    lines = samples.FIELD_POINTS.read_text("utf-8").splitlines()
    few.write_text("\n".join(lines[:4]), "utf-8")
    done = noisyseg("import", project, few, "--image", samples.FIELD.stem)
    assert done.code == 0, done.err
    said = refused(noisyseg("train", project, "--method", "scnet", "--time-budget", 30))
    assert "field" in said
    assert not list((project / "runs").glob("2*"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--set", "width=wide"), "width"),
        (("--set", "nonsense=1"), "nonsense"),
        (("--set", "epochs"), "KEY=VALUE"),
        (("--resume", "2020"), "2020"),
        (("--epochs", "3", "--time-budget", "9"), "only one of --epochs"),
        (("--config", "/nowhere.json"), "nowhere"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_settings_that_cannot_be(noisyseg, project: Path, words, expected: str) -> None:
    assert expected in refused(noisyseg("train", project, "--method", "scnet", *words))


def test_a_method_that_is_not_there(noisyseg, project: Path) -> None:
    assert "scnet" in refused(noisyseg("train", project, "--method", "unetplusplusplus"))


@pytest.mark.parametrize("content", [None, "", "{", "[]", "\x00" * 10])
def test_a_damaged_run_is_a_row_and_no_refusal(
    noisyseg, project: Path, content: str | None
) -> None:
    with Project.open(project) as opened:
        good, damaged = opened.runs.new(), opened.runs.new()
        good.write_spec({"method": "scnet"})
        if content is not None:
            (damaged.dir / "spec.json").write_text(content)
    for command in ("runs", "info"):
        done = noisyseg(command, project, "--json")
        assert done.code == 0, done.err
        document = json.loads(done.out)
        rows = {r["run"]: r for r in (document["runs"] if command == "info" else document)}
        assert rows[damaged.id]["state"] == "damaged"
        assert "spec.json" in rows[damaged.id]["note"]
        assert rows[good.id]["state"] == "waiting"
        assert "damaged" in noisyseg(command, project).out


def test_what_was_not_taken_in_is_said_with_the_reason(noisyseg, project: Path) -> None:
    with Project.open(project) as opened:
        run = opened.runs.new()
        run.write_spec({"method": "scnet"})
        (run.dir / "results").mkdir()
        (run.dir / "results" / "index.json").write_text('{"regions": [{"file": "0.npz"}]}')
        (row,) = json.loads(noisyseg("runs", project, "--json").out)
        assert (row["adopted"], "next opened" in row["note"]) == ("no", True)
        adopt_finished(opened)
    (row,) = json.loads(noisyseg("runs", project, "--json").out)
    assert "results cannot be read" in row["note"]
