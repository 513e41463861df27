from __future__ import annotations

import pytest

from napari_noisyseg.events import (
    Checkpointed,
    Doing,
    Failed,
    Finished,
    Previewed,
    Relabelled,
    Started,
    Stepped,
    Validated,
    Warned,
)
from napari_noisyseg.gui.controllers.progress import MOST_POINTS, RunProgress, clock, note_words


def running() -> RunProgress:
    progress = RunProgress()
    progress.take(Started("scnet", 30, 4, "cpu", "small preset: no GPU"))
    for step in range(46):
        progress.take(Stepped(step // 4, step, 30, {"total": 1 / (step + 1)}, 21.4))
    return progress


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (21.4, "0:21"), (725, "12:05"), (3725, "1:02:05")]
)
def test_clock(seconds, words):
    assert clock(seconds) == words


def test_a_running_run_says_epoch_and_time_left():
    progress = running()
    assert progress.words() == "epoch 12/30 · 0:21 left"
    assert progress.fraction == pytest.approx(11.5 / 30)
    assert progress.training["total"].x[0] == pytest.approx(0.25)
    assert progress.training["total"].x[-1] == pytest.approx(11.5)


def test_nothing_yet_is_starting():
    assert RunProgress().words() == "starting …"
    assert RunProgress().fraction == 0


def test_what_it_does_before_the_first_step_is_said():
    progress = RunProgress()
    progress.take(Doing("loading PyTorch"))
    assert progress.words() == "loading PyTorch …"
    assert progress.take_state(stopping=False, waiting=True)
    assert progress.words() == "waiting for the processor: other programs use it"
    assert not progress.take_state(stopping=False, waiting=True)
    progress.take(Started("scnet", 30, 4, "cpu"))
    progress.take(Stepped(0, 1, 30, {"total": 1.0}, 21.4))
    assert progress.words() == "epoch 1/30 · 0:21 left · slow: other programs use the processor"
    progress.take_state(stopping=False, waiting=False)
    assert progress.words() == "epoch 1/30 · 0:21 left"
    progress.take(Doing("writing the nuclei"))
    assert progress.words() == "writing the nuclei …"


def test_a_stop_is_not_forgotten_by_the_next_step():
    progress = RunProgress()
    progress.take_state(stopping=True, waiting=False)
    assert progress.words() == "stopping once it has started …"
    progress.take(Started("scnet", 30, 4, "cpu"))
    progress.take(Stepped(0, 1, 30, {"total": 1.0}, 21.4))
    assert progress.words() == "stopping after this step …"
    progress.take_state(stopping=False, waiting=True)
    assert progress.words() == "stopping after this step …"
    progress.take(Doing("writing the nuclei"))
    assert progress.words() == "stopping: writing the nuclei …"
    progress.take(Finished(True, 9.0))
    assert progress.words() == "stopped at epoch 1/30 · resumes from there"


@pytest.mark.parametrize(
    ("per_epoch", "steps", "few"),
    [(1, 1, True), (4, 19, True), (4, 20, False), (50, 49, True), (50, 50, False),
     (900, 99, True), (900, 100, False), (0, 3, False)],
)  # fmt: skip
def test_too_few_steps_are_no_training(per_epoch, steps, few):
    progress = RunProgress()
    progress.take(Started("scnet", 2, per_epoch, "cpu"))
    progress.take(Stepped(0, steps, 2, {"total": 1.0}))
    progress.take(Finished(False, 61.0))
    assert progress.few is few
    assert progress.mark == ("warn" if few else "done")
    assert progress.words().startswith("finished, but only" if few else "finished in 1:01")


def test_one_step_is_said_and_what_to_do():
    progress = RunProgress()
    progress.take(Started("scnet", 1, 8, "cpu"))
    progress.take(Stepped(0, 1, 1, {"total": 1.0}))
    progress.take(Finished(True, 61.0))
    assert not progress.few  # the person's own wish
    progress.take(Finished(False, 61.0))
    assert progress.words() == (
        "finished, but only 1 step was made, so the nuclei are hardly better than the labels. "
        "Train longer, or close other programs."
    )


def test_a_method_that_says_it_is_done_has_done_enough():
    progress = RunProgress()
    progress.take(Started("superpixel", 9, 8, "cpu"))
    progress.take(Stepped(0, 7, 9, {"total": 1.0, "finished": 1.0}))
    progress.take(Finished(False, 61.0))
    assert not progress.few


def test_a_failure_is_said_in_the_window_s_words():
    progress = RunProgress()
    progress.take(Failed("use --device cpu", "preset=small", "choose CPU", "choose small"))
    assert progress.words() == "choose CPU"
    assert note_words(progress) == "choose small"


def test_every_event_is_kept_where_it_belongs():
    progress = running()
    preview = Previewed("a", "previews/3.npz", 3)
    progress.take_all(
        [
            Validated(11, {"total": 0.5}, True),
            Validated(12, {"total": 0.7}, False),
            preview,
            Relabelled(3, "corrected", 0.04),
            Checkpointed(11, 46, "checkpoints/46"),
            Warned("smaller batches: the memory was full"),
        ]
    )
    assert progress.best == 0.5
    assert progress.validation["total"].y == [0.5, 0.7]
    assert progress.previews == {"a": preview}
    assert progress.relabelled.share == 0.04
    assert progress.checkpoint.step == 46
    assert progress.warnings == ["smaller batches: the memory was full"]


@pytest.mark.parametrize(
    ("end", "words", "fraction"),
    [
        (Finished(False, 61.0), "finished in 1:01", 1.0),
        (Finished(True, 30.0), "stopped at epoch 12/30 · resumes from there", 11.5 / 30),
        (Failed("the memory was full", "use less"), "the memory was full", 11.5 / 30),
    ],
)
def test_how_it_ended(end, words, fraction):
    progress = running()
    progress.take(end)
    assert progress.words() == words
    assert progress.fraction == pytest.approx(fraction)
    assert progress.seconds_left is None


def test_a_library_s_long_message_is_cut_to_what_a_line_holds():
    progress = running()
    progress.take(Failed("weights do not fit (Error\n\tMissing key(s)\n\tmore"))
    assert progress.words() == "weights do not fit (Error"
    progress.take(Failed("x" * 1000))
    assert len(progress.words()) == 200
    progress.take(Failed(""))
    assert progress.words() == ""


def test_a_long_run_keeps_few_points_and_the_whole_range():
    progress = RunProgress()
    progress.take(Started("scnet", 1000, 10, "cpu"))
    for step in range(10_000):
        progress.take(Stepped(step // 10, step, 1000, {"total": float(step)}))
    curve = progress.training["total"]
    assert MOST_POINTS / 2 <= len(curve.x) <= MOST_POINTS
    assert curve.x[0] < 1
    assert curve.x[-1] > 990
    assert curve.x == sorted(curve.x)


def test_a_loss_that_is_no_number_leaves_the_curve_alone():
    progress = RunProgress()
    progress.take(Stepped(0, 0, 1, {"total": float("nan")}))
    assert progress.training["total"].y == []


def test_a_narrow_row_gets_the_state_without_its_reasons():
    progress = RunProgress()
    assert progress.brief() == progress.words() == "starting …"
    progress.take_state(stopping=False, waiting=True)
    assert progress.brief() == "waiting for the processor"
    progress.take(Started("scnet", 30, 8, "cpu"))
    progress.take(Stepped(0, 1, 30, {"total": 1.0}, 21.0))
    assert progress.words().endswith("other programs use the processor")
    assert progress.brief() == "epoch 1/30 · 0:21 left"
    progress.take(Finished(True, 61.0))
    assert progress.brief() == "stopped at epoch 1/30"
    progress.take(Finished(False, 61.0))
    assert progress.brief() == "too short: 1 step"
