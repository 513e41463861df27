from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_noisyseg import methods, registry
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.method import Needs


def test_names_are_the_files() -> None:
    files = Path(methods.__path__[0]).glob("[!_]*.py")
    assert registry.names() == sorted(file.stem.replace("_", "-") for file in files)
    assert {"scnet", "supervised"} <= set(registry.names())


def test_stored_descriptions_are_true() -> None:
    stored = registry.DESCRIPTIONS.read_text(encoding="utf-8")
    assert stored == registry.generate(), "stale: run python -m napari_noisyseg.registry"


def test_describes_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from napari_noisyseg import registry\n"
        "print([registry.describe(name).title for name in registry.names()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SC-Net" in done.stdout


def test_describes_scnet() -> None:
    description = registry.describe("scnet")
    assert description.needs == Needs(
        points=True, halves=True, labels=("voronoi", "cluster", "local", "outline")
    )
    assert description.shows == ("uncertainty",)
    assert description.presets["paper"]["crop"] == 224
    assert description.presets["small"]["working_mpp"] == 0.5
    eta = description.schema["properties"]["eta"]
    assert eta["default"] == 1.0
    assert eta["type"] == "number"
    assert "Eq. 9" in eta["description"]


def test_presets_name_every_setting() -> None:
    for name in registry.names():
        description = registry.describe(name)
        for values in description.presets.values():
            assert values.keys() == description.schema["properties"].keys()


def test_a_preset_says_of_every_value_why_it_is_not_the_papers() -> None:
    for name in registry.names():
        described = registry.describe(name)
        paper = described.presets["paper"]
        assert described.reasons["paper"] == {}
        for preset in ("small", "recommended"):
            values, reasons = described.presets[preset], described.reasons[preset]
            changed = {key for key in values if values[key] != paper[key]} - {"preset"}
            assert reasons.keys() == changed, (name, preset)
            assert all(len(why.split()) > 3 for why in reasons.values())


def test_paper_reads_nuclei_from_the_prediction_alone() -> None:
    for name in registry.names():
        presets = registry.describe(name).presets
        assert presets["paper"]["splitting"] == "components"
        assert presets["recommended"]["splitting"] == presets["small"]["splitting"] == "centres"


def test_the_page_of_presets_is_made_from_the_code() -> None:
    page = registry.PRESETS_PAGE.read_text(encoding="utf-8")
    assert page == registry.presets_page(), "stale: run python -m napari_noisyseg.registry"
    assert "| `working_mpp` | 0.25 |  | 0.5 |" in page


def test_unknown_names_get_the_choice() -> None:
    with pytest.raises(NoisySegError, match=r"'scnett'.*scnet.*supervised"):
        registry.describe("scnett")
    with pytest.raises(NoisySegError, match="choose one of"):
        registry.load("../scnet")


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(NoisySegError, match=r"pip install .*\[train\]"):
        registry.load("scnet")


def test_a_new_file_needs_no_other_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stored = json.loads(registry.DESCRIPTIONS.read_text(encoding="utf-8"))
    known = registry.describe("supervised")
    stored.pop("supervised")
    (tmp_path / "methods.json").write_text(json.dumps(stored), encoding="utf-8")
    monkeypatch.setattr(registry, "DESCRIPTIONS", tmp_path / "methods.json")
    registry.describe.cache_clear()
    assert registry.describe("supervised") == known


def test_a_broken_new_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken_one.py").write_text("raise ValueError('half written')", encoding="utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    assert "broken-one" in registry.names()
    registry.describe.cache_clear()
    with pytest.raises(JobError, match="broken-one cannot be described"):
        registry.describe("broken-one")
