"""What commands print of names and paths that a stranger may have chosen."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_noisyseg.cli.output import plain, print_json
from napari_noisyseg.store import Project

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_nothing_in_a_text_commands_the_terminal(text: str) -> None:
    told = plain(text)
    kinds = {unicodedata.category(letter) for letter in told if letter not in "\n\t"}
    assert not kinds & {"Cc", "Cs"}
    assert not set(told) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    told.encode()


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_what_can_be_read_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_escape_codes_in_names_are_shown_not_obeyed(
    tmp_path: Path, noisyseg: Callable[..., Any], tnbc: tuple[np.ndarray, np.ndarray]
) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\r\u202eimage"
    with Project.create(tmp_path / "a.noisyseg") as project:
        project.add_array(tnbc[0][:64, :64], evil, 0.25)
    missing = noisyseg("import", tmp_path / "a.noisyseg", tmp_path / "\x1b[31mgone.csv")
    for done in (noisyseg("info", tmp_path / "a.noisyseg"), missing):
        said = done.out + done.err
        assert not set(said) & set("\x1b\x07\r\u202e")
        assert "\\x1b[" in said
    assert missing.code == 2
    assert missing.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("info", "{long}"),
        ("create", "{long}.noisyseg", "--images", "{image}"),
        ("create", "{folder}/p.noisyseg", "--images", "{long}.png"),
        ("create", "{folder}/{deep}/p.noisyseg", "--images", "{image}"),
        ("export", "{project}", "{long}", "--format", "csv", "--layer", "rough"),
        ("evaluate", "{long}.tif", "{long}.tif"),
        ("simulate", "{image}", "{long}.tif", "--noise", "affine"),
        ("predict", "{image}", "--model", "starter", "--output", "{long}"),
    ],
)
def test_paths_that_are_too_long_are_told_so(
    field: Path, noisyseg: Callable[..., Any], words: tuple[str, ...]
) -> None:
    image = field / "field.png"
    assert noisyseg("create", field / "q.noisyseg", "--images", image).code == 0
    places = {
        "long": str(field / ("ä" * 200)), "image": str(image), "folder": str(field),
        "project": str(field / "q.noisyseg"), "deep": "/".join(["d" * 200] * 30),
    }  # fmt: skip
    before = sorted(p.name for p in field.iterdir())
    done = noisyseg(*[word.format(**places) for word in words])
    assert done.code == 2, done.err
    assert "longer than this system allows" in done.err or "nothing of “rough”" in done.err
    assert "space" not in done.err.replace(str(field), "")
    assert sorted(p.name for p in field.iterdir()) == before


def test_what_json_cannot_say_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"losses": [1.5, float("nan"), (float("inf"),)], "name": "a", "none": None})
    found = json.loads(capsys.readouterr().out)
    assert found == {"losses": [1.5, None, [None]], "name": "a", "none": None}
