"""Killed, corrupted, full, read-only, of another version: nothing is lost and all is told."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project, backup, database, schema
from napari_noisyseg.store import project as projects
from napari_noisyseg.store.records import Look

from .conftest import candidate

Child = Callable[..., subprocess.Popen[str]]

KILLED = """
import os, sys
import numpy as np
from pathlib import Path
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project
project = Project.open(Path(sys.argv[1]))
nucleus = project.nuclei.add("tissue", 5, 5)
stroke = np.full((4, 4), 3, np.int32)
project.nuclei.paint("tissue", Box(0, 0, 4, 4), 0 * stroke, stroke)
print(nucleus.id, flush=True)
# an action that is not over when the power goes
with project.nuclei.together("never"):
    project.nuclei.add("tissue", 6, 6)
    os.kill(os.getpid(), 9)
"""

FULL = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import Project
project = Project.open(Path(sys.argv[1]))
noise = np.random.default_rng(0)
project.labels.write("tissue", "rough", np.full((512, 512), 7, np.int32), {"from": "before"})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
tasks = {
    "points": lambda: project.nuclei.add_many("tissue", noise.uniform(0, 500, (5000, 2))),
    "labels": lambda: project.labels.write(
        "tissue", "rough", noise.integers(0, 2**31, (512, 512)).astype(np.int32)),
    "image": lambda: project.add_array(
        noise.integers(0, 255, (512, 512, 3), dtype=np.uint8), "second"),
}
for name, task in tasks.items():
    try:
        task()
        print(name, "no error")
    except NoisySegError as error:
        print(name, "told:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert len(project.nuclei.of("tissue")) == 1
assert [i.name for i in project.images()] == ["tissue"]
assert (project.labels.read("tissue", "rough") == 7).all()
assert len(list((project.path / "images").glob("*"))) == 1
project.nuclei.add("tissue", 9, 9)
project.close()
print("done")
"""

READ_ONLY = """
import os, sys
from pathlib import Path
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project
path = Path(sys.argv[1])
if os.geteuid() == 0:
    # root may write anywhere; all modules are loaded by using them once, before rights go
    with Project.open(Path(sys.argv[2]), write=False) as project:
        project.pixels("tissue").read(Box(0, 0, 8, 8))
    os.setgid(65534)
    os.setuid(65534)
for task in (lambda: Project.open(path), lambda: Project.create(path.with_name("new.noisyseg"))):
    try:
        task()
        print("no error")
    except NoisySegError as error:
        print("told:", error)
with Project.open(path, write=False) as project:
    pixels = project.pixels("tissue")
    print(len(project.nuclei.of("tissue")), pixels.read(Box(0, 0, 8, 8)).shape)
    try:
        project.nuclei.add("tissue", 1, 1)
    except NoisySegError as error:
        print("told:", error)
"""


def finished(process: subprocess.Popen[str]) -> list[str]:
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out.splitlines()


def test_what_was_confirmed_survives_a_kill(tissue: Project, child: Child) -> None:
    path = tissue.path
    tissue.close()
    process = child(KILLED, path)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == -9
    with Project.open(path) as again:
        (nucleus,) = again.nuclei.of("tissue")
        assert nucleus.id == out.strip()
        assert again.nuclei.painted("tissue").sum() == 4 * 4 * 3
        assert again.nuclei.undo() == "paint rough"
        assert again.nuclei.undo() == "add a point"


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX's")
def test_a_full_disk_is_told_and_loses_nothing(tissue: Project, child: Child) -> None:
    tissue.nuclei.add("tissue", 5, 5)
    path = tissue.path
    tissue.close()
    lines = finished(child(FULL, path))
    assert [line.split(" ", 2)[:2] for line in lines] == [
        ["points", "told:"], ["labels", "told:"], ["image", "told:"], ["done"],
    ]  # fmt: skip
    assert "disk is full" in lines[1]
    with Project.open(path) as again:
        assert len(again.nuclei.of("tissue")) == 2


def test_a_full_disk_in_sqlites_own_words(tissue: Project) -> None:
    tissue.nuclei.add("tissue", 5, 5)
    connection = tissue._database.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NoisySegError, match=r"disk .* is full: nothing of this action was kept"):
        tissue.nuclei.add_many("tissue", np.zeros((5000, 2)))
    connection.execute("PRAGMA max_page_count = 1000000")
    assert len(tissue.nuclei.of("tissue")) == 1
    tissue.nuclei.add("tissue", 6, 6)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that every user may enter (pytest's own is the user's alone)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="folder permissions are POSIX's")
@pytest.mark.parametrize("with_log", [False, True], ids=["closed", "killed"])
def test_a_read_only_folder_can_be_read(
    tissue: Project, child: Child, open_to_all: Path, with_log: bool
) -> None:
    tissue.nuclei.add("tissue", 5, 5)
    target = open_to_all / "p.noisyseg"
    if with_log:
        # as a killed writer leaves it: the last actions are in the write-ahead log alone
        shutil.copytree(tissue.path, target, ignore=shutil.ignore_patterns("*-shm", "lock.json"))
        assert (target / "project.sqlite-wal").stat().st_size
    tissue.close()
    if not with_log:
        shutil.copytree(tissue.path, target)
    for path in [*target.rglob("*"), target, open_to_all]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    refused, created, *found, told = finished(child(READ_ONLY, target, tissue.path))
    assert refused.startswith("told: cannot write in")
    assert created.startswith("told: cannot create")
    assert "may not be written" in created
    assert found == ["1 (8, 8, 3)"]
    assert "read-only" in told


def damage(path: Path, offset: int, length: int = 2000) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * length)


def test_a_corrupt_page_is_told_and_a_backup_mends_it(tissue: Project) -> None:
    tissue.nuclei.add_many("tissue", np.random.default_rng(0).uniform(0, 500, (500, 2)))
    path = tissue.path
    tissue.close()
    Project.open(path).close()
    with Project.open(path) as project:
        # not in the backup yet
        project.nuclei.add("tissue", 1, 1)
    file = path / "project.sqlite"
    damage(file, file.stat().st_size // 4096 // 2 * 4096, 4096 * 8)
    kept = {p.name: p.read_bytes() for p in (path / "backups").iterdir()}
    with pytest.raises(NoisySegError, match=r"is damaged .*backups.*project-1\.sqlite"):
        Project.open(path)
    assert kept == {p.name: p.read_bytes() for p in (path / "backups").iterdir()}
    assert not (path / "lock.json").exists()
    aside = Project.restore(path)
    assert (aside / "project.sqlite").is_file()
    with Project.open(path) as project:
        assert len(project.nuclei.of("tissue")) == 500


def test_a_corrupt_header_is_told(project: Project) -> None:
    path = project.path
    project.close()
    damage(path / "project.sqlite", 0, 100)
    for write in (True, False):
        with pytest.raises(NoisySegError, match="is damaged, or is not from this program"):
            Project.open(path, write=write)


def test_corruption_found_later_is_told_too(tissue: Project) -> None:
    tissue.nuclei.add_many("tissue", np.random.default_rng(0).uniform(0, 500, (3000, 2)))
    path = tissue.path
    tissue.close()
    file = path / "project.sqlite"
    damage(file, 4096 * 20, file.stat().st_size - 4096 * 20)
    with pytest.raises(NoisySegError, match="damaged"), Project.open(path, write=False) as reader:
        reader.nuclei.of("tissue")


def test_two_generations_are_kept(tissue: Project) -> None:
    path = tissue.path
    tissue.close()

    def counts() -> list[int]:
        found = []
        for name in backup.GENERATIONS:
            with sqlite3.connect(path / "backups" / name) as copy:
                found.append(copy.execute("SELECT count(*) FROM nucleus").fetchone()[0])
            copy.close()
        return found

    for _ in range(3):
        with Project.open(path) as project:
            project.nuclei.add("tissue", 5, 5)
    assert counts() == [2, 1]
    # opening again with the project as it is must not push the older one out
    for _ in range(3):
        Project.open(path).close()
    assert counts() == [3, 2]


def later_version(path: Path, version: int) -> None:
    with sqlite3.connect(path / "project.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_later_version_is_refused_untouched(tissue: Project) -> None:
    path = tissue.path
    tissue.close()
    later_version(path, schema.SCHEMA + 1)
    before = contents(path)
    for write in (True, False):
        with pytest.raises(NoisySegError, match=r"later version of NoisySeg.*update"):
            Project.open(path, write=write)
    assert contents(path) == before


def test_an_earlier_version_is_brought_up_to_date(
    tissue: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tissue.nuclei.add("tissue", 5, 5)
    path = tissue.path
    tissue.close()
    monkeypatch.setattr(schema, "SCHEMA", schema.SCHEMA + 1)

    def add_column(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE adoption ADD COLUMN note TEXT")

    monkeypatch.setitem(schema.MIGRATIONS, schema.SCHEMA - 1, add_column)
    with pytest.raises(NoisySegError, match="open it once for writing"):
        Project.open(path, write=False)
    with Project.open(path) as project:
        assert len(project.nuclei.of("tissue")) == 1
        assert project._database.rows("SELECT note FROM adoption") == []
        assert "up to date" in project.notices[0]
    (kept,) = (path / "backups").glob("project-schema*.sqlite")
    assert schema.version_on_disk(kept) == schema.SCHEMA - 1
    assert schema.version_on_disk(path / "project.sqlite") == schema.SCHEMA


def test_a_migration_that_fails_changes_nothing(
    tissue: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tissue.path
    tissue.close()
    monkeypatch.setattr(schema, "SCHEMA", schema.SCHEMA + 1)

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE nucleus")
        connection.execute("SELECT nonsense")

    monkeypatch.setitem(schema.MIGRATIONS, schema.SCHEMA - 1, fail)
    with pytest.raises(NoisySegError, match="nonsense"):
        Project.open(path)
    monkeypatch.undo()
    with Project.open(path) as project:
        assert project.nuclei.of("tissue") == []


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("ext4", "wal"), ("nfs4", "delete"), ("cifs", "delete"), ("fuse.sshfs", "delete")],
)
def test_wal_only_on_a_local_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str
) -> None:
    class Part:
        mountpoint, fstype, opts = str(tmp_path), kind, "rw"

    monkeypatch.setattr(database.psutil, "disk_partitions", lambda all: [Part])
    with Project.create(tmp_path / "p.noisyseg") as project:
        connection = project._database.connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        project.add_array(np.zeros((8, 8, 3), np.uint8), "i")
        with Project.open(project.path, write=False) as reader:
            project.nuclei.add("i", 1, 1)
            assert len(reader.nuclei.of("i")) == 1


def test_a_reader_beside_a_writer_sees_what_is_confirmed(tissue: Project) -> None:
    with Project.open(tissue.path, write=False) as reader:
        tissue.nuclei.add("tissue", 5, 5)
        stroke = np.ones((4, 4), np.int32)
        tissue.nuclei.paint("tissue", Box(0, 0, 4, 4), 0 * stroke, stroke)
        assert len(reader.nuclei.of("tissue")) == 1
        assert reader.nuclei.painted("tissue").sum() == 16
        with tissue.nuclei.together("half done"):
            tissue.nuclei.add("tissue", 6, 6)
            assert len(reader.nuclei.of("tissue")) == 1
        with pytest.raises(NoisySegError, match="read-only"):
            reader.labels.write("tissue", "voronoi", np.zeros((512, 512), np.uint8))


def test_a_backup_that_cannot_be_written_is_told(
    tissue: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tissue.nuclei.add("tissue", 5, 5)
    path = tissue.path
    tissue.close()
    shutil.rmtree(path / "backups")
    (path / "backups").write_text("in the way")
    with pytest.raises(NoisySegError, match="no backup could be written"):
        Project.open(path)
    assert not (path / "lock.json").exists()
    assert projects.schema.version_on_disk(path / "project.sqlite") == schema.SCHEMA


def test_a_project_of_before_verdicts_keeps_who_looked_from_now_on(tissue: Project) -> None:
    found = tissue.nuclei.adopt("tissue", "r1", [candidate(5, 5)])
    path = tissue.path
    tissue.close()
    with contextlib.closing(sqlite3.connect(path / "project.sqlite")) as connection:
        connection.executescript(
            "DROP TABLE verdict; DROP TABLE verdict_log; DROP TABLE replaced;"
            "DROP TABLE replaced_log; DROP TABLE comment; DROP TABLE comment_log;"
            "PRAGMA user_version = 2;"
        )
    with Project.open(path) as project:
        assert project.nuclei.verdicts() == []
        project.nuclei.decide([found[0].id], "accepted", reviewer="ada", look=Look("queue", 700))
        (said,) = project.nuclei.verdicts()
        assert (said.reviewer, said.ms, said.agreed) == ("ada", 700, 1.0)
        project.nuclei.undo()
        assert project.nuclei.verdicts() == []
