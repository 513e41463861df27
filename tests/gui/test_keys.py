"""Which keys work now."""

from __future__ import annotations

from napari_noisyseg.gui.keys import ALWAYS, Binding, Keys


def pressed(log: list[str], word: str) -> Binding:
    return Binding(word, word, lambda: log.append(word))


def test_open_step_comes_before_always() -> None:
    keys, log = Keys(), list[str]()
    keys.bind(ALWAYS, Binding("Z", "undo", lambda: log.append("always")))
    keys.bind("review", Binding("Z", "undo", lambda: log.append("review")))
    keys.scope = "review"
    found = keys.find("Z")
    assert found is not None
    found.press()
    keys.scope = "train"
    found = keys.find("Z")
    assert found is not None
    found.press()
    assert log == ["review", "always"]


def test_keys_of_another_step_do_nothing() -> None:
    keys = Keys()
    keys.bind("review", pressed([], "A"))
    keys.scope = "annotate"
    assert keys.find("A") is None


def test_legend_lists_own_keys_first_and_each_once() -> None:
    keys = Keys()
    keys.bind(ALWAYS, pressed([], "F1"), pressed([], "A"))
    keys.bind("review", pressed([], "A"), pressed([], "R"))
    keys.scope = "review"
    assert [b.key for b in keys.legend()] == ["A", "R", "F1"]


def test_change_is_told() -> None:
    keys, told = Keys(), []
    keys.changed.connect(lambda: told.append(keys.scope))
    keys.scope = "train"
    assert told == ["train"]
