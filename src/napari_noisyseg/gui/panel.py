"""The panel: four steps, a line of truth each; the open one's controls; the keys that work."""

from __future__ import annotations

import contextlib
from functools import partial
from importlib import import_module
from typing import Any

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_noisyseg.gui.change import ANY, Change, What
from napari_noisyseg.gui.docks import StepDock
from napari_noisyseg.gui.keys import ALWAYS, Binding, moves_of, shown
from napari_noisyseg.gui.kinds import STEPS
from napari_noisyseg.gui.session import session_of
from napari_noisyseg.gui.settings import setting
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.widgets.notes import Notes
from napari_noisyseg.gui.widgets.rows import StepRow
from napari_noisyseg.gui.widgets.theme import THEME, palette, stylesheet
from napari_noisyseg.gui.window.header import Header
from napari_noisyseg.gui.window.keyfilter import KeyFilter
from napari_noisyseg.gui.window.lists import flip_lists
from napari_noisyseg.gui.window.overview import flip_overview
from napari_noisyseg.gui.window.settling import settle

WIDTH = 360


def dock_class(step: str) -> type[StepDock]:
    """The dock of a step, imported when it is asked for."""
    module = import_module(f"napari_noisyseg.gui.docks.{step}.dock")
    found: type[StepDock] = getattr(module, f"{step.capitalize()}Dock")
    return found


class Panel(QWidget):  # type: ignore[misc]
    """The whole path in one dock; `steps` names the docks it holds (one for a dock alone)."""

    _open: str | None = None
    _entered = _shut = False
    _deaf: Any = None

    def __init__(self, napari_viewer: Any, steps: tuple[str, ...] = STEPS) -> None:
        super().__init__()
        self.setObjectName("noisysegPanel")
        self.session = session_of(napari_viewer)
        settle(self.session)
        self.docks: dict[str, StepDock] = {}
        self.session.ending.connect(self.shut)
        for step in steps:
            self.docks[step] = dock_class(step)(self.session)
        self.rows: dict[str, StepRow] = {}
        self.header = Header(self.session)
        self.footer = QLabel(wordWrap=True)
        self._stale: set[str] = set()
        self._build()
        self._bind_keys()
        self._connect()
        self.session.look(step=steps[0])
        self._show_step()
        self.session.resumes = True
        self.session.resume()
        self.refresh()  # also where there is no project yet

    def sizeHint(self) -> QSize:
        """Qt: readable at a 13-inch screen's width."""
        return QSize(WIDTH, 640)

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        self.setMinimumWidth(300)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.header)
        self.stack = QStackedWidget()
        for number, (step, dock) in enumerate(self.docks.items(), 1):
            self._add_step(box, number, step, dock)
        box.addWidget(_rule())
        box.addWidget(self.stack, stretch=1)
        box.addWidget(_rule())
        self.notes = Notes(palette())
        box.addWidget(self.notes)
        self.footer.setContentsMargins(12, 6, 12, 8)
        self.footer.setProperty("role", "quiet")
        self.footer.setToolTip("The keys that work now; F1 shows all of them")
        box.addWidget(self.footer)

    def _add_step(self, box: QVBoxLayout, number: int, step: str, dock: StepDock) -> None:
        row = StepRow(number, dock.title, palette())
        row.opened.connect(lambda: self.open_step(step))
        row.setVisible(len(STEPS) == len(self.docks))
        self.rows[step] = row
        box.addWidget(row)
        scroll = QScrollArea(widgetResizable=True, frameShape=QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(dock)
        self.stack.addWidget(scroll)
        dock.changed.connect(lambda: self._refresh_soon(step))

    def _connect(self) -> None:
        session = self.session
        self._deaf = session.on(ANY, self._follow)
        session.keys.changed.connect(self._show_keys)
        session.noticed.connect(self.notes.warn)
        session.news.connect(self.notes.say)
        session.undoing.told.connect(self.notes.say_instead)
        session.settled.connect(self.notes.settle)
        self._filter: KeyFilter = KeyFilter(session.keys, self, session.viewer)
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._refresh_now)
        session.viewer.events.theme.connect(self._restyle)
        self._restyle()
        self.session.viewer.canvas.overlays["scale_bar"].visible = True

    def _bind_keys(self) -> None:
        self.session.keys.moved = moves_of(setting("keys", "own", ""))
        self.session.keys.bind(
            ALWAYS,
            Binding("Ctrl+Z", "undo", self.session.undo),
            Binding("Ctrl+Shift+Z", "redo", self.session.redo, footer=False),
            Binding("L", "layers", partial(flip_lists, self.session.viewer)),
            Binding("0", "whole image", self.session.front.fit, footer=False),
            Binding("O", "overview", partial(flip_overview, self.session), footer=False),
            Binding("F1", "all keys", self.show_cheat_sheet),
            Binding("?", "all keys", self.show_cheat_sheet, footer=False),
        )

    # --- what it shows -------------------------------------------------------------------------

    def open_step(self, step: str) -> None:
        """Open the controls of a step: "annotate", "coarse", "train" or "review"."""
        self.session.look(step=step, bare=False)

    def _follow(self, change: Change) -> None:
        if change.what & What.VIEW:
            self._show_step()
        self.refresh()

    def _show_step(self) -> None:
        """Open what the view says, where this panel has it."""
        step = self.session.view.step
        if step == self._open or step not in self.docks:
            return
        self._leave()
        self._open = step
        self.stack.setCurrentIndex(list(self.docks).index(step))
        for name, row in self.rows.items():
            row.set_open(name == step)
        self._enter()

    @property
    def step(self) -> str:
        """The step whose controls are open."""
        return self._open or ""

    def refresh(self) -> None:
        """Bring rows and header up to date, once, when the present event is over."""
        self._refresh_soon("header", *self.docks)

    def _refresh_soon(self, *parts: str) -> None:
        """Of a run that goes on only the row of its step is asked for: the others read the disk."""
        self._stale.update(parts)
        self._timer.start()

    def _refresh_now(self) -> None:
        stale, self._stale = self._stale, set()
        if "header" in stale:
            self.header.refresh()
        for step, dock in self.docks.items():
            if step in stale:
                self.rows[step].show_state(dock.summary())

    def _show_keys(self) -> None:
        words = [_unbroken(b) for b in self.session.keys.legend() if b.footer]
        self.footer.setText(" &nbsp; ".join(words))

    def show_cheat_sheet(self) -> None:
        """Show every key of every step in a window of its own."""
        from napari_noisyseg.gui.window.cheatsheet import CheatSheet

        self._sheet = CheatSheet(self.session.keys, self)
        self._sheet.show()

    def _restyle(self) -> None:
        """Napari's key for the theme changes that of one window, not that of the settings."""
        self.setProperty(THEME, str(self.session.viewer.theme))
        colours = palette(self)
        self.setStyleSheet(stylesheet(colours))
        self.notes.restyle(colours)
        for row in self.rows.values():
            row.palette_ = colours
            row.update()
        for dock in self.docks.values():
            dock.restyle(colours)

    def showEvent(self, event: Any) -> None:
        """Qt: in sight again; the open step's tools work again."""
        super().showEvent(event)
        if self._open is not None:
            self.session.look(step=self._open)
        self._enter()

    def hideEvent(self, event: Any) -> None:
        """Qt: out of sight (closed, or behind another tab); the canvas is napari's again."""
        self._leave()
        super().hideEvent(event)

    def _enter(self) -> None:
        if self._open is not None and not self._entered:
            self._entered = True
            self.session.keys.scope = self._open
            kit_of(self.session).hand.take()
            self.docks[self._open].enter()

    def _leave(self) -> None:
        if self._open is not None and self._entered:
            self._entered = False
            self.docks[self._open].leave()
            self.session.look(bare=False)
            if self.session.keys.scope == self._open:
                self.session.keys.scope = ""
                kit_of(self.session).hand.lay()

    def shut(self) -> None:
        """The window is going: put down every tool, stop every thread; safe to call twice."""
        if self._shut:
            return
        self._shut = True
        self._deaf()
        self._filter.stop()
        self.session.viewer.events.theme.disconnect(self._restyle)
        # a panel that was taken from its window earlier may be gone on Qt's side already
        with contextlib.suppress(RuntimeError):
            self._leave()
            for dock in self.docks.values():
                dock.closing()


def _unbroken(binding: Binding) -> str:
    """A key and its words; a line ends between two keys, never within one."""
    words = binding.words.replace(" ", "&nbsp;")
    return f"<b>{shown(binding.key)}</b>&nbsp;{words}"


def _rule() -> QFrame:
    rule = QFrame()
    rule.setProperty("role", "rule")
    rule.setFixedHeight(1)
    return rule
