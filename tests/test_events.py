"""Events: what comes back is what was said, and nothing of a wrong type ever does."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_noisyseg import events
from napari_noisyseg.events import Event, Failed, Finished, Previewed, Stepped, from_json, to_json

KINDS = get_args(Event)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner,
                                                                max_size=3),
    max_leaves=5,
)  # fmt: skip


@pytest.mark.parametrize(
    "event",
    [
        Stepped(1, 2, 3, {"total": 0.5}, None),
        Previewed("a", "previews/1.npz", 3, (1.0, 2.5), 2.0),
        Finished(True, 2.0, {"nuclei": 3.0}, ("results/0.npz",)),
        Failed("größe\n", "hint"),
    ],
)
def test_an_event_comes_back(event: Event) -> None:
    assert from_json(to_json(event, 1.0)) == event
    assert from_json(to_json(event, 1.0).encode()) == event


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_event_has_a_field_of_a_wrong_type(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    record: dict[str, Any] = {"event": kind.__name__}
    for field in fields(kind):
        record[field.name] = data.draw(ANYTHING)
    event = from_json(json.dumps(record))
    if event is None:
        return
    for name, hint in get_type_hints(kind).items():
        value = getattr(event, name)
        if hint in (str, int, float, bool):
            assert type(value) is hint
        elif hint == dict[str, float]:
            assert all(type(k) is str and type(v) is float for k, v in value.items())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_a_line_holds_it_breaks_nothing(line: bytes | str) -> None:
    assert from_json(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '{"event": "Stepped", "epoch": ' + "9" * 400 + "}",
        '{"event": "Stepped", "epoch": ' + "9" * 9000 + "}",
        '{"event": "Warned", "message": "' + "x" * 2_000_000 + '"}',
        '{"event": ["Stepped"]}', '{"event": null}', "null", "7", '"text"', "[]",
        '{"event": "Stepped", "epoch": 0, "step": 1, "epochs": 1, "losses": {"total": "low"}}',
        '{"event": "Stepped", "epoch": true, "step": 1, "epochs": 1, "losses": {}}',
        '{"event": "Finished", "stopped": 0, "seconds": 1}',
    ],
    ids=range(13),
)  # fmt: skip
def test_what_no_run_says(line: str) -> None:
    assert from_json(line) is None


def test_texts_are_ones_that_can_be_shown() -> None:
    event = from_json('{"event": "Warned", "message": "a\\ud800b"}')
    assert event == events.Warned("a?b")
    long = from_json(json.dumps({"event": "Warned", "message": "x" * 50_000}))
    assert isinstance(long, events.Warned)
    assert len(long.message) == events.LONGEST_TEXT
