"""What the package declares: what it imports, one version, pages that are there."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import napari_noisyseg as ns

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MODULES = {"pillow": "PIL", "scikit-image": "skimage", "scikit-learn": "sklearn"}
"""Distributions whose module is named otherwise."""
UNSEEN = {
    "imagecodecs": "tifffile decodes with it",
    "numcodecs": "zarr brings it; older ones unpickle what a stranger's array says",
}
"""What is declared and not imported, and why."""


def _imported() -> set[str]:
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.split(".")[0])
    return found


def test_each_dependency_is_imported() -> None:
    names = [re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]]
    modules = {MODULES.get(name, name.replace("-", "_")) for name in set(names) - set(UNSEEN)}
    assert modules <= _imported()
    assert set(UNSEEN) <= set(names)


def test_there_is_one_version() -> None:
    assert "version" in PROJECT["dynamic"]
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert cited[1] == ns.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest[1] == ns.__version__


def test_the_base_has_neither_qt_nor_napari_nor_torch() -> None:
    base = " ".join(PROJECT["dependencies"]).lower()
    assert not re.search(r"pyside|pyqt[56]|napari\b|torch", base)
    assert all("napari" not in line or ">=0.9" in line or "[" in line
               for line in PROJECT["optional-dependencies"]["napari"])  # fmt: skip


def test_the_workflows_call_make_alone() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        runs = re.findall(r"- run: (.+)", path.read_text("utf-8"))
        assert runs
        targets = {line.split()[1] for line in runs if not line.split()[1].startswith("$")}
        assert all(line.startswith("make ") for line in runs)
        made = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        assert targets | {"test", "test-pyqt6"} <= made
