"""A window of many nuclei side by side: click the wrong ones, accept the rest in sight."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QPointF, QRectF, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPen
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QDialog,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QVBoxLayout,
    QWidget,
)

from napari_noisyseg.gui.canvas.outlines import CALLED, PENS, Paths
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.keys import shown
from napari_noisyseg.gui.widgets.legend import Legend, Stroke
from napari_noisyseg.gui.widgets.parts import button, label, line
from napari_noisyseg.gui.widgets.pens import CASING, Pen
from napari_noisyseg.gui.window.thumbnails import SIDE, WIDE_UM, Thumbnails
from napari_noisyseg.review.queue import ReviewItem
from napari_noisyseg.store.records import State

ROOM = 6
"""screen pixels round a picture"""
CELL = SIDE + 2 * ROOM
MOST = 5000
"""nuclei that are laid out; with more a filter is the better tool"""
SIGNS = {"accepted": "✓", "rejected": "✗", "unsure": "?"}
PEN_OF = {"unreviewed": "untouched"}
KEYS: dict[int, State] = {
    Qt.Key.Key_A: "accepted", Qt.Key.Key_R: "rejected", Qt.Key.Key_U: "unsure",
}  # fmt: skip


class GridModel(QAbstractListModel):  # type: ignore[misc]
    """The nuclei that the review goes through, by their ids; what each is now is asked for late."""

    def __init__(self, review: ReviewController) -> None:
        super().__init__()
        self._review = review
        self.ids: list[str] = []
        self._of: Any = None
        self.bring()

    def bring(self) -> bool:
        """List what the review goes through now; whether that is another list.

        While one works the list stands, so that nothing jumps: also what passes no more stays.
        """
        review = self._review
        queue = review.queue
        key = (id(queue), len(queue) if queue is not None else 0, review.course.filter)
        if key == self._of:
            return False
        self._of = key
        self.beginResetModel()
        self.ids = [item.id for item in review.course.passing()[:MOST]]
        self.endResetModel()
        return True

    def item(self, row: int) -> ReviewItem | None:
        """The nucleus of a row, as it is now."""
        queue = self._review.queue
        at = queue.row(self.ids[row]) if queue is not None and row < len(self.ids) else None
        return queue.items[at] if queue is not None and at is not None else None

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:
        """Qt: number of nuclei."""
        return 0 if parent.isValid() else len(self.ids)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt: the words of a tip; all else is painted."""
        if role != Qt.ItemDataRole.ToolTipRole:
            return None
        item = self.item(index.row())
        if item is None:
            return None
        words = f"Nucleus {item.candidate.serial} of {item.image}: {item.reason}"
        return f"{words}; {item.candidate.class_name}" if item.candidate.class_name else words


class Painted(QStyledItemDelegate):  # type: ignore[misc]
    """Draws a nucleus: its picture, its outline in the pen of its state, and a sign."""

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid)
        self._grid = grid

    def sizeHint(self, option: Any, index: QModelIndex) -> QSize:
        """Qt: all are of one size."""
        return QSize(CELL, CELL)

    def paint(self, painter: QPainter, option: Any, index: QModelIndex) -> None:
        """Qt: draw one."""
        item = self._grid.model.item(index.row())
        corner = QPointF(option.rect.left() + ROOM, option.rect.top() + ROOM)
        square = QRectF(corner.x(), corner.y(), SIDE, SIDE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(square, QColor("#808080"))
        if item is not None:
            self._nucleus(painter, item, square)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(QPen(option.palette.color(option.palette.ColorRole.Text), 3))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(square.adjusted(-2, -2, 2, 2))
        painter.restore()

    def _nucleus(self, painter: QPainter, item: ReviewItem, square: QRectF) -> None:
        found = self._grid.picture(item)
        pen = PENS[PEN_OF.get(item.state, item.state)]
        if found is not None:
            painter.drawPixmap(square.topLeft(), found[0])
            _draw(painter, found[1], pen, square.topLeft())
        if sign := SIGNS.get(item.state):
            spot = QRectF(square.right() - 24, square.top() + 4, 20, 20)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(pen.color))
            painter.drawEllipse(spot)
            painter.setPen(QColor(CASING))
            painter.drawText(spot, int(Qt.AlignmentFlag.AlignCenter), sign)


def _draw(painter: QPainter, paths: Paths, pen: Pen, corner: QPointF) -> None:
    """Lines as on the canvas: a dark edge, then the pen."""
    drawn = QPainterPath()
    for path in paths:
        places = [QPointF(corner.x() + float(x), corner.y() + float(y)) for y, x in path]
        drawn.moveTo(places[0])
        for place in places[1:]:
            drawn.lineTo(place)
    edge = QColor(CASING)
    edge.setAlphaF(0.5)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, width in ((edge, pen.width + 2 * pen.casing), (QColor(pen.color), pen.width)):
        line_ = QPen(color, width)
        line_.setCapStyle(Qt.PenCapStyle.FlatCap)
        if pen.broken:
            line_.setDashPattern([pen.on / width, pen.off / width])
        painter.setPen(line_)
        painter.drawPath(drawn)


class Grid(QDialog):  # type: ignore[misc]
    """The window. Every act is one in the project and is undone like any other."""

    def __init__(self, review: ReviewController, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("NoisySeg: many nuclei")
        self._review = review
        self._jobs = Jobs(self)
        self._thumbnails = Thumbnails(self._jobs, self._arrived)
        self.model = GridModel(review)
        self._build()
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._follow)
        review.changed.connect(self._follow_soon)
        self.resize(5 * CELL + 60, 640)
        self._say()

    def _build(self) -> None:
        self.words = label(role="quiet", wrap=True)
        self.list = QListView()
        self.list.setViewMode(QListView.ViewMode.IconMode)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.setMovement(QListView.Movement.Static)
        self.list.setUniformItemSizes(True)
        self.list.setLayoutMode(QListView.LayoutMode.Batched)
        self.list.setBatchSize(500)
        self.list.setGridSize(QSize(CELL, CELL))
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setItemDelegate(Painted(self))
        self.list.setModel(self.model)
        self.list.clicked.connect(self._clicked)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(lambda at: self._show(self.list.indexAt(at)))
        self.list.verticalScrollBar().valueChanged.connect(self._scrolled)
        self.list.installEventFilter(self)
        self.rest = button("Accept the visible rest", "All visible ones without a decision (Space)",
                           self.accept_rest)  # fmt: skip
        self.undo = button("Undo", "Take back the last action (Z)", self._review.undo)
        pens = (*PEN_OF.values(), *SIGNS)
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 10, 12, 12)
        box.setSpacing(8)
        box.addWidget(self.words)
        box.addWidget(self.list, stretch=1)
        box.addWidget(Legend(tuple(Stroke(CALLED.get(name, name), PENS[name]) for name in pens)))
        box.addLayout(line(self.undo, 1, self.rest))

    # --- what is seen --------------------------------------------------------------------------

    def picture(self, item: ReviewItem) -> Any:
        """A nucleus's picture and outline, or None and they come."""
        project = self._review.session.project
        return None if project is None else self._thumbnails.of(project, item)

    def _arrived(self, nuclei: list[str]) -> None:
        self.list.viewport().update()

    def _scrolled(self) -> None:
        self._thumbnails.forget()
        self._say()

    def _follow_soon(self) -> None:
        """One drawing for all that one act changes."""
        self._soon.start()

    def _follow(self) -> None:
        """The review changed: what is seen follows, and stays where it is."""
        self.model.bring()
        self.list.viewport().update()
        self._say()

    def _say(self) -> None:
        self.words.setText(
            f"{len(self.model.ids):,} nuclei in squares of {WIDE_UM:g} µm. Click the wrong ones "
            f"(click again to undo), then accept the rest. {shown('Ctrl')} or Shift with a click "
            "selects several for A, R and U. A right click shows a nucleus on the slide."
        )
        count = len(self._open_in_sight())
        self.rest.setText(f"Accept the {count} other visible ones" if count else "Further down")

    def in_sight(self) -> list[int]:
        """Rows that are wholly or half seen."""
        port, rows = self.list.viewport().rect(), []
        columns = max(1, port.width() // CELL)
        above = self.list.verticalScrollBar().value() // CELL
        for row in range(columns * max(0, above - 1), len(self.model.ids)):
            middle = self.list.visualRect(self.model.index(row)).center().y()
            if middle > port.bottom():
                break
            if middle >= port.top():
                rows.append(row)
        return rows

    def _open_in_sight(self) -> list[str]:
        items = [self.model.item(row) for row in self.in_sight()]
        return [x.id for x in items if x is not None and x.state == "unreviewed"]

    # --- acts ----------------------------------------------------------------------------------

    def _clicked(self, index: QModelIndex) -> None:
        """A plain click says that this one is wrong, or that it is not."""
        item = self.model.item(index.row())
        if item is None or QApplication.keyboardModifiers():
            return
        self.list.clearSelection()
        self._decide("unreviewed" if item.state == "rejected" else "rejected", [item.id])

    def _show(self, index: QModelIndex) -> None:
        """Put it under review on the slide."""
        item = self.model.item(index.row()) if index.isValid() else None
        if item is not None:
            self._review.go_to(item.id)

    def accept_rest(self) -> None:
        """Accept what is in sight and has no decision, and go on to the next page."""
        ids = self._open_in_sight()
        if ids:
            self._decide("accepted", ids)
            return
        bar = self.list.verticalScrollBar()
        bar.setValue(bar.value() + bar.pageStep())

    def _decide(self, state: State, ids: list[str]) -> None:
        self._review.repairs.decide(state, ids)
        self._follow()

    def _chosen(self) -> list[str]:
        rows = sorted(index.row() for index in self.list.selectionModel().selectedIndexes())
        return [self.model.ids[row] for row in rows]

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Qt: letters are ours; the list would search for them."""
        if event.type() == event.Type.KeyPress and self._key(event.key()):
            return True
        return bool(super().eventFilter(watched, event))

    def _key(self, key: int) -> bool:
        acts = {Qt.Key.Key_Space: self.accept_rest, Qt.Key.Key_Z: self._review.undo}
        acts |= {k: partial(self._decide_chosen, state) for k, state in KEYS.items()}
        if key in acts:
            acts[key]()
            return True
        return False

    def _decide_chosen(self, state: State) -> None:
        self._decide(state, self._chosen())

    def done(self, result: int) -> None:
        """Qt: the window closes."""
        self._stop()
        super().done(result)

    def closeEvent(self, event: Any) -> None:
        """Qt: the window closes."""
        self._stop()
        super().closeEvent(event)

    def _stop(self) -> None:
        self._soon.stop()
        self._review.changed.disconnect(self._follow_soon, missing_ok=True)
        self._jobs.close()
