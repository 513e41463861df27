"""Training on another machine, asked for in the Train step."""

from __future__ import annotations

import os

import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.controllers import elsewhere as module
from napari_noisyseg.gui.controllers.elsewhere import Elsewhere
from napari_noisyseg.gui.controllers.runspec import Choice, run_spec
from napari_noisyseg.gui.docks.train.dock import TrainDock
from napari_noisyseg.gui.work import at_once
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.cluster.offers import Offer
from napari_noisyseg.worker.parent import client, process

OFFER = Offer("tls://lab:1", "lab-box", "0.1.0", "2.6", "A100", 8, 1)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def look(scheduler: object, device: str) -> list[Offer]:
        found.append(f"{scheduler.address} {device}")  # type: ignore[attr-defined]
        return [OFFER]

    monkeypatch.setattr(module, "look", look)
    return found


def test_it_is_off_until_it_is_wanted() -> None:
    mine = Elsewhere(at_once)
    mine.name("tls://lab")
    assert mine.scheduler is None
    mine.wanted = True
    assert mine.scheduler == "tls://lab:8786"
    mine.name("")
    with pytest.raises(NoisySegError, match="clear the tick"):
        _ = mine.scheduler
    choice = Choice("scnet", {}, 1, None, "auto", scheduler="tls://lab:8786")
    assert run_spec(choice).scheduler == "tls://lab:8786"
    assert run_spec(Choice("scnet", {}, 1, None, "auto")).scheduler is None


def test_a_test_says_who_would_train(asked: list[str]) -> None:
    mine = Elsewhere(at_once)
    mine.name(" tls://lab:1 ")
    mine.test("auto")
    assert asked == ["tls://lab:1 auto"]
    assert mine.answer.mark == "good"
    assert "lab-box" in mine.answer.words
    assert "A100" in mine.answer.words
    mine.name("tls://other")
    assert mine.answer.words == ""


@pytest.mark.parametrize("address", ["", "http://x", "tcp://10.0.0.5:8786"])
def test_a_wrong_address_is_told_in_the_window_s_words(address: str, asked: list[str]) -> None:
    mine = Elsewhere(at_once)
    mine.name(address)
    mine.test("auto")
    assert mine.answer.mark == "warn"
    assert "--" not in mine.answer.words
    assert asked == []


def test_an_answer_for_another_address_is_dropped(asked: list[str]) -> None:
    waiting = []
    mine = Elsewhere(lambda work, done, failed=None: waiting.append((work, done)))
    mine.name("tls://lab")
    mine.test("auto")
    assert mine.answer.words == "Asking …"
    mine.name("tls://other")
    ((work, done),) = waiting
    done(work())
    assert mine.answer.words == ""


@pytest.mark.gui
def test_the_train_step_sends_a_run_there(qtbot, bare, asked, monkeypatch) -> None:
    kept: list[object] = []
    monkeypatch.setattr(process, "launch", lambda run, threads=None: run.claim(os.getpid()))
    monkeypatch.setattr(client, "_on_a_cluster", lambda spec, address: kept.append(address) or spec)
    session = bare
    session.look(step="train")
    session.sync()
    dock = TrainDock(session)
    qtbot.addWidget(dock)
    dock.show()
    view = dock.elsewhere
    assert not view.body.isVisible()
    view.toggle.click()
    view.address.setText("tls://lab:1")
    view.test.click()
    qtbot.waitUntil(lambda: "lab-box" in view.said.text(), timeout=20_000)
    view.use.click()
    assert view.toggle.text() == "Run on another machine: yes"
    dock.options.method.setCurrentIndex(dock.options.method.findData("igtt"))
    dock.options._pick()
    dock.button.click()
    qtbot.waitUntil(lambda: bool(dock.follower.living), timeout=60_000)
    run: Run = session.project.runs.get(dock.follower.living[0])
    assert run.spec()["scheduler"] == "tls://lab:1"
    assert kept == ["tls://lab:1"]
    dock.closing()
