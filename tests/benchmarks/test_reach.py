"""A table's version is that of the code that it can reach, and of nothing else."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from napari_noisyseg import benchmarks, registry
from napari_noisyseg.benchmarks import ledger, mlbseg, mmc, reach, tables, trainings
from napari_noisyseg.cli.commands import COMMANDS

IN_MEMORY = (
    "mmc-table2", "mmc-table4", "mmc-modes", "superpixel-noise", "ablation", "split-overlap",
    "external", "mlbseg-ablation", "mlbseg-supervision", "mlbseg-steered", "structure", "igtt",
)  # fmt: skip
"""tables whose trainings need no project and no other process"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's sources, to be edited."""
    root = tmp_path_factory.mktemp("sources") / "napari_noisyseg"
    ignored = shutil.ignore_patterns("__pycache__", "models", "*.png", "*.tif", "*.csv")
    shutil.copytree(reach.ROOT, root, ignore=ignored)
    return root


def names(table: str, root: Path = reach.ROOT) -> set[str]:
    return {path.relative_to(root).as_posix() for path in ledger.code_of(table, root)}


@pytest.mark.long
def test_only_an_edit_that_a_table_reaches_changes_its_version(copied: Path) -> None:
    def version(table: str) -> str:
        return ledger.version.__wrapped__(table, copied)

    before = {table: version(table) for table in ("mmc-table2", "rough-field")}
    assert before["mmc-table2"] == ledger.version("mmc-table2")
    for elsewhere in ("gui/session.py", "store/nuclei.py", "benchmarks/scale.py", "losses.py"):
        path = copied / elsewhere
        text = path.read_text(encoding="utf-8")
        path.write_text(text + "EDITED = 1\n", encoding="utf-8")
        touched = elsewhere == "losses.py"
        assert (version("mmc-table2") != before["mmc-table2"]) is touched, elsewhere
        path.write_text(text, encoding="utf-8")
    presets = copied / "methods.json"
    text = presets.read_text(encoding="utf-8")
    for method, key, touched in (
        ("mmc", "presets", True), ("mmc", "title", False), ("igtt", "presets", False)
    ):  # fmt: skip
        described = json.loads(text)
        described[method][key] = {}
        presets.write_text(json.dumps(described), encoding="utf-8")
        assert (version("mmc-table2") != before["mmc-table2"]) is touched, (method, key)
    presets.write_text(text, encoding="utf-8")
    (copied / "methods" / "another.py").write_text("METHOD = None\n", encoding="utf-8")
    assert version("mmc-table2") == before["mmc-table2"]
    (copied / "methods" / "another.py").unlink()
    assert {table: version(table) for table in before} == before


def test_words_about_code_are_not_code(copied: Path) -> None:
    path = copied / "losses.py"
    text = path.read_text(encoding="utf-8")
    before = ledger.version.__wrapped__("mmc-table2", copied)
    lines = text.split("\n")
    first = next(k for k, line in enumerate(lines) if line.startswith("def "))
    worded = [*lines[:first], "# a comment", "", *lines[first:]]
    path.write_text("\n".join(worded).replace('"""', '"""Put differently: ', 1), encoding="utf-8")
    assert ledger.version.__wrapped__("mmc-table2", copied) == before
    path.write_text(text.replace("return ", "return -", 1), encoding="utf-8")
    assert ledger.version.__wrapped__("mmc-table2", copied) != before
    path.write_text(text, encoding="utf-8")


def test_what_stands_beside_a_docstring_counts(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    found = set()
    for text in ('x = "a"  # one\n"""about x"""\n', 'x = "a"\n', 'x = "b"\n', 'x = "#a"\n'):
        path.write_text(text, encoding="utf-8")
        found.add(ledger.code_in(path))
    assert found == {b'x = "a"', b'x = "b"', b'x = "#a"'}


TRAINED = {
    "mmc-table2": "finetune mcpm mmc spatial_reweighting",
    "superpixel-noise": "coteaching jocor superpixel supervised",
    "ablation": "scnet supervised",
    "mlbseg-ablation": "mlbseg",
    "structure": "igtt",
    "igtt": "igtt",
    "rough-field": "mmc scnet",
    "two-annotators": "finetune mlbseg mmc supervised",
    "unseen-image": "scnet supervised",
}


@pytest.mark.parametrize("table", TRAINED)
def test_tables_reach_the_methods_that_they_train_and_no_other(table: str) -> None:
    found = {n for n in names(table) if n.startswith("methods/") and not n.endswith("__init__.py")}
    assert found == {f"methods/{name}.py" for name in TRAINED[table].split()}


@pytest.mark.parametrize("table", IN_MEMORY)
def test_tables_in_memory_reach_no_window_no_command_and_no_project(table: str) -> None:
    found = names(table)
    assert not [n for n in found if n.startswith(("gui/", "cli/", "exchange/", "worker/", "api/"))]
    assert "store/project.py" not in found
    assert {"losses.py", "data/loader.py", "methods.json"} < found


def test_every_benchmark_has_code_that_can_be_found() -> None:
    for name in benchmarks.names():
        module = f"benchmarks/{benchmarks.module_of(name)}"
        assert {f"{module}.py", f"{module}/__init__.py"} & names(name), name
    assert benchmarks.module_of("unseen-image-untrained") == "unseen"
    with pytest.raises(ValueError, match="nothing"):
        benchmarks.module_of("nothing")


def test_tables_of_commands_reach_what_these_run() -> None:
    found = names("rough-field")
    assert {"cli/training.py", "worker/child/execute.py", "store/project.py"} < found
    assert not [n for n in found if n.startswith("gui/")]


def test_every_command_that_a_table_runs_is_known() -> None:
    """The first word of `noisyseg("train", …)` in the sources of the tables."""
    known = set(reach.BY_NAME["benchmarks.trainings"])
    for module in {benchmarks.module_of(table) for table in tables.TABLES} | {"trainings"}:
        tree = ast.parse((reach.ROOT / "benchmarks" / f"{module}.py").read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            if name == trainings.noisyseg.__name__ and isinstance(call.args[0], ast.Constant):
                assert f"cli.{COMMANDS[str(call.args[0].value)][0]}" in known


def test_every_table_that_trains_by_a_command_names_the_method() -> None:
    for module in {benchmarks.module_of(table) for table in tables.TABLES} | {"trainings"}:
        tree = ast.parse((reach.ROOT / "benchmarks" / f"{module}.py").read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            words = [word.value for word in call.args if isinstance(word, ast.Constant)]
            assert words[:1] != ["train"] or "--method" in words, module


def test_packages_only_hand_names_on() -> None:
    """So a package may be passed by on the way to one of its modules; no table reaches gui."""
    harmless = (
        ast.Import,
        ast.ImportFrom,
        ast.Assign,
        ast.AnnAssign,
        ast.FunctionDef,
        ast.ClassDef,
    )
    for path in set(reach.ROOT.rglob("__init__.py")) - {reach.ROOT / "gui" / "__init__.py"}:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            checked = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            assert words or checked or isinstance(node, harmless), f"{path}:{node.lineno}"


def test_the_reach_holds_what_a_process_loads() -> None:
    """The modules of a process that has loaded a table, in rooms whose packages hand nothing on."""
    code = (
        "import json, sys; from napari_noisyseg.benchmarks import structure; print(json.dumps("
        "[m.__file__ for n, m in sys.modules.items() if n.startswith('napari_noisyseg.')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {Path(file).relative_to(reach.ROOT).as_posix() for file in json.loads(done.stdout)}
    rooms = ("data/", "learning/", "losses", "method", "nets/", "training/", "views")
    asked = {n for n in loaded if n.startswith(rooms) and not n.endswith("__init__.py")}
    assert len(asked) > 20
    assert asked - {"learning/presets.py"} <= names("structure")


def test_cells_of_two_tables_have_the_same_settings() -> None:
    arm = mmc.Arm("mmc", "partial")
    config = mmc.config_of(registry.load("mmc"), "small", arm, {})
    for settings in ({"correction_depth": mmc.DEPTHS["31"]}, mmc.MODES["fast"]):
        assert mmc.config_of(registry.load("mmc"), "small", arm, settings) == config
    assert mlbseg.SUPERVISION[mlbseg.CEILING] is mlbseg.ABLATION[mlbseg.CEILING]
