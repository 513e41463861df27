"""What new users ran into at work in one image: each a test, with a real mouse and real keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hand import CONTROL, SHIFT, Hand, near, places
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QColor, QImage
from qtpy.QtWidgets import QWidget
from skimage.measure import regionprops

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.tools.kit import Kit, kit_of
from napari_noisyseg.gui.widgets.legend import Legend
from napari_noisyseg.gui.widgets.theme import palette
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline

Key = Qt.Key
READABLE = 4.5
"""contrast of words with their ground (WCAG AA)"""


def kit(hand: Hand) -> Kit:
    return kit_of(hand.session)


@pytest.fixture
def found(hand: Hand, panel: Panel, tnbc: Any, qtbot: QtBot) -> Hand:
    """One click, and what a run found in the same tissue; the Review step is open."""
    hand.click((20, 200))
    session = hand.session
    project, image = session.require_project(), session.require_image().name
    objects = regionprops(tnbc[1])
    scores = np.linspace(0.02, 0.98, len(objects))
    named = project.nuclei.adopt(image, "run-1", [
        Candidate("", 0, *one.centroid, Outline(Box(*one.bbox), one.image), float(score),
                  "the edge is faint", "run-1", 0.0)
        for one, score in zip(objects, scores, strict=True)
    ])  # fmt: skip
    refined = np.zeros(tnbc[1].shape, np.int32)
    for one in named:
        refined[one.outline.box.slices][one.outline.mask] = one.serial
    project.labels.write(image, "refined", refined, {})
    session.sync()
    hand.open_step("review")
    qtbot.waitUntil(lambda: review(panel).item is not None, timeout=20_000)
    qtbot.waitUntil(lambda: ("tissue", "refined") in hand.seen(), timeout=20_000)
    qtbot.wait(100)
    return hand


def review(panel: Panel) -> Any:
    return panel.docks["review"].review  # type: ignore[attr-defined]


class TestKeys:
    def test_they_are_ours_wherever_the_focus_is(
        self, found: Hand, panel: Panel, qtbot: QtBot
    ) -> None:
        viewer, project = found.session.viewer, found.session.require_project()
        points: Any = layers.find(viewer, "tissue", "points")
        for at in ("row", "button", "table", "layer list", "slider", "note"):
            self._focus(at, found, panel, qtbot)
            focus = found.window.focusWidget()
            before = {n.id for n in project.nuclei.of("tissue", every=True)}
            first, accepted = review(panel).item.id, project.nuclei.counts().accepted
            found.key(Key.Key_A)
            assert project.nuclei.get(first).state == "accepted", at
            assert project.nuclei.counts().accepted == accepted + 1, at
            second = review(panel).item.id
            assert second != first, at
            found.key(Key.Key_Right)
            found.key(Key.Key_Left)
            assert review(panel).item.id == second, at
            assert found.window.focusWidget() is focus or at == "note", at
            found.key(Key.Key_U)
            assert project.nuclei.get(second).state == "unsure", at
            after = {n.id for n in project.nuclei.of("tissue", every=True)}
            assert after == before | {first, second}, at
            assert not points.selected_data, at
            assert points in viewer.layers, at

    @staticmethod
    def _focus(at: str, found: Hand, panel: Panel, qtbot: QtBot) -> None:
        """Press what then has the focus: `at`, in words."""
        dock: Any = panel.docks["review"]
        if at == "row":
            found.press(panel.rows["review"])
        elif at == "button":
            found.press(dock.accept_button)
        elif at == "table":
            dock.table.toggle.click()
            qtbot.waitUntil(
                lambda: "measuring" not in dock.measurements.status.text(), timeout=60_000
            )
            found.press_row(dock.measurements.table, 3, 1)
        elif at == "layer list":
            points: Any = layers.find(found.session.viewer, "tissue", "points")
            found.session.viewer.layers.selection.active = points
            found.press_layer(points)
        elif at == "slider":
            found.press(dock.above.slider)
        else:
            found.session.notice("something was refused")
            qtbot.wait(50)
            found.press(panel.notes.refusal.text.viewport())

    def test_napari_s_own_delete_nothing(self, found: Hand, panel: Panel) -> None:
        """`A` selected all points, `Delete` removed them, `V` hid what later clicks added to."""
        viewer, project = found.session.viewer, found.session.require_project()
        found.open_step("annotate")
        points: Any = layers.find(viewer, "tissue", "points")
        viewer.layers.selection.active = points
        found.canvas.setFocus()
        for key in (Key.Key_A, Key.Key_Delete, Key.Key_Backspace, Key.Key_1, Key.Key_4, Key.Key_V):
            found.key(key)
        assert len(project.nuclei.of("tissue")) == 1
        assert points.mode == "pan_zoom"
        assert kit(found).tool == "look"
        found.key(Key.Key_P)
        viewer.reset_view()
        found.click((200, 220))
        assert ("tissue", "points") in found.seen()
        assert near(places(panel), [(20, 200), (200, 220)])
        assert len(layers.find(viewer, "tissue", "points").data) == 2

    def test_where_one_types_one_types(self, found: Hand, panel: Panel, qtbot: QtBot) -> None:
        found.open_step("coarse")
        field = panel.header.mpp
        found.press(field)
        field.selectAll()
        found.type("0.321")
        assert field.text() == "0.321"
        found.key(Key.Key_Z, CONTROL)
        assert found.session.require_project().nuclei.counts().points == 1
        found.key(Key.Key_Return)
        refined: Any = layers.find(found.session.viewer, "tissue", "refined")
        found.press_layer(refined)
        spin = found.spin_box("contours")
        spin.setFocus()
        spin.selectAll()
        found.type("3")
        found.key(Key.Key_Return)
        assert refined.contour == 3
        assert not found.session.view.toggles
        found.open_step("annotate")
        image: Any = found.session.image_layer()
        rows = found.press_layer(image)
        rows.edit(rows.currentIndex())
        qtbot.wait(20)
        found.type("fbpvek")
        found.key(Key.Key_Return)
        assert image.name == "fbpvek"
        assert kit(found).tool == "points"
        assert not found.session.view.bare

    def test_those_of_the_labels_step(self, hand: Hand, panel: Panel, qtbot: QtBot) -> None:
        """1, 2 and 3 deleted a point and switched napari's points layer to its add mode."""
        hand.key(Key.Key_F)
        hand.drag((50, 50), (450, 450))
        for place in ((100, 120), (200, 220), (300, 320)):
            hand.click(place)
        hand.open_step("coarse")
        viewer, view = hand.session.viewer, lambda: hand.session.view
        points: Any = layers.find(viewer, "tissue", "points")
        hand.press_layer(points)
        for key, kind in (
            (Key.Key_1, "voronoi"), (Key.Key_2, "cluster"), (Key.Key_3, "local"),
            (Key.Key_4, "outline"),
        ):  # fmt: skip
            before = view().shows(kind)
            hand.key(key)
            assert view().shows(kind) is not before, kind
            assert panel.docks["coarse"].shown[kind].isChecked() is not before  # type: ignore[attr-defined]
            hand.key(key)
            assert view().shows(kind) is before, kind
        assert points.mode == "pan_zoom"
        assert near(places(panel), [(100, 120), (200, 220), (300, 320)])


class TestFields:
    def test_a_second_one_stands_beside_the_first(self, hand: Hand, panel: Panel) -> None:
        dock: Any = panel.docks["annotate"]

        def in_hand(name: str) -> bool:
            lit = [key for key, made in dock.tool_buttons.items() if made.isChecked()]
            return lit == [name] == [hand.session.view.tool]

        assert in_hand("points")
        hand.press(dock.tool_buttons["field"])
        assert in_hand("field")
        hand.drag((30, 30), (200, 220))
        assert in_hand("points")
        hand.key(Key.Key_F)
        assert in_hand("field")
        hand.drag((250, 240), (450, 470))
        assert in_hand("points")
        hand.click((100, 120))
        assert in_hand("points")
        boxes = [field.box for field in hand.session.require_project().nuclei.fields("tissue")]
        wanted = [(30, 30, 200, 220), (250, 240, 450, 470)]
        assert np.abs(np.subtract(boxes, wanted)).max() <= 2
        assert len(kit(hand).fields.layer().data) == 2  # type: ignore[union-attr]
        assert dock.fields.list.count() == 2
        assert near(places(panel), [(100, 120)])
        for key, name in (
            (Key.Key_B, "paint"), (Key.Key_E, "erase"), (Key.Key_V, "look"), (Key.Key_F, "field"),
        ):  # fmt: skip
            hand.key(key)
            assert in_hand(name)
        hand.open_step("coarse")
        hand.open_step("annotate")
        assert in_hand("field")
        hand.key(Key.Key_Z, CONTROL)
        hand.key(Key.Key_Z, CONTROL)
        assert len(kit(hand).fields.fields) == 1
        assert in_hand("field")


class TestReview:
    def test_an_accepted_find_is_a_nucleus_like_any(self, found: Hand, panel: Panel) -> None:
        project, item = found.session.require_project(), review(panel).item
        found.key(Key.Key_A)
        assert len(project.nuclei.of("tissue")) == 2
        assert set(kit(found).points.nuclei) == {n.serial for n in project.nuclei.of("tissue")}
        found.key(Key.Key_Left)
        found.qtbot.wait(50)
        found.open_step("annotate")
        assert len(kit(found).points.layer().data) == 2  # type: ignore[union-attr]
        found.click((item.candidate.y, item.candidate.x))
        assert len(project.nuclei.of("tissue")) == 2
        assert kit(found).points.chosen == {item.candidate.serial}
        found.qtbot.wait(50)
        assert panel.docks["annotate"].counts.text() == "2 here"  # type: ignore[attr-defined]
        assert panel.rows["annotate"].state.text.startswith("2 nuclei")

    def test_undo_of_an_outline_shows_the_one_before(
        self, found: Hand, panel: Panel, qtbot: QtBot
    ) -> None:
        project, item = found.session.require_project(), review(panel).item
        size = int(item.candidate.outline.mask.sum())
        refined: Any = layers.find(found.session.viewer, "tissue", "refined")

        def drawn() -> int:
            qtbot.wait(100)
            return int((np.asarray(refined.data) == item.candidate.serial).sum())

        assert drawn() == size
        found.key(Key.Key_E)
        qtbot.wait(50)
        y, x = item.candidate.y, item.candidate.x
        found.drag((y, x), (y, x + 20))
        grown = project.nuclei.outline(item.id)
        assert grown is not None
        assert grown.mask.sum() > size
        assert drawn() == grown.mask.sum()
        found.key(Key.Key_Z, CONTROL)
        assert project.nuclei.outline(item.id) is None
        assert drawn() == size
        edited = layers.find(found.session.viewer, "tissue", "edited")
        assert edited is None or np.asarray(edited.data).sum() == size
        assert self.counts(found, panel, qtbot)

    def test_row_card_and_disk_count_the_same_also_after_a_restart(
        self, found: Hand, panel: Panel, qtbot: QtBot
    ) -> None:
        for key in (Key.Key_A, Key.Key_R, Key.Key_U):
            found.key(key)
        assert self.counts(found, panel, qtbot) == (3, 117)
        found.open_step("annotate")
        found.session.viewer.reset_view()
        found.click((20, 240))  # a click more is not one to be reviewed
        found.open_step("review")
        assert self.counts(found, panel, qtbot) == (3, 117)
        found.key(Key.Key_Z, CONTROL)
        found.key(Key.Key_Z, CONTROL)
        before = self.counts(found, panel, qtbot)
        assert before == (2, 117)
        path = found.session.require_project().path
        found.session.close()
        row = panel.rows["review"]
        qtbot.waitUntil(lambda: row.state.text == "nothing to review yet", timeout=5000)
        found.session.open(path)
        qtbot.waitUntil(lambda: review(panel).item is not None, timeout=20_000)
        assert self.counts(found, panel, qtbot) == before

    def counts(self, hand: Hand, panel: Panel, qtbot: QtBot) -> tuple[int, int]:
        """Reviewed and all, where card, row, queue and disk agree."""
        qtbot.wait(100)
        dock: Any = panel.docks["review"]
        with Project.open(hand.session.require_project().path, write=False) as again:
            judged = again.nuclei.judged("tissue")
        told = sum(one.state != "unreviewed" for one in judged), len(judged)
        words = f"{told[0]} of {told[1]}"
        assert dock.card.progress.text().startswith(f"{words} reviewed")
        assert panel.rows["review"].state.text.startswith(words)
        progress = review(panel).queue.progress()
        assert (progress.reviewed, progress.total) == told
        return told


@pytest.mark.long
class TestTheme:
    def test_all_of_the_panel_follows_it(self, found: Hand, panel: Panel, qtbot: QtBot) -> None:
        found.session.notice("something was refused")
        found.session.say("and this is news")
        for dark in (False, True):
            found.key(Key.Key_T, CONTROL | SHIFT)
            qtbot.wait(100)
            assert palette(panel).dark is dark
            for words, ground in (
                ("text", "base"), ("quiet", "base"), ("warn", "base"), ("text", "raised"),
                ("on_accent", "accent"), ("quiet", "raised"), ("warn", "raised"),
            ):  # fmt: skip
                pair = [QColor(getattr(palette(panel), name)) for name in (words, ground)]
                assert contrast(*pair) >= READABLE, (words, ground)
            for row in panel.rows.values():
                self.readable(row, dark)
            for note in (panel.notes.refusal, panel.notes.news):
                self.readable(note, dark)
            self.readable(panel.footer, dark)
            for step in panel.docks:
                found.open_step(step)
                qtbot.wait(50)
                self.readable(panel.docks[step], dark)
            plot: Any = panel.docks["train"].view.plot  # type: ignore[attr-defined]
            assert plot.backgroundBrush().color() == QColor(palette(panel).base)
            found.open_step("coarse")
            (legend, *_) = panel.docks["coarse"].findChildren(Legend)
            self.readable(legend, dark)

    def readable(self, widget: QWidget, dark: bool) -> None:
        """Its ground is the theme's, and its words stand out from it."""
        window = widget.window()
        part = QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())
        image = window.grab(part).toImage().convertToFormat(QImage.Format.Format_RGB32)
        bits = image.constBits()
        if hasattr(bits, "setsize"):  # PyQt6
            bits.setsize(image.sizeInBytes())
        data = np.frombuffer(bits, np.uint8).reshape(image.height(), -1, 4)
        pixels = data[:, : image.width(), 2::-1].reshape(-1, 3)
        colours, counts = np.unique(pixels, axis=0, return_counts=True)
        ground = QColor(*(int(v) for v in colours[counts.argmax()]))
        assert (ground.lightness() < 128) is dark, type(widget)
        words = max(contrast(QColor(*(int(v) for v in c)), ground) for c in colours)
        assert words >= READABLE, type(widget)


def contrast(one: QColor, other: QColor) -> float:
    """How far two colours are apart, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: QColor) -> float:
    parts = np.array(colour.getRgbF()[:3])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
