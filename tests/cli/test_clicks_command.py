"""The outlines at clicks, judged and learned from on the command line, before any training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_noisyseg import samples


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    samples.demo_project(tmp_path)
    return tmp_path / "tnbc.noisyseg"


def test_the_outlines_at_clicks_are_listed_and_accepted(
    demo: Path, noisyseg: Callable[..., Any], tmp_path: Path
) -> None:
    done = noisyseg("review", demo)
    assert done.code == 0
    assert "to review the 117 clicks: --clicks" in done.err
    listed = json.loads(noisyseg("review", demo, "--clicks", "--json").out)
    assert listed["nuclei"] == 117
    assert len(listed["next"]) == 10
    accepted = json.loads(noisyseg("review", demo, "--accept-above", "0.9", "--json").out)
    assert 10 < accepted["newly_accepted"] < 117
    out = noisyseg("export", demo, tmp_path / "out", "--format", "geojson", "--layer", "accepted")
    assert out.code == 0


def test_without_anything_to_review_the_next_step_is_said(
    noisyseg: Callable[..., Any], tmp_path: Path
) -> None:
    project = tmp_path / "case.noisyseg"
    noisyseg("create", project, "--images", samples.FIELD, "--mpp", 0.25)
    done = noisyseg("review", project)
    assert done.code == 0
    assert "'noisyseg train PROJECT' first" in done.err
    assert "clicks" not in done.err


def test_too_little_to_learn_from_is_said(demo: Path, noisyseg: Callable[..., Any]) -> None:
    pytest.importorskip("torch")
    assert "outlines learn from 8 accepted" in noisyseg("adapt", demo).out
    lesson = json.loads(noisyseg("adapt", demo, "--json").out)
    assert (lesson["used"], lesson["nuclei"]) == (False, 0)
