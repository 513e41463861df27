"""Messages are whole, stay as long as they should, and leave room for the panel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QEnterEvent
from qtpy.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget

from napari_noisyseg.gui.widgets import notes as module
from napari_noisyseg.gui.widgets.notes import Notes
from napari_noisyseg.gui.widgets.theme import palette, stylesheet

pytestmark = pytest.mark.gui
EMPTY = (
    "No nucleus is marked in field 1 of case17. Click its nuclei (step 1), or choose a method that "
    "needs no annotation."
)
HELD = (
    "/home/pathology/Fälle/2026/verylongfoldername_without_any_space_in_it_at_all/case17.noisyseg "
    "is held by another window. Close that one, or open it for reading."
)
KEPT = "23 suggestions kept; Ctrl+Z undoes it"


@pytest.fixture
def panel(qtbot: Any) -> Any:
    made = QWidget()
    made.setObjectName("noisysegPanel")
    made.setStyleSheet(stylesheet(palette()))
    box = QVBoxLayout(made)
    box.setContentsMargins(0, 0, 0, 0)
    box.addWidget(QLabel("the steps"), 1)
    made.notes = Notes(palette())
    box.addWidget(made.notes)
    qtbot.addWidget(made)
    made.resize(340, 640)
    made.show()
    return made


def settled() -> None:
    """Layouts have come to rest."""
    for _ in range(5):
        QApplication.processEvents()


def whole(note: Any) -> bool:
    """Whether all of the words are in sight."""
    settled()
    bar = note.text.verticalScrollBar()
    return note.isVisible() and bar.maximum() == 0 and note.text.height() >= note.text.needed()


def test_without_a_message_it_takes_no_room(panel: Any) -> None:
    assert not panel.notes.isVisible()
    assert panel.notes.texts() == []


@pytest.mark.parametrize("width", [300, 340, 600])
def test_a_long_refusal_is_whole_at_every_width(panel: Any, width: int) -> None:
    panel.resize(width, 900)
    for text in (EMPTY, HELD):
        panel.notes.warn(text)
        assert whole(panel.notes.refusal)
        assert panel.notes.refusal.text.toPlainText() == text


def test_refusals_queue_with_the_newest_in_front(panel: Any, qtbot: Any) -> None:
    notes = panel.notes
    notes.warn(EMPTY)
    assert notes.refusal.count.isHidden()
    notes.warn(HELD)
    notes.warn(HELD)
    assert notes.texts() == [HELD, EMPTY]
    assert notes.refusal.count.text() == "1 of 2"
    qtbot.mouseClick(notes.refusal.close_button, Qt.MouseButton.LeftButton)
    assert notes.texts() == [EMPTY]
    assert notes.refusal.count.isHidden()
    qtbot.mouseClick(notes.refusal.close_button, Qt.MouseButton.LeftButton)
    assert not notes.isVisible()


def test_refusals_stay_and_the_next_success_settles_them(panel: Any, qtbot: Any) -> None:
    notes = panel.notes
    notes.warn(EMPTY)
    notes.say(KEPT)
    assert notes.texts() == [EMPTY, KEPT]
    assert whole(notes.refusal)
    assert whole(notes.news)
    notes.timer.start(20)
    qtbot.waitUntil(lambda: notes.texts() == [EMPTY])
    assert notes.refusal.isVisible()
    assert notes.news.isHidden()
    notes.settle()
    assert notes.texts() == []
    assert not notes.isVisible()
    notes.settle()


def test_news_come_together_and_can_be_closed(panel: Any, qtbot: Any) -> None:
    notes = panel.notes
    assert notes.timer.interval() == module.NEWS_MS == 8000
    notes.say(KEPT)
    notes.say("saved")
    assert notes.texts() == [KEPT, "saved"]
    assert notes.news.text.toPlainText() == f"{KEPT}\nsaved"
    qtbot.mouseClick(notes.news.close_button, Qt.MouseButton.LeftButton)
    assert notes.texts() == []
    assert not notes.timer.isActive()


def test_a_shorter_refusal_after_a_longer_one_is_whole(panel: Any, qtbot: Any) -> None:
    """The count that comes beside it makes it narrower, within the same layout."""
    panel.notes.warn(EMPTY)
    settled()
    panel.notes.warn("the slide other cannot be found: bring it back")
    qtbot.waitUntil(lambda: whole(panel.notes.refusal), timeout=2000)


def test_news_that_makes_older_news_old_stands_in_its_place(panel: Any) -> None:
    notes = panel.notes
    for words in ("undone: one", "undone: two"):
        notes.say_instead(words)
    notes.say(KEPT)
    notes.say_instead("done again")
    assert notes.texts() == [KEPT, "done again"]
    notes.say_instead("")
    assert notes.texts() == [KEPT]


def test_news_that_somebody_reads_or_selects_stays(panel: Any, qtbot: Any) -> None:
    notes = panel.notes
    notes.say(KEPT)
    notes.news.text.selectAll()
    notes.timer.timeout.emit()
    assert notes.texts() == [KEPT]
    notes.news.text.moveCursor(notes.news.text.textCursor().MoveOperation.Start)
    here = QPointF(5, 5)
    QApplication.sendEvent(notes.news, QEnterEvent(here, here, here))
    notes.timer.timeout.emit()
    assert notes.texts() == [KEPT]
    assert notes.timer.isActive()
    QApplication.sendEvent(notes.news, QEvent(QEvent.Type.Leave))
    notes.timer.timeout.emit()
    assert notes.texts() == []


def test_it_is_never_taller_than_a_third_of_the_panel(panel: Any) -> None:
    notes = panel.notes
    notes.warn(EMPTY * 12)
    notes.say(KEPT * 12)
    for height in (900, 420, 640):
        panel.resize(340, height)
        settled()
        assert notes.height() <= height / 3
        for note in (notes.refusal, notes.news):
            assert note.text.verticalScrollBar().maximum() > 0
            assert note.text.height() >= module.LEAST
    notes._close_news()
    panel.resize(340, 900)
    settled()
    assert 200 < notes.height() <= 300


def test_words_can_be_selected_and_are_read_out(panel: Any) -> None:
    notes = panel.notes
    notes.warn("<b>5 & 6</b>")
    assert notes.accessibleName() == "Messages"
    assert notes.refusal.accessibleName() == "Warning: <b>5 & 6</b>"
    assert notes.refusal.sign.text() == "!"
    notes.say(KEPT)
    assert notes.news.sign.text() == "i"
    assert notes.news.accessibleName() == f"News: {KEPT}"
    notes.refusal.text.selectAll()
    assert notes.refusal.text.textCursor().selectedText() == "<b>5 & 6</b>"
    assert notes.refusal.text.isReadOnly()


def test_before_it_is_in_a_panel_it_opens_no_window(qtbot: Any) -> None:
    notes = Notes(palette())
    qtbot.addWidget(notes)
    notes.warn(EMPTY)
    assert not notes.isVisible()
    host = QWidget()
    qtbot.addWidget(host)
    box = QVBoxLayout(host)
    box.addWidget(notes)
    host.show()
    assert notes.isVisible()


def test_the_theme_s_colours_are_taken_on(panel: Any, tmp_path: Path) -> None:
    notes = panel.notes
    notes.warn(EMPTY)
    for colour in ("#112233", "#445566"):
        notes.restyle(replace(palette(), warn=colour))
        QApplication.processEvents()
        bar = notes.refusal.grab().toImage().pixelColor(1, notes.refusal.height() // 2)
        assert bar.name() == colour
