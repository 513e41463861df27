"""A napari or a Qt that the panel does not work with is refused in words, at its import."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import napari
import pytest
import qtpy

import napari_noisyseg.gui
from napari_noisyseg.cli import doctor
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui import fit

OTHER_NAPARI = """
import sys, types
fake = types.ModuleType("napari")
fake.__version__ = "0.7.1"
sys.modules["napari"] = fake
"""


@pytest.mark.parametrize("version", ["0.6.6", "0.7.0", "0.8.1.dev3+gabc", "0.4.19"])
def test_an_older_napari_is_refused_and_the_way_out_told(version: str) -> None:
    words = fit.trouble(version, "PySide6")
    assert words is not None
    assert version in words
    assert "pip install --upgrade" in words


@pytest.mark.parametrize("version", ["0.9.0", "0.9.2rc1", "0.10.0", "1.0"])
@pytest.mark.parametrize("qt", ["PySide6", "PyQt6", None])
def test_what_works_is_let_in(version: str, qt: str | None) -> None:
    assert fit.trouble(version, qt) is None


def test_no_napari_at_all() -> None:
    assert "napari-noisyseg[napari]" in (fit.trouble(None, None) or "")


@pytest.mark.parametrize("qt", ["PyQt5", "PySide2"])
def test_qt_5_is_refused(qt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qtpy, "API_NAME", qt)
    with pytest.raises(NoisySegError, match=f"runs on {qt}: pip"):
        importlib.reload(napari_noisyseg.gui)


def test_the_napari_that_runs_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(napari, "__version__", "0.8.0")
    with pytest.raises(NoisySegError, match=r"this is napari 0\.8\.0"):
        fit.check()


@pytest.mark.parametrize("module", ["panel", "alone", "readers", "commands", "samples", "writers"])
def test_whatever_napari_imports_says_it(module: str) -> None:
    code = f"{OTHER_NAPARI}\nimport napari_noisyseg.gui.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "napari_noisyseg.errors.NoisySegError: NoisySeg needs napari 0.9, and this is napari 0.7.1"
    )


def test_doctor_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor._child
    monkeypatch.setattr(doctor, "_child", lambda code: real(OTHER_NAPARI + code))
    check = doctor._napari()
    assert not check.works
    assert check.mend.startswith("NoisySeg needs napari 0.9, and this is napari 0.7.1")


def test_open_tells_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = (
        f"{OTHER_NAPARI}\nimport napari_noisyseg.cli.show as show\n"
        "show.has_display = lambda: True\n"
        "from napari_noisyseg.cli import main; sys.argv = ['noisyseg', 'open']; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("noisyseg: error: NoisySeg needs napari 0.9")
    assert done.stderr.count("\n") == 1
