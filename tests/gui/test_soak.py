"""A day's work in fast motion: what is counted as growth, and that a short one goes well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_noisyseg.benchmarks.display import on_display
from napari_noisyseg.benchmarks.soak import report
from napari_noisyseg.gui.canvas import garbage
from napari_noisyseg.gui.wander.memory import Memory, census

pytestmark = pytest.mark.gui


def readings(megabytes: list[float], kinds: list[dict[str, int]] | None = None) -> Memory:
    memory = Memory()
    memory.acts = [25 * (n + 1) for n in range(len(megabytes))]
    memory.megabytes = megabytes
    memory.counts = [Counter(kind) for kind in kinds or [{}] * len(megabytes)]
    return memory


def test_what_fills_at_first_and_what_comes_and_goes_is_no_growth() -> None:
    flat = [400.0, 600, 700, *[800.0, 830, 800, 815, 800] * 6]
    assert readings(flat).growth() == pytest.approx(0, abs=5)
    # the last image is a large one
    assert readings([*flat[:-1], 1200.0]).growth() == pytest.approx(0, abs=10)


def test_a_leak_is_growth() -> None:
    leak = [500 + 10.0 * n + (30 if n % 3 else 0) for n in range(30)]
    # of the last two thirds
    assert readings(leak).growth() == pytest.approx(190, abs=20)


def test_objects_that_become_more_and_more_are_named() -> None:
    leaked = [{"ours.Leak": 10 * n, "ours.Layer": 5 + n % 3, "ours.Pool": 9} for n in range(12)]
    found = readings([1.0] * 12, leaked).grown()
    assert list(found) == ["ours.Leak"]


def test_objects_of_ours_are_counted() -> None:
    before = census()
    name = f"{Memory.__module__}.{Memory.__qualname__}"
    kept = [Memory() for _ in range(7)]
    assert census()[name] - before[name] == len(kept)


def test_no_search_for_garbage_where_no_layer_went(
    panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas, searches = sys.modules[garbage.SEARCHES], list[int]()
    session = panel.session
    session.require_image()
    viewer = session.viewer
    kept = SimpleNamespace(collect=lambda: searches.append(1))
    monkeypatch.setattr(canvas, "gc", kept)
    with session.together():
        viewer.add_points(name="theirs")
    assert searches == []
    with session.together():
        viewer.layers.remove(viewer.layers["theirs"])
    assert searches == [1]
    with session.guard(), session.together():
        raise KeyError
    assert canvas.gc is kept


def test_the_report_names_what_went_wrong_and_what_grew() -> None:
    trouble = {"act": 3, "did": "click", "words": "points differ", "before": []}
    soaked = {
        "acts": 50, "memory_growth_mb": 1.5, "megabytes": [600.0, 610.0], "worst_stall_ms": 70.0,
        "worst_turn_cpu_ms": 60.0, "exceptions": [], "disagreements": [trouble],
        "grown": {"ours.Leak": [3, 9]}, "layers": [20, 21],
    }  # fmt: skip
    found = report(soaked)
    assert found.figures == {
        "acts": 50, "memory_growth_mb": 1.5, "memory_mb": 610, "worst_stall_ms": 70,
        "worst_turn_cpu_ms": 60, "exceptions": 0, "disagreements": 1,
    }  # fmt: skip
    assert [row["what"] for row in found.rows] == [
        "act 3, click", "layers in the window", "ours.Leak"
    ]  # fmt: skip
    assert found.rows[1]["found"] == "600 MB with 20, 610 MB with 21"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_round_of_a_day(tmp_path: Path) -> None:
    """Every step once, with a training in it."""
    command = [sys.executable, "-m", "napari_noisyseg.gui.wander.soak", str(tmp_path), "1", "100"]
    done = subprocess.run(
        on_display(command), capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert (found["acts"], found["exceptions"], found["disagreements"]) == (100, [], [])
    assert np.isfinite(found["memory_growth_mb"])
