"""A mouse that tells a thousand times a second: what is dragged moves, not the picture."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

LEFT, PLAIN = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def sweep(hand: Any, start: tuple[float, float], end: tuple[float, float], steps: int = 12) -> None:
    """A drag without any time between its moves."""
    first, last = hand.at(start), hand.at(end)
    QTest.mousePress(hand.canvas, LEFT, PLAIN, first)
    for n in range(1, steps + 1):
        step = (last - first) * (n / steps)
        QTest.mouseMove(hand.canvas, first + QPoint(round(step.x()), round(step.y())))
    QTest.mouseRelease(hand.canvas, LEFT, PLAIN, last)
    hand.qtbot.wait(30)


@pytest.mark.gui
def test_a_fast_drag_draws_a_field_and_leaves_the_picture(hand: Any, panel: Any) -> None:
    camera = panel.session.viewer.scene.camera
    hand.key(Qt.Key.Key_F)
    hand.qtbot.wait(30)
    # the very first act: it makes the project, too
    sweep(hand, (100, 100), (300, 260))
    centre = camera.center
    (field,) = panel.session.require_project().nuclei.fields(panel.session.image)
    assert field.box == pytest.approx((100, 100, 300, 260), abs=3)
    hand.key(Qt.Key.Key_F)
    sweep(hand, (350, 100), (450, 260))
    assert camera.center == centre
    assert camera.mouse_pan
    # with nothing in the hand the same drag moves the picture
    hand.key(Qt.Key.Key_V)
    sweep(hand, (300, 300), (200, 200))
    assert camera.center != centre
