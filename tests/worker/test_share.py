"""The ladder's decisions, and the share that a real child gets beside programs that never rest."""

from __future__ import annotations

import itertools
import sys
import time

import psutil
import pytest
from tiny_runs import end, spec, wait

from napari_noisyseg.benchmarks.busy import busy, seconds_of
from napari_noisyseg.events import Stepped
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.child.share import (
    AMPLE,
    CALM,
    LADDER,
    LEAST,
    LONGEST_CALM,
    Standing,
    judge,
)
from napari_noisyseg.worker.parent import client

TOP = len(LADDER) - 1


def judged(start: Standing, *measured: tuple[float, float]) -> Standing:
    for ran, waited in measured:
        start = judge(start, ran, waited)
    return start


def test_a_starved_child_climbs_and_no_further_than_the_top():
    assert judge(Standing(), 0.05, 1.9).rung == 1
    assert judged(Standing(), *[(0.05, 1.9)] * 20).rung == TOP


def test_a_fair_share_changes_nothing():
    assert judged(Standing(3), *[(0.45, 1.4)] * 100).rung == 3


@pytest.mark.parametrize(("ran", "waited"), [(0.0, 0.0), (0.02, 0.1), (0.2, 0.01)])
def test_a_child_that_asks_for_little_does_not_climb(ran: float, waited: float):
    assert judge(Standing(2), ran, waited).rung <= 2


def test_a_free_machine_brings_it_down_step_by_step():
    free = (1.9, 0.05)
    assert judged(Standing(2), *[free] * (CALM - 1)).rung == 2
    assert judged(Standing(2), *[free] * CALM).rung == 1
    assert judged(Standing(TOP), *[free] * CALM * TOP).rung == 0
    assert judged(Standing(0), *[free] * 50).rung == 0


def test_little_work_without_waiting_comes_down_too():
    assert judged(Standing(2), *[(0.5, 0.01)] * CALM).rung == 1


def test_a_moment_of_ample_share_is_no_reason():
    assert judged(Standing(2), *[(1.5, 0.5), (0.5, 1.5)] * 20).rung == 2


def test_a_step_down_that_did_not_hold_is_tried_less_and_less():
    # on rung 1 there is plenty, on rung 0 nothing: as where SCHED_IDLE makes the difference
    now, starving = Standing(), 0
    for _ in range(600):
        starved = now.rung == 0
        starving += starved
        now = judge(now, *((0.01, 1.9) if starved else (1.3, 0.7)))
    assert now.patience == LONGEST_CALM
    assert starving < 20


def test_neighbouring_rungs_cannot_both_be_wrong():
    """No share is too little on one rung and too much on the next."""
    weight = {0: 1024, 1: 820, 3: 526, 5: 335, 7: 215, 10: 110}
    for below, above in itertools.pairwise(LADDER):
        assert weight[above] / weight[below] < AMPLE / LEAST


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the ladder is Linux's")
def test_a_third_of_a_core_beside_programs_that_never_rest(project: Project):
    # with one thread: on tiles as tiny as these two would mostly wait for each other
    run = client.start(project, spec(epochs=100_000, yielding=True))
    wait(run, lambda events: any(isinstance(event, Stepped) for event in events))
    pid = int(run.worker()["pid"])
    assert psutil.Process(pid).nice() == 3
    shares = [share_beside(pid, programs) for programs in (1, 2)]
    print(f"share of a core beside one and two programs per core, and theirs: {shares}")
    for ours, theirs in shares:
        # on a machine where still more is going on an equal share is less
        assert ours >= min(0.3, theirs / 2)
    end(run)


def share_beside(pid: int, programs: int) -> tuple[float, float]:
    """The child's share of a core beside so many programs per core, and one program's own."""
    with busy(programs * (psutil.cpu_count() or 1)) as others:
        time.sleep(8)  # to climb
        began, ours, theirs = time.monotonic(), seconds_of(pid), sum(map(seconds_of, others))
        time.sleep(20)
        seconds = time.monotonic() - began
        used = sum(map(seconds_of, others)) - theirs
        return (seconds_of(pid) - ours) / seconds, used / len(others) / seconds
