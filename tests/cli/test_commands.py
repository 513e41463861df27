"""Help everywhere, unknown words, methods, doctor, evaluate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

COMMANDS = [
    *("demo", "open", "create", "add", "info", "derive", "methods", "train", "runs", "stop"),
    *("predict", "review", "evaluate", "simulate", "export", "import", "benchmark", "doctor"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_everywhere(noisyseg, command: str) -> None:
    done = noisyseg(command, "--help")
    assert done.code == 0
    assert command in done.out


def test_no_command_names_them_all(noisyseg) -> None:
    done = noisyseg("--help")
    assert all(command in done.out for command in COMMANDS)


@pytest.mark.parametrize(
    "words", [("nonsense",), ("info",), ("info", "p", "--wat"), ("train", "x")]
)
def test_wrong_words_exit_with_2(noisyseg, words: tuple[str, ...]) -> None:
    done = noisyseg(*words)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("noisyseg: error: ")


def test_methods_lists_paper_and_needs(noisyseg) -> None:
    listed = {m["name"]: m for m in json.loads(noisyseg("methods", "--json").out)}
    assert {"scnet", "supervised"} <= set(listed)
    assert listed["scnet"]["needs"]["points"] is True
    assert "Lin" in listed["scnet"]["paper"]


def test_methods_and_info_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from napari_noisyseg.cli import run\n"
        "assert run(['methods']) == 0\n"
        "assert not any(m.startswith(('qtpy', 'napari.')) for m in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_import_is_light() -> None:
    code = (
        "import sys, napari_noisyseg\n"
        "print([m for m in ('torch', 'qtpy', 'napari', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_evaluate_against_the_truth(noisyseg, tmp_path: Path) -> None:
    truth = np.zeros((20, 20), np.uint16)
    truth[2:8, 2:8], truth[10:16, 10:16] = 1, 2
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    tifffile.imwrite(tmp_path / "a" / "one.tif", truth)
    tifffile.imwrite(tmp_path / "b" / "one.tif", np.where(truth == 1, truth, 0))
    done = noisyseg("evaluate", tmp_path / "b", tmp_path / "a", "--json")
    scored = json.loads(done.out)
    assert scored["images"]["one"] == scored["mean"]
    assert scored["mean"]["aji"] == pytest.approx(0.5)
    assert scored["mean"]["dice"] == pytest.approx(2 / 3)


def test_evaluate_takes_no_file_for_another(noisyseg, tmp_path: Path) -> None:
    for name, file in (("a", "one.ome.tif"), ("b", "one.tif"), ("b", "._one.tif")):
        (tmp_path / name).mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / name / file, np.eye(9, dtype=np.uint8))
    assert noisyseg("evaluate", tmp_path / "a", tmp_path / "b").code == 0
    tifffile.imwrite(tmp_path / "b" / "one.tiff", np.eye(9, dtype=np.uint8))
    done = noisyseg("evaluate", tmp_path / "a", tmp_path / "b")
    assert done.code == 2
    assert "one.tiff have the same name" in done.err


def test_evaluate_says_when_nothing_pairs(noisyseg, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / f"{name}.tif", np.zeros((5, 5), np.uint8))
    done = noisyseg("evaluate", tmp_path / "a", tmp_path / "b")
    assert done.code == 2
    assert "no label images with the same name" in done.err


def test_evaluate_names_the_files_that_do_not_fit(noisyseg, tmp_path: Path) -> None:
    for name, side in (("a", 5), ("b", 7)):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "one.tif", np.zeros((5, 5), np.uint8))
        tifffile.imwrite(tmp_path / name / "two.tif", np.zeros((5, side), np.uint8))
    done = noisyseg("evaluate", tmp_path / "a", tmp_path / "b")
    assert done.code == 2
    assert f"{tmp_path / 'a' / 'two.tif'} is 5 x 5 pixels" in done.err
    assert f"{tmp_path / 'b' / 'two.tif'} is 7 x 5 pixels" in done.err


def test_benchmarks_are_named_and_need_data(noisyseg, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "annotated-field" in noisyseg("benchmark", "--list").out
    monkeypatch.setenv("NOISYSEG_DATA", "/nowhere")
    done = noisyseg("benchmark", "coarse")
    assert done.code == 2
    assert "no data in /nowhere: give --data" in done.err
    assert "NOISYSEG_DATA" in done.err
    monkeypatch.delenv("NOISYSEG_DATA")
    assert "no folder with data was named: give --data" in noisyseg("benchmark", "coarse").err


@pytest.mark.gui
def test_doctor_finds_what_is_here(noisyseg) -> None:
    found = json.loads(noisyseg("doctor", "--json").out)
    assert found["zarr"]["works"]
    assert found["disk"]["works"]
