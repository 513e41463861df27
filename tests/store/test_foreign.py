"""A stranger's database: what SQLite would act on is refused, and so is what nobody can read."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import Project, backup, leftovers
from napari_noisyseg.store.lock import Lock

ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n, n, n FROM r"


@pytest.fixture
def closed(tissue: Project) -> Path:
    """A closed project with a point, a class and a stroke of history."""
    tissue.nuclei.add("tissue", 5, 5, "tumour")
    tissue.close()
    return tissue.path


def changed(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path / "project.sqlite", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE adopted_run", f"CREATE VIEW adopted_run AS {ENDLESS}"),
        ("ALTER TABLE journal RENAME TO j", f"CREATE VIEW journal AS {ENDLESS}"),
        ("CREATE TRIGGER t AFTER INSERT ON nucleus BEGIN DELETE FROM nucleus; END",),
        ("CREATE TRIGGER sqlite AFTER INSERT ON nucleus BEGIN DELETE FROM nucleus; END",),
        (f"CREATE VIEW more AS {ENDLESS}",),
        ("DROP INDEX nucleus_place", "CREATE INDEX nucleus_place ON nucleus (abs(y))"),
        ("DROP TABLE fit", "CREATE TABLE fit (image INTEGER PRIMARY KEY, value TEXT, "
         "more TEXT GENERATED ALWAYS AS (hex(zeroblob(100000000))))"),
        ("DROP TABLE class",),
    ],
    ids=["view", "hidden view", "trigger", "named trigger", "more", "index", "generated", "less"],
)  # fmt: skip
def test_tables_that_are_not_ours_are_refused(
    closed: Path, statements: tuple[str, ...], write: bool
) -> None:
    changed(closed, *statements)
    began = time.monotonic()
    with pytest.raises(NoisySegError, match=r"not as this program makes it|is missing"):
        Project.open(closed, write=write)
    assert time.monotonic() - began < 10
    assert not (closed / "lock.json").exists()


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE nucleus SET y = 'abc'",
        "UPDATE nucleus SET x = 1e999",
        "UPDATE nucleus SET serial = 9000000000",
        "UPDATE nucleus SET id = x'00ff'",
        "UPDATE nucleus SET state = 'elsewhere'",
        "UPDATE nucleus_log SET y = NULL",
        "UPDATE image SET key = x'05'",
        "UPDATE image SET downsamples = '[1'",
        "UPDATE image SET downsamples = '{}'",
        "UPDATE image SET mpp = 'x'",
        "UPDATE fact SET value = '{' WHERE name = 'mpp_assumed'",
        "UPDATE class SET color = x'07'",
        "INSERT INTO fit VALUES (1, '[]')",
        "UPDATE journal SET version = 9223372036854775807 WHERE version = 1",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -3",
    ],
)
def test_values_of_the_wrong_kind_are_refused(closed: Path, statement: str, write: bool) -> None:
    changed(closed, statement)
    with pytest.raises(NoisySegError, match="is damaged"):
        Project.open(closed, write=write)


def test_what_sqlite_makes_itself_is_no_stranger(closed: Path) -> None:
    changed(closed, "ANALYZE")
    with Project.open(closed) as project:
        assert len(project.nuclei.of("tissue")) == 1


def test_a_backup_with_a_view_does_not_hang(closed: Path) -> None:
    Project.open(closed).close()
    copy = sqlite3.connect(closed / "backups" / "project-1.sqlite", isolation_level=None)
    copy.execute("ALTER TABLE journal RENAME TO j")
    copy.execute(f"CREATE VIEW journal AS {ENDLESS}")
    copy.close()
    Project.open(closed).close()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are POSIX's")
@pytest.mark.parametrize("name", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("write", [True, False])
def test_a_link_or_pipe_in_the_database_s_place_is_refused(
    closed: Path, tmp_path: Path, name: str, write: bool
) -> None:
    file, elsewhere = closed / f"project.sqlite{name}", tmp_path / "elsewhere"
    elsewhere.write_bytes(file.read_bytes() if not name else b"mine")
    before = elsewhere.read_bytes()
    file.unlink(missing_ok=True)
    file.symlink_to(elsewhere)
    with pytest.raises(NoisySegError, match="is a link or no plain file"):
        Project.open(closed, write=write)
    assert elsewhere.read_bytes() == before
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(NoisySegError, match="is a link or no plain file"):
        Project.open(closed, write=write)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("folder", ["backups", "models", "images"])
def test_nothing_is_written_behind_a_linked_folder(
    closed: Path, tmp_path: Path, folder: str
) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "keep").write_text("mine")
    shutil.rmtree(closed / folder, ignore_errors=True)
    (closed / folder).symlink_to(outside, target_is_directory=True)
    acts = {
        "backups": lambda: Project.open(closed),
        "models": lambda: Project.open(closed).learned.keep("outline", b"weights", {}),
        "images": lambda: Project.open(closed).remove_image("tissue"),
    }
    if folder == "images":
        # the action is done; its metadata cannot be said there, and that is told
        with Project.open(closed) as project:
            project.set_mpp("tissue", 0.5)
            assert "is a link to elsewhere" in "".join(project.notices)
    else:
        with pytest.raises(NoisySegError, match="is a link to elsewhere"):
            acts[folder]()
    assert [p.name for p in outside.iterdir()] == ["keep"]


class TestRestore:
    def kept(self, closed: Path) -> None:
        """A backup with one nucleus, and a second nucleus that is not in it."""
        Project.open(closed).close()
        with Project.open(closed) as project:
            project.nuclei.add("tissue", 9, 9)

    @pytest.mark.parametrize("step", range(12))
    def test_killed_at_any_step_leaves_the_old_or_the_new(
        self, closed: Path, monkeypatch: pytest.MonkeyPatch, step: int
    ) -> None:
        self.kept(closed)
        (closed / "project.sqlite-wal").write_bytes(b"")
        steps = iter(range(100))

        class Killed(BaseException):
            pass

        def torn(real):
            def wrapper(*args, **options):
                if next(steps) == step:
                    raise Killed
                return real(*args, **options)

            return wrapper

        with monkeypatch.context() as patch:
            for name in ("rename", "replace", "mkdir", "unlink"):
                patch.setattr(Path, name, torn(getattr(Path, name)))
            patch.setattr(Lock, "release", lambda self: None)
            try:
                backup.restore(closed)
            except Killed:
                pass
            else:
                assert next(steps) <= step + 1 or step > 5
        with Project.open(closed, write=False) as project:
            count = len(project.nuclei.of("tissue"))
        assert count in (1, 2)
        with Project.open(closed) as project:
            assert len(project.nuclei.of("tissue")) == count
            project.nuclei.add("tissue", 11, 11)
        # and once more, whatever was left
        Project.restore(closed)
        assert not list(closed.glob("*.restored-*"))
        Project.open(closed).close()

    def test_the_damaged_file_is_kept_with_its_log(self, closed: Path) -> None:
        self.kept(closed)
        (closed / "project.sqlite").write_bytes(b"damaged")
        (closed / "project.sqlite-wal").write_bytes(b"log")
        aside = Project.restore(closed)
        assert sorted(p.name for p in aside.iterdir()) == ["project.sqlite", "project.sqlite-wal"]
        assert (aside / "project.sqlite").read_bytes() == b"damaged"
        with Project.open(closed) as project:
            assert len(project.nuclei.of("tissue")) == 1


def test_what_killed_commands_left_is_tidied(tmp_path: Path) -> None:
    host = socket.gethostname()
    dead = json.dumps({"host": host, "pid": 4194309, "started": 1.0, "since": 1.0})
    names = (".a.noisyseg.partial", ".b.noisyseg.new-12345678", ".export-abc_1",
             "..c.noisyseg.partial.new-12345678")  # fmt: skip
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock.json").write_text(dead)
    # killed while it wrote down who it is
    for name, words in ((".export-abc_2", dead), (".export-abc_3", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".lock.json.0a1b").write_text(words)
    # of one that lives, and of nobody
    (tmp_path / ".d.noisyseg.partial").mkdir()
    living = Lock(tmp_path / ".d.noisyseg.partial")
    living.take()
    (tmp_path / ".e.noisyseg.partial").mkdir()
    # killed between two locks
    (tmp_path / "..f.noisyseg.partial.new-12345678").mkdir()
    (tmp_path / "..f.noisyseg.partial.new-12345678" / "zarr.json").write_text("")
    leftovers.tidy_beside(tmp_path)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == [".d.noisyseg.partial", ".e.noisyseg.partial"]


def test_half_written_files_in_a_project_are_tidied(closed: Path) -> None:
    (closed / "models").mkdir(exist_ok=True)
    half = closed / "models" / ".outline-1.safetensors.12345678"
    half.write_bytes(b"half")
    (closed / "models" / ".mine").write_bytes(b"mine")
    Project.open(closed).close()
    assert [p.name for p in (closed / "models").iterdir()] == [".mine"]


def test_a_project_that_nobody_makes_any_more_is_left_behind(tmp_path: Path) -> None:
    with_lock, without = tmp_path / ".a.noisyseg.partial", tmp_path / ".b.noisyseg.partial"
    for folder in (with_lock, without):
        folder.mkdir()
    Lock(with_lock).take()
    assert not leftovers.left_behind(with_lock)
    assert leftovers.left_behind(without)
