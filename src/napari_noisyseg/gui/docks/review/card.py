"""The words about the nucleus under review, and accepting the sure ones at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QSlider, QVBoxLayout, QWidget

from napari_noisyseg.gui.widgets.bar import Bar
from napari_noisyseg.gui.widgets.parts import button, label, line
from napari_noisyseg.review.agreement import share_above, suggested_confidence
from napari_noisyseg.review.queue import ReviewItem, ReviewProgress, ReviewQueue

SIGNS = {"accepted": "✓ accepted", "rejected": "✗ rejected", "unsure": "? unsure"}
LOWEST = 50
"""per cent; nuclei less sure than that are for a person's eye"""


class ReviewCard(QWidget):  # type: ignore[misc]
    """How far the review is, which nucleus this is, and why it needs a look."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = label()
        self.bar = Bar(4)
        self.title = label(role="title")
        self.state = label(role="quiet")
        self.reason = label(wrap=True)
        self.reason.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        # room for two lines always, so that the buttons below never move
        self.reason.setFixedHeight(3 * self.reason.fontMetrics().lineSpacing())
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addWidget(self.progress)
        box.addWidget(self.bar)
        box.addSpacing(4)
        box.addLayout(line(self.title, 1, self.state))
        box.addWidget(self.reason)

    def show_item(
        self,
        item: ReviewItem | None,
        progress: ReviewProgress,
        hint: str = "",
        offering: bool = False,
    ) -> None:
        """Show a nucleus, or that there is none."""
        self.progress.setText(progress.words())
        self.bar.set_fraction(progress.reviewed / max(1, progress.total))
        if item is None:
            done = progress.total and progress.reviewed >= progress.total
            self.title.setText("All reviewed" if done else "")
            self.state.setText("")
            if hint:
                self.reason.setText(hint)
                return
            elsewhere = "" if done else "Nothing to review in this image; ← and → go to others."
            first = (
                "Making the outlines at your clicks…"
                if offering
                else "Click nuclei or train first; then their outlines are shown here."
            )
            self.reason.setText(elsewhere if progress.total else first)
            return
        sure = round(100 * item.candidate.score)
        self.title.setText(f"Nucleus {item.candidate.serial}")
        self.state.setText(
            f"{item.candidate.area_um2:.0f} µm² · {SIGNS.get(item.state, f'{sure} % sure')}"
        )
        self.reason.setText(hint or item.reason[:1].upper() + item.reason[1:])
        self.reason.setToolTip(item.reason)


class AcceptAbove(QWidget):  # type: ignore[misc]
    """A slider of confidence, how many it would accept, and how often that was right so far."""

    wanted = Signal(float)

    def __init__(self, above: Callable[[float], Sequence[ReviewItem]]) -> None:
        super().__init__()
        self._above = above
        self._queue: ReviewQueue | None = None
        self._moved = False
        self.slider = QSlider(Qt.Orientation.Horizontal, minimum=LOWEST, maximum=100, value=90)
        self.slider.setToolTip("Accept all nuclei with more than this confidence at once")
        self.accept = button("Accept", "Accept them all; Z undoes it", self._want)
        self.level = label()
        self.level.setFixedWidth(self.level.fontMetrics().horizontalAdvance("100 %") + 6)
        self.agreement = label(role="quiet", wrap=True)
        self.accept.setMinimumWidth(
            self.accept.fontMetrics().horizontalAdvance("Accept 00000") + 24
        )
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 0, 0)
        box.setSpacing(4)
        box.addWidget(label("Accept all above a confidence", "title"))
        box.addLayout(line(self.slider, self.level, self.accept))
        box.addWidget(self.agreement)
        self.slider.valueChanged.connect(lambda _: self._show())
        self.slider.sliderMoved.connect(self._by_hand)

    @property
    def confidence(self) -> float:
        """Where the slider stands, in 0..1."""
        return float(self.slider.value()) / 100

    def suggest(self, queue: ReviewQueue) -> None:
        """Move to where the decisions so far say that 95 % are right, unless a person moved it."""
        if not self._moved:
            self.slider.setValue(round(100 * suggested_confidence(queue.items)))

    def show_queue(self, queue: ReviewQueue | None) -> None:
        """Count again."""
        self._queue = queue
        self._show()

    def _by_hand(self) -> None:
        self._moved = True

    def _show(self) -> None:
        self.level.setText(f"{self.slider.value()} %")
        count = len(self._above(self.confidence))
        self.accept.setText(f"Accept {count:,}")
        self.accept.setEnabled(count > 0)
        if self._queue is None or not len(self._queue):
            self.agreement.setText("")
            return
        found = share_above(self._queue.items, self.confidence)
        self.agreement.setText(f"Above it so far: {found.words()}")

    def _want(self) -> None:
        self.wanted.emit(self.confidence)
