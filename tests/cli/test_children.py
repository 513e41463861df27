"""No child imports what lies in the current folder, which may be a stranger's."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_noisyseg
from napari_noisyseg.cli import doctor

SOURCE = Path(napari_noisyseg.__file__).parent


def python_commands() -> Iterator[tuple[str, ast.List]]:
    """Every list in the sources that begins with the interpreter."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.List) and node.elts:
                first = ast.unparse(node.elts[0])
                if first == "sys.executable":
                    yield f"{file.name}:{node.lineno}", node


def test_every_child_is_started_without_the_current_folder() -> None:
    found = list(python_commands())
    assert len(found) > 8
    bare = [where for where, call in found if ast.unparse(call.elts[1]) != "'-P'"]
    assert bare == []


def test_the_interpreter_is_started_in_no_other_way() -> None:
    used = sum(file.read_text("utf-8").count("sys.executable") for file in SOURCE.rglob("*.py"))
    assert used == len(list(python_commands()))


def test_doctor_passes_over_what_is_planted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted.py").write_text("print('ran')", "utf-8")
    monkeypatch.chdir(tmp_path)
    works, words = doctor._child("import planted")
    assert not works
    assert "No module named 'planted'" in words


def test_python_m_passes_over_what_is_planted(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("open('ran', 'w')", "utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "napari_noisyseg", "methods"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
