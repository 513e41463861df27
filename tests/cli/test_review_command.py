"""Two people, and a random audit, on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_noisyseg import samples

Command = Callable[..., Any]


@pytest.fixture
def demo(tmp_path: Path, noisyseg: Command) -> Path:
    samples.demo_project(tmp_path)
    path = tmp_path / "tnbc.noisyseg"
    noisyseg("review", path, "--clicks")
    return path


def serials(noisyseg: Command, path: Path, number: int, *words: str) -> list[int]:
    done = noisyseg("review", path, "--next", number, "--json", *words)
    return [row["serial"] for row in json.loads(done.out)["next"]]


def options(name: str, values: list[int]) -> list[object]:
    return [word for value in values for word in (name, value)]


def test_two_people_judge_and_agree(demo: Path, noisyseg: Command) -> None:
    assert noisyseg("review", demo, "--agreement").code == 2
    assert "only reports" in noisyseg("review", demo, "--agreement", "--accept", 1).err
    first = serials(noisyseg, demo, 6)
    words = [*options("--accept", first[:4]), *options("--reject", first[4:])]
    state = json.loads(noisyseg("review", demo, "--as", "ada", *words, "--json").out)
    assert (state["accepted"], state["rejected"], state["newly_accepted"]) == (4, 2, 4)
    blind = ("--as", "ben", "--blind")
    assert set(serials(noisyseg, demo, 10, *blind)) == set(first)
    would = noisyseg("review", demo, *blind, *options("--reject", first[:1]), "--dry-run")
    assert f"{first[0]}: unreviewed -> rejected" in would.out
    said = noisyseg("review", demo, *blind, *options("--accept", first[:5]), "--json")
    assert json.loads(said.out)["accepted"] == 5
    assert serials(noisyseg, demo, 10, *blind) == first[5:]
    agreed = json.loads(noisyseg("review", demo, "--agreement", "--json").out)
    (pair,) = agreed["pairs"]
    assert (pair["first"], pair["second"], pair["judged"], pair["same"]) == ("ada", "ben", 5, 4)
    assert len(agreed["disagreements"]) == 1
    told = noisyseg("review", demo, "--agreement").out
    assert "ada and ben: 4 of 5 alike" in told
    # what stands is the first one's word
    assert json.loads(noisyseg("review", demo, "--json").out)["rejected"] == 2


def test_the_audit_is_told(demo: Path, noisyseg: Command) -> None:
    audit = json.loads(noisyseg("review", demo, "--json").out)["audit"]
    assert (audit["drawn"], audit["not_looked_at"], audit["precision"]) == (0, 117, None)
    assert not audit["stop"]
    assert "20 more random nuclei" in audit["advice"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--blind",), "give --as NAME"),
        (("--as", "ben", "--blind", "--accept-above", "0.9"), "leave out --accept-above"),
        (("--accept", "3", "--reject", "3"), "nucleus 3 is named more than once"),
        (("--accept", "999999"), "nucleus 999999: no nucleus with this serial"),
    ],
)
def test_bad_words_change_nothing(
    demo: Path, noisyseg: Command, words: tuple[str, ...], error: str
) -> None:
    done = noisyseg("review", demo, *words)
    assert done.code == 2
    assert error in done.err
    assert json.loads(noisyseg("review", demo, "--json").out)["accepted"] == 0
