"""Which keys work now."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.keys import ALWAYS, Binding, Keys, moves_of, shown, text_of
from napari_noisyseg.gui.settings import setting


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


def test_a_key_can_be_another_one() -> None:
    keys, log = Keys(), list[str]()
    keys.bind(ALWAYS, pressed(log, "F1"))
    keys.bind("review", pressed(log, "S"), pressed(log, "M"))
    keys.scope = "review"
    keys.move("review", "S", "K")
    found = keys.find("K")
    assert found is not None
    found.press()
    assert log == ["S"]
    assert keys.find("S") is None
    assert [b.key for b in keys.legend()] == ["K", "M", "F1"]
    for taken in ("M", "F1"):
        with pytest.raises(NoisySegError, match=f"{taken} is already used for"):
            keys.move("review", "S", taken)
    assert text_of(keys.moved) == "review S K"
    assert moves_of(text_of(keys.moved)) == keys.moved
    assert moves_of("nonsense, review S , a b c d") == {}
    keys.move("review", "S", "S")
    assert keys.moved == {}


@pytest.mark.gui
def test_a_key_is_changed_in_the_list_and_kept(panel, hand, qtbot) -> None:
    hand.open_step("review")
    panel.show_cheat_sheet()
    sheet = panel._sheet
    qtbot.waitUntil(sheet.isVisible, timeout=3000)
    name = ("review", "S")
    qtbot.mouseClick(sheet.buttons[name], Qt.MouseButton.LeftButton)
    assert sheet.buttons[name].text() == "…"
    qtbot.keyClick(sheet, Qt.Key.Key_M)
    assert "M is already used for" in sheet.words.text()
    qtbot.keyClick(sheet, Qt.Key.Key_K)
    assert sheet.buttons[name].text() == "K"
    assert setting("keys", "own", "") == "review S K"
    find = panel.session.keys.find
    assert find("K").words == "cut it in two with a line"
    assert find("S") is None
    qtbot.mouseClick(sheet.reset_button, Qt.MouseButton.LeftButton)
    assert find("S") is not None
    assert setting("keys", "own", "") == ""
    sheet.close()


def test_keys_are_named_as_on_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    for system, name in {"Linux": "Ctrl+Shift+Z", "Darwin": "Cmd+Shift+Z"}.items():
        monkeypatch.setattr("platform.system", lambda system=system: system)
        assert (shown("Ctrl+Shift+Z"), shown("A")) == (name, "A")
