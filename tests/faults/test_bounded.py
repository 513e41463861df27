"""What is read of others, within bounds."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_noisyseg import bounded_json, bounded_npz, regular_file
from napari_noisyseg.errors import NoisySegError

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**39), 10**39) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(DOCUMENTS)
def test_what_a_program_writes_is_read_as_it_is(document: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps(document, ensure_ascii=ascii_only)
        assert repr(bounded_json.parse(text, "it")) == repr(document)
        assert repr(bounded_json.parse(text.encode(), "it")) == repr(document)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_anything_else_is_refused_in_words(text: str | bytes) -> None:
    with contextlib.suppress(NoisySegError):
        json.dumps(bounded_json.parse(text, "it"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100 + "]" * 100, "nested more than 64"),
        ("[" * 10**6, "nested more than 64"),
        ("9" * 41, "41 digits"),
        ("[" + "9" * 5_000 + "]", "digits"),
        ('{"a": "\\ud800"}', "lone surrogate"),
        ('{"\\uDFFF": 1}', "lone surrogate"),
        ("{", "line 1: not JSON"),
        (b"\xff\xfe", "not JSON that a program would write"),
    ],
)
def test_bounds(text: str | bytes, words: str) -> None:
    with pytest.raises(NoisySegError, match=words):
        bounded_json.parse(text, "it")


def test_letters_of_two_escapes_are_read() -> None:
    assert bounded_json.parse('"\\ud83d\\ude00"', "it") == "😀"


def test_many_values_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_json, "MAX_VALUES", 10)
    with pytest.raises(NoisySegError, match="12 values"):
        bounded_json.parse(json.dumps([0] * 12), "it")


@pytest.mark.parametrize("document", ["[]", "1", '"x"', "null"])
def test_a_record_is_an_object(tmp_path: Path, document: str) -> None:
    (tmp_path / "a.json").write_text(document)
    with pytest.raises(NoisySegError, match="no JSON object"):
        bounded_json.read_record(tmp_path / "a.json")


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="pipes have no names here")
def test_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        assert not regular_file.is_file(tmp_path / name)
        for act in (regular_file.check, regular_file.opened):
            with pytest.raises(NoisySegError, match=f"{name} is not a regular file"):
                act(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "words"),
    [("x" * 300, "longer than this system allows"), ("gone", "there is no file"), ("", "a folder")],
)
def test_what_cannot_be_opened_is_told_with_advice(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(NoisySegError, match=words):
        regular_file.opened(tmp_path / name)


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(NoisySegError, match="in a circle"):
        regular_file.read_text(tmp_path / "a", 100)


def test_a_link_to_a_file_is_as_good_as_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert regular_file.read_text(tmp_path / "b", 100) == "text"


# --- arrays --------------------------------------------------------------------------------------


def packed(tmp_path: Path, **arrays: Any) -> Path:
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    return tmp_path / "a.npz"


def test_arrays_are_read_as_they_were(tmp_path: Path) -> None:
    arrays = {"a": np.arange(12.0).reshape(3, 4), "b": np.zeros((2, 0), bool), "c": np.int16(3)}
    found = bounded_npz.read(packed(tmp_path, **arrays))
    assert set(found) == set(arrays)
    for name, values in arrays.items():
        assert np.array_equal(found[name], values)
        assert found[name].dtype == np.asarray(values).dtype


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.zeros(200)}, "more than expected"),
        ({"a": np.array([{}], object)}, "not of numbers"),
        ({"a": np.array(["x"])}, "not of numbers"),
        ({"b": np.zeros(2)}, "it has no 'a'"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(NoisySegError, match=words):
        bounded_npz.read(packed(tmp_path, **arrays), 1000, ["a"])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), value=st.binary(min_size=1, max_size=8))
def test_damaged_arrays_are_read_or_refused(tmp_path: Path, place: int, value: bytes) -> None:
    whole = io.BytesIO()
    np.savez(whole, a=np.arange(8), b=np.ones((2, 2), np.float16))
    data = bytearray(whole.getvalue())
    place %= len(data)
    data[place : place + len(value)] = value
    (tmp_path / "a.npz").write_bytes(data)
    with contextlib.suppress(NoisySegError):
        found = bounded_npz.read(tmp_path / "a.npz", 10_000)
        assert sum(a.nbytes for a in found.values()) <= 10_000
