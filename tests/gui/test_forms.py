from __future__ import annotations

from typing import Annotated, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, create_model
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_noisyseg import registry
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.widgets.forms import ConfigForm
from napari_noisyseg.gui.widgets.parts import More
from napari_noisyseg.gui.widgets.schema import form_fields
from napari_noisyseg.method import MethodConfig

pytestmark = pytest.mark.gui


class Config(MethodConfig):
    """A method's settings with everything that is hard on a form."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    """Adam's step"""
    weight_decay: float = 1e-12
    """far below two decimals"""
    huge: float = 6.02e23
    """far above a spin box"""
    third: float = 1 / 3
    """as many digits as there are"""
    coarse: Literal["cluster", "local", "both"] = "cluster"
    """which coarse label"""
    flip: bool = False
    """mirror the tiles"""
    seed: int = 2**40
    """more than 32 bits"""
    name: str = "ä b"
    """a word"""


SCHEMA = Config.model_json_schema()


def form(qtbot, schema=SCHEMA, **options) -> ConfigForm:
    made = ConfigForm(schema, **options)
    qtbot.addWidget(made)
    return made


def test_every_default_survives_the_form(qtbot):
    shown = form(qtbot)
    assert Config(**shown.values()).model_dump() == Config().model_dump()
    assert set(shown.values()) == set(Config.model_fields)
    assert shown.changes() == {"preset": "paper"}


@pytest.mark.parametrize("value", [1e-4, 1e-12, 6.02e23, 1 / 3, 0.1 + 0.2, 1.0, -2.5e-8])
def test_a_number_reads_back_to_the_last_digit(qtbot, value):
    shown = form(qtbot)
    shown.set_values({"third": value})
    assert shown.values()["third"] == value


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    number=st.floats(allow_nan=False, allow_infinity=False),
    whole=st.integers(-(2**60), 2**60),
    word=st.text(st.characters(categories=("L", "N", "P"))),
    flag=st.booleans(),
)
def test_any_default_survives(qtbot, number, whole, word, flag):
    made = create_model(
        "Made", number=(float, number), whole=(int, whole), word=(str, word), flag=(bool, flag)
    )
    shown = ConfigForm(made.model_json_schema())
    got = shown.values()
    shown.deleteLater()
    assert got == {"number": number, "whole": whole, "word": word, "flag": flag}
    assert [type(got[k]) for k in ("number", "whole", "word", "flag")] == [float, int, str, bool]


def test_typed_text_is_what_is_read(qtbot):
    shown = form(qtbot)
    editor = shown.editor("learning_rate")
    with qtbot.waitSignal(shown.changed):
        editor.clear()
        qtbot.keyClicks(editor, "3e-5")
    assert shown.changes() == {"preset": "paper", "learning_rate": 3e-5}
    editor.setText("0,25")
    assert shown.values()["learning_rate"] == 0.25


@pytest.mark.parametrize(
    ("text", "word"),
    [("0", "above 0"), ("1.5", "at most 1"), ("-1", "above 0"), ("quick", "not a number")],
)
def test_a_wrong_number_is_named_in_words(qtbot, text, word):
    shown = form(qtbot)
    shown.editor("learning_rate").setText(text)
    assert word in shown.problem()
    assert "Learning rate" in shown.problem()
    with pytest.raises(NoisySegError, match="Learning rate"):
        shown.values()
    assert shown.editor("learning_rate").toolTip() == shown.problem()


def test_whole_numbers_keep_their_bounds(qtbot):
    shown = form(qtbot)
    shown.editor("batch_size").setText("0")
    assert shown.problem() == "Batch size: must be at least 1"
    shown.editor("batch_size").setText("1.5")
    assert shown.problem() == "Batch size: '1.5' is not a whole number"
    shown.editor("batch_size").setText("4")
    shown.editor("epochs").setText("100001")
    assert "at most" in shown.problem()


def test_a_preset_moves_what_nobody_touched(qtbot):
    presets = {"paper": {}, "small": {"batch_size": 2, "learning_rate": 1e-3, "working_mpp": 0.5}}
    shown = form(qtbot, presets=presets)
    shown.editor("working_mpp").setText("0.4")
    shown.editor("preset").set("small")
    assert shown.changes() == {"preset": "small", "working_mpp": 0.4}
    assert shown.values()["learning_rate"] == 1e-3
    shown.editor("preset").set("paper")
    assert shown.values()["learning_rate"] == 1e-4
    assert shown.changes() == {"preset": "paper", "working_mpp": 0.4}


def test_an_automatic_preset_is_left_to_the_run(qtbot):
    presets = {"paper": {}, "small": {"batch_size": 2}}
    shown = form(qtbot, presets=presets, automatic="small")
    assert shown.changes() == {}
    assert shown.values()["batch_size"] == 2
    shown.editor("batch_size").set(3)
    assert shown.changes() == {"batch_size": 3}
    shown.editor("preset").set("paper")
    assert shown.changes() == {"preset": "paper", "batch_size": 3}


def test_another_automatic_preset_moves_what_nobody_touched(qtbot):
    presets = {"paper": {}, "small": {"batch_size": 2, "learning_rate": 1e-3}}
    shown = form(qtbot, presets=presets, automatic="small")
    shown.editor("batch_size").set(3)
    shown.set_automatic("paper")
    assert shown.editor("preset").currentText() == "automatic (paper)"
    assert shown.values()["learning_rate"] == 1e-4
    assert shown.changes() == {"batch_size": 3}
    shown.editor("preset").set("small")
    shown.set_automatic("small")
    assert shown.changes() == {"preset": "small", "batch_size": 3}


def test_what_matters_comes_first_and_hidden_is_left_out():
    fields = form_fields(SCHEMA, hidden=("epochs",))
    names = [field.name for field in fields]
    assert names[:4] == ["preset", "working_mpp", "batch_size", "coarse"]
    assert "epochs" not in names
    assert not any(field.important for field in fields[4:])
    assert {f.name: f.help for f in fields}["coarse"] == "which coarse label"


def test_the_rest_opens_under_more(qtbot):
    shown = form(qtbot)
    shown.show()
    more = shown.findChild(More)
    assert not shown.editor("weight_decay").isVisible()
    assert shown.editor("coarse").isVisible()
    more.toggle.click()
    assert shown.editor("weight_decay").isVisible()


def test_scrolling_past_changes_nothing(qtbot):
    shown = form(qtbot)
    shown.show()
    editor = shown.editor("preset")
    middle = QPointF(editor.rect().center())
    event = QWheelEvent(
        middle, editor.mapToGlobal(middle), QPoint(0, -120), QPoint(0, -120),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase,
        False,
    )  # fmt: skip
    QApplication.sendEvent(editor, event)
    assert shown.values()["preset"] == "paper"


def test_nested_settings_are_refused():
    with pytest.raises(TypeError, match="inner"):
        form_fields({"properties": {"inner": {"type": "object", "default": {}}}})


@pytest.mark.parametrize("name", registry.names())
def test_every_method_of_ours_survives_its_form(qtbot, name):
    described = registry.describe(name)
    for preset in ("small", "recommended", "paper"):
        shown = form(qtbot, described.schema, presets=described.presets)
        shown.editor("preset").set(preset)
        assert shown.values() == described.presets[preset]
        assert shown.changes().keys() <= {"preset"}
        assert shown.problem() == ""
