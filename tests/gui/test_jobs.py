from __future__ import annotations

import threading

import pytest

from napari_noisyseg.gui.jobs import Jobs

pytestmark = pytest.mark.gui


@pytest.fixture
def jobs(qtbot):
    made = Jobs()
    yield made
    made.close()


def test_work_is_elsewhere_and_its_result_comes_home(qtbot, jobs):
    got = []
    jobs.do(threading.current_thread, lambda t: got.append((t, threading.current_thread())),
                  got.append)  # fmt: skip
    qtbot.waitUntil(lambda: bool(got))
    worked, delivered = got[0]
    assert worked is not threading.main_thread()
    assert delivered is threading.main_thread()


def test_an_error_comes_home_as_one(qtbot, jobs):
    got, wrong = [], []
    jobs.do(lambda: 1 / 0, got.append, wrong.append)
    qtbot.waitUntil(lambda: bool(wrong))
    assert isinstance(wrong[0], ZeroDivisionError)
    assert not got


def test_after_closing_nothing_arrives(qtbot):
    jobs, got, gate = Jobs(), [], threading.Event()
    jobs.do(gate.wait, got.append, got.append)
    jobs.do(lambda: 2, got.append, got.append)
    gate.set()
    jobs.close()
    jobs.close()
    jobs.do(lambda: 3, got.append, got.append)
    qtbot.wait(50)
    assert got == []
