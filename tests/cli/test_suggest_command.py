"""`noisyseg suggest`, run as a person runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_noisyseg.cli import run


@pytest.fixture
def project(tnbc, tmp_path):
    rgb, labels = tnbc
    points = np.array(ndimage.center_of_mass(labels > 0, labels, np.unique(labels)[1:]))[::3]
    Image.fromarray(rgb).save(tmp_path / "a.png")
    rows = ["x,y", *(f"{x:.1f},{y:.1f}" for y, x in points)]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    made = tmp_path / "p.noisyseg"
    words = ["--images", str(tmp_path / "a.png"), "--points", str(tmp_path / "a.csv")]
    assert run(["create", str(made), *words, "--mpp", "0.25"]) == 0
    return made


def asked(capsys, *words):
    capsys.readouterr()
    assert run(["suggest", *map(str, words), "--json"]) == 0
    told = capsys.readouterr()
    return json.loads(told.out), told.err


def test_it_lists_then_keeps(project, capsys):
    first, said = asked(capsys, project)
    assert "complete fields" in said
    assert first["kept"] == 0
    assert first["suggested"] == len(first["suggestions"]) > 20
    scores = [row["score"] for row in first["suggestions"]]
    assert scores == sorted(scores, reverse=True)
    second, said = asked(capsys, project, "--keep-above", "0.5", "--incomplete")
    assert "declared complete" not in said
    assert second["kept"] == sum(score >= 0.5 for score in scores) > 0
    assert second["points"] == first["points"] + second["kept"]


def test_what_is_wrong_is_told(project, tmp_path, tnbc, capsys):
    assert run(["suggest", str(project), "--keep-above", "3"]) == 2
    assert "from 0 to 1" in capsys.readouterr().err
    Image.fromarray(np.full((300, 300, 3), 128, np.uint8)).save(tmp_path / "b.png")
    bare = tmp_path / "q.noisyseg"
    run(["create", str(bare), "--images", str(tmp_path / "b.png"), "--mpp", "0.25"])
    capsys.readouterr()
    assert run(["suggest", str(bare)]) == 2
    said = capsys.readouterr().err
    assert "no colours" in said
    assert "at least 5" in said


def test_without_a_click_the_starter_suggests(tnbc, tmp_path, capsys):
    Image.fromarray(tnbc[0]).save(tmp_path / "b.png")
    bare = tmp_path / "q.noisyseg"
    run(["create", str(bare), "--images", str(tmp_path / "b.png"), "--mpp", "0.25"])
    found, _ = asked(capsys, bare, "--keep-above", "0.4")
    assert found["kept"] == found["points"] > 5
    assert found["suggested"] > 5
