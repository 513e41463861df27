"""Rounds of relabelling, written by a run and read by whoever steps through them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import rounds

NAN = np.nan


def plane(*rows: list[float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


VALUES = {
    "before": plane([0, 0, 1], [1, 1, NAN]),
    "after": plane([1, 0, 1], [0, 1, NAN]),
    "loss": plane([1.8, 1.2, 0.2], [2.4, 0.1, NAN]),
    "vote": plane([0.91, 0.4, 0.8], [0.05, 0.9, NAN]),
    "rank": plane([0.12, 0.3, 0.8], [0.05, 0.9, NAN]),
    "taken": plane([1, 1, 0], [1, 0, NAN]),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of one image with two regions; the first lies at (10, 20) and is twice as large."""
    (tmp_path / "snapshot").mkdir()
    regions = [
        {"name": "a-0", "image": "a", "box": [10, 20, 14, 26]},
        {"name": "a-1", "image": "a", "box": [50, 20, 54, 26]},
        {"name": "b", "image": "b", "box": [0, 0, 4, 6]},
    ]
    (tmp_path / "snapshot" / "index.json").write_text(json.dumps({"regions": regions}))
    for number, region in ((2, "a-0"), (1, "a-0"), (1, "a-1"), (1, "b")):
        rounds.keep(tmp_path, number, 3 * number, region, VALUES)
    return tmp_path


def test_rounds_of_an_image_come_in_order(run: Path) -> None:
    found = rounds.of(run, "a")
    assert [(r.number, r.epoch, r.box.y0) for r in found] == [(1, 3, 10), (1, 3, 50), (2, 6, 10)]
    assert found[0].changed == pytest.approx(2 / 6)
    assert rounds.of(run, "c") == []


def test_maps_are_at_level_0(run: Path) -> None:
    maps = rounds.of(run, "a")[0].maps()
    assert {name: values.shape for name, values in maps.items()} == dict.fromkeys(VALUES, (4, 6))
    assert maps["after"].tolist()[0] == [1, 1, 0, 0, 1, 1]
    assert maps["after"].tolist()[3] == [0, 0, 1, 1, 2, 2]
    assert maps["loss"][2, 1] == pytest.approx(2.4, abs=2e-3)
    assert np.isnan(maps["vote"][3, 5])


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((10, 21), "relabelled as nucleus: loss 1.8 (largest 12 %), 0.91 of the vote"),
        ((13, 20), "relabelled as background: loss 2.4 (largest 5 %), 0.95 of the vote"),
        ((11, 22), "voted on and left as background: loss 1.2 (largest 30 %), 0.60 of the vote"),
        ((10, 25), "kept as nucleus: loss 0.2 (largest 80 %)"),
        ((13, 25), "no rough label here, or a clean one: never relabelled"),
        ((9, 25), ""),
        ((14, 25), ""),
    ],
)
def test_every_pixel_has_a_reason(run: Path, place: tuple[int, int], said: str) -> None:
    assert rounds.reason(rounds.of(run, "a")[0], *place) == said


def test_a_round_written_again_takes_the_place_of_the_first(run: Path) -> None:
    again = {**VALUES, "after": VALUES["before"]}
    rounds.keep(run, 1, 9, "a-0", again)
    found = rounds.of(run, "a")
    assert [(r.number, r.epoch, r.box.y0) for r in found] == [(1, 9, 10), (1, 3, 50), (2, 6, 10)]
    assert found[0].changed == 0
    for other in (found[1], rounds.of(run, "b")[0]):
        assert other.maps()["after"][0, 0] == 1


def test_a_run_without_rounds_has_none(tmp_path: Path) -> None:
    assert rounds.of(tmp_path, "a") == []


def test_damaged_rounds_are_told(run: Path) -> None:
    rounds.of(run, "a")[0].file.write_bytes(b"nothing")
    with pytest.raises(NoisySegError, match="cannot be read"):
        rounds.of(run, "a")[0].maps()
    (run / rounds.FOLDER / rounds.INDEX).write_text("{")
    with pytest.raises(NoisySegError, match="rounds cannot be read"):
        rounds.of(run, "a")
