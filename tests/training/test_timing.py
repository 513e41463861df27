from __future__ import annotations

import pytest

from napari_noisyseg.training.checkpoint import Position
from napari_noisyseg.training.timing import Every, Schedule


def simulate(deadline: float, seconds: list[float]) -> tuple[Position, float, list[float]]:
    """Train on a clock of our own: step k takes seconds[k] (the last one again and again)."""
    schedule, at = Schedule(30, 5, deadline), Position(epochs=30)
    now, fractions, k = 0.0, [], 0
    schedule.start(now)
    while not schedule.done(at, now):
        if at.step_in_epoch == 5:
            at.epoch, at.step_in_epoch = at.epoch + 1, 0
        fractions.append(at.fraction)
        now += seconds[min(k, len(seconds) - 1)]
        k += 1
        schedule.advance(at, now)
    return at, now, fractions


@pytest.mark.parametrize(
    "seconds", [[1.0], [10.0, 1.0], [1.0] * 30 + [2.0], [2.0] * 20 + [0.7], [0.01]]
)
def test_a_deadline_is_met_with_the_schedule_complete(seconds: list[float]) -> None:
    at, now, fractions = simulate(100, seconds)
    assert now <= 100 * 1.03
    assert now >= 100 * 0.93
    assert fractions[0] == 0
    assert fractions[-1] > 0.93
    assert fractions == sorted(fractions)
    assert at.epoch == at.epochs - 1


def test_without_pause_the_fraction_grows_evenly() -> None:
    _, _, fractions = simulate(100, [1.0])
    assert fractions[50] == pytest.approx(0.5, abs=0.03)


def test_one_step_is_made_however_little_time_there_is() -> None:
    at, _, _ = simulate(0.001, [5.0])
    assert at.step == 1


def test_epochs_rule_without_a_deadline() -> None:
    schedule, at = Schedule(2, 3), Position()
    schedule.start(0)
    for step in range(6):
        assert not schedule.done(at, step)
        assert at.fraction == pytest.approx(step / 5)
        schedule.advance(at, step + 1)
    assert schedule.done(at, 6)
    assert schedule.seconds_left(at, 6) == 0


def test_a_slow_thing_is_done_more_rarely() -> None:
    every = Every(4)
    assert every.due(100)
    every.done(100, 100.1)
    assert not every.due(104)
    assert every.due(104.2)
    every.done(104, 110)
    assert not every.due(169)
    assert every.due(171)
