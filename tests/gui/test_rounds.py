"""Stepping through the rounds of a run: what each relabelled, and why, is seen on the tissue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.docks.review.rounds import GainPlot
from napari_noisyseg.gui.docks.train.rounds import POINT_AT, RoundsView
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.widgets.theme import palette
from napari_noisyseg.store import rounds
from napari_noisyseg.worker.adoption.gains import Round


@pytest.fixture
def run(bare: Session, tmp_path: Path, tnbc: Any) -> Path:
    """A run's folder with two rounds: the first adds a nucleus, the second removes another."""
    record, truth = bare.require_image(), tnbc[1]
    first, second = np.unique(truth)[1:3]
    given = (truth > 0) & (truth != first)
    folder = tmp_path / "a run"
    (folder / "snapshot").mkdir(parents=True)
    box = [0, 0, *truth.shape]
    entry = {"name": record.name, "image": record.name, "box": box}
    (folder / "snapshot" / "index.json").write_text(json.dumps({"regions": [entry]}), "utf-8")
    states = [given, truth > 0, (truth > 0) & (truth != second)]
    for number in (1, 2):
        before, after = (state.astype(np.float32) for state in states[number - 1 : number + 1])
        why = {name: np.full(truth.shape, 0.75, np.float32) for name in ("loss", "vote", "rank")}
        maps = {"before": before, "after": after, "taken": (before != after) * 1.0, **why}
        rounds.keep(folder, number, number * 3, record.name, maps)
    return folder


@pytest.fixture
def view(bare: Session, qtbot: Any) -> Iterator[RoundsView]:
    jobs = Jobs()
    made = RoundsView(bare, jobs)
    qtbot.addWidget(made)
    yield made
    made.closing()
    jobs.close()


@pytest.mark.gui
def test_back_and_on_through_the_rounds(
    bare: Session, view: RoundsView, run: Path, tnbc: Any, qtbot: Any
) -> None:
    truth, record = tnbc[1], bare.require_image()
    first, second = np.unique(truth)[1:3]

    def changes() -> Any:
        layer = layers.find(bare.viewer, record.name, "changes")
        return np.asarray(layer.data) if layer is not None else np.zeros_like(truth)

    assert view.isHidden()
    view.look(run)
    qtbot.waitUntil(lambda: not view.isHidden(), timeout=5000)
    assert view.line.text() == "2 rounds of relabelling"
    view.next_button.click()
    qtbot.waitUntil(lambda: bool((changes()[truth == second] == 3).all()), timeout=5000)
    assert view.line.text().startswith("round 2 of 2")
    assert not view.next_button.isEnabled()
    view.back_button.click()
    qtbot.waitUntil(lambda: bool((changes()[truth == first] == 2).all()), timeout=5000)
    assert (changes()[truth == second] == 1).all()
    assert (changes()[truth == 0] == 0).all()
    assert view.reason.text() == POINT_AT
    y, x = np.argwhere(truth == first)[0]
    view._pointed(bare.viewer, _at(bare, y, x))
    assert "relabelled as nucleus: loss 0.75 (largest 75 %)" in view.reason.text()
    view.look(None)
    assert view.isHidden()


def _at(session: Session, y: int, x: int) -> Any:
    layer = layers.find(session.viewer, session.require_image().name, "image")
    return SimpleNamespace(position=tuple(layer.data_to_world((y, x))))


@pytest.mark.gui
def test_a_damaged_round_is_told_in_words(
    bare: Session, view: RoundsView, run: Path, qtbot: Any
) -> None:
    bare.expects_errors = True  # type: ignore[attr-defined]
    said: list[str] = []
    bare.noticed.connect(said.append)
    for path in (run / "rounds").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:40])
    view.look(run)
    qtbot.waitUntil(lambda: not view.isHidden(), timeout=5000)
    view.step(1)
    qtbot.waitUntil(lambda: bool(said), timeout=5000)
    assert "cannot be read" in said[0]


def test_minutes_are_told_as_they_are(qtbot: Any) -> None:
    plot = GainPlot(palette())
    qtbot.addWidget(plot)
    plot.show()
    plot.show_rounds([gain(0.0, 0.6), gain(0.09, 0.8)])
    plot.grab()
    assert plot.getPlotItem().getAxis("bottom").labelString().count("minutes reviewed") == 1
    assert "x0.001" not in plot.getPlotItem().getAxis("bottom").labelString()


def gain(minutes: float, right: float) -> Round:
    """A round of so many minutes that has so much of the held-out decisions right."""
    empty: dict[str, Any] = {one.name: None for one in fields(Round)}
    return Round(**empty | {"minutes": minutes, "right": right})
