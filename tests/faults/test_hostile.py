"""Files of others that once hung the program, filled the memory or broke it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_noisyseg import benchmarks
from napari_noisyseg.benchmarks import faults
from napari_noisyseg.benchmarks.faults import hostile, monsters
from napari_noisyseg.benchmarks.faults.hostile import Child
from napari_noisyseg.cli.output import print_table

LONG = (
    "huge_png_of_one_bit", "huge_png_of_colours_of_16_bits", "huge_label_png_of_one_bit",
    "huge_tiff_of_one_bit", "identical_outlines", "model_that_learned_no_numbers",
)  # fmt: skip
"""Seconds each."""
READ = {
    "large_label_value", "large_label_value_in_an_image", "huge_png_of_one_bit",
    # what a run says is not needed to look at it
    "pipe_for_a_runs_events", "pipe_for_a_runs_process", "json_as_no_program_writes_it",
}  # fmt: skip


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A process that also finds the readers beside this file."""
    with pytest.MonkeyPatch.context() as patch:
        places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, places)))
        made = Child(tmp_path_factory.mktemp("scratch"))
        yield made
        made.close()


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in monsters.names()],
)
def test_monsters_are_refused_or_read_in_time_and_memory(
    child: Child, tmp_path: Path, name: str
) -> None:
    sample = monsters.make(tmp_path / "in", name)
    (tmp_path / "out").mkdir()
    found = child.ask(sample.reader, sample.path, tmp_path / "out")
    assert not found.fault, found
    assert found.outcome == ("read" if name in READ else "refused"), found.words
    if found.outcome == "refused":
        assert "\n" not in found.words
        # the file itself, or what lies beside or in it
        assert str(tmp_path) in found.words


@pytest.mark.parametrize(
    ("reader", "outcome"),
    [("breaks", "internal"), ("waits", "hang"), ("fills", "memory"), ("tidies", "read")],
)
def test_the_watch_sees_what_must_not_be(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, outcome: str
) -> None:
    assert _watched(child, tmp_path, monkeypatch, reader).outcome == outcome


@pytest.mark.parametrize("reader", ["strays", "follows"])
def test_the_watch_sees_what_is_written_elsewhere(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    found = _watched(child, tmp_path, monkeypatch, reader)
    assert found.outside == (str((tmp_path / "elsewhere").resolve()),)
    assert found.fault


def _watched(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> hostile.Tried:
    monkeypatch.setattr(hostile, "MEMORY", 2**29)
    monkeypatch.setattr(hostile, "SECONDS", 2.0 if reader == "waits" else 60.0)
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "file").touch()
    return child.ask(f"bad_readers:{reader}", tmp_path / "in" / "file", tmp_path / "out")


@pytest.mark.long
def test_a_short_campaign_finds_nothing(tmp_path: Path) -> None:
    readers = ("image", "points", "masks", "settings")
    campaign = hostile.run(inputs=30, seed=7, folder=tmp_path / "faults", readers=readers)
    assert not campaign.faults, campaign.faults[0]
    assert campaign.counts() == {
        "inputs": 30, "internal": 0, "hangs": 0, "over_memory": 0, "outside": 0, "half": 0
    }  # fmt: skip
    assert set(campaign.by_reader) <= set(readers)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_long_campaign_finds_nothing(tmp_path: Path) -> None:
    campaign = hostile.run(inputs=2_000, seed=11, folder=tmp_path / "faults")
    assert not campaign.faults, campaign.faults[:3]


def test_the_benchmark_has_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(faults, "ENGINES", {})
    monkeypatch.setattr(faults, "INPUTS", (5, 5))
    monkeypatch.setenv(faults.READERS, "points")
    monkeypatch.setenv(faults.KEPT, str(tmp_path))
    report = benchmarks.load("faults")(tmp_path, False)
    assert report.figures == dict.fromkeys(faults.FIGURES, 0.0) | {"inputs": 5.0}
    assert [row["part"] for row in report.rows] == ["points"]
    print_table(report.rows)
    assert "points" in capsys.readouterr().out
