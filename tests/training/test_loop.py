from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_method import Toy, config, images

from napari_noisyseg.data import loader
from napari_noisyseg.data.loader import TrainingData
from napari_noisyseg.errors import JobError
from napari_noisyseg.events import (
    Checkpointed,
    Event,
    Relabelled,
    Started,
    Stepped,
    Validated,
    Warned,
)
from napari_noisyseg.method import Batch, Outcome, Progress
from napari_noisyseg.training import loop
from napari_noisyseg.training.checkpoint import generations, load_newest
from napari_noisyseg.training.loop import Training, train
from napari_noisyseg.training.plan import Plan


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MIN_STEPS", 1)


def training(folder: Path | None = None, count: int = 2, **plan: object) -> Training:
    settings = config()
    data = TrainingData(images(count), settings, Toy.needs, seed=3)
    return Training(Toy(settings), settings, data, Plan(seed=3, **plan), folder=folder)


def losses(events: Iterator[Event] | list[Event]) -> list[float]:
    return [event.losses["total"] for event in events if isinstance(event, Stepped)]


def test_events_come_in_order_and_training_learns() -> None:
    run = training(epochs=40)
    events = list(train(run))
    assert isinstance(events[0], Started)
    assert (events[0].epochs, events[0].steps_per_epoch) == (40, 2)
    steps = [event for event in events if isinstance(event, Stepped)]
    assert [event.step for event in steps] == list(range(1, 81))
    assert [event.epoch for event in steps] == [i // 2 for i in range(80)]
    assert steps[-1].losses["total"] < 0.6 * steps[0].losses["total"]
    assert steps[-1].seconds_left == 0
    relabelled = [event for event in events if isinstance(event, Relabelled)]
    assert [event.epoch for event in relabelled] == list(range(1, 40))
    assert relabelled[0].share == 1


def test_the_schedule_runs_from_zero_to_one() -> None:
    run = training(epochs=3)
    list(train(run))
    fractions = run.method.fractions
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert fractions == sorted(fractions)


def test_the_same_seed_gives_the_same_losses() -> None:
    assert losses(train(training(epochs=3))) == losses(train(training(epochs=3)))


@pytest.mark.parametrize("before", [1, 2, 3, 5])
def test_a_resumed_run_has_the_losses_of_one_that_never_stopped(
    tmp_path: Path, before: int
) -> None:
    straight = losses(train(training(epochs=3)))
    first = training(tmp_path, epochs=3)
    stream = train(first)
    early: list[float] = []
    for event in stream:
        early += losses([event])
        if len(early) == before:
            stream.close()
    torch.rand(17)
    second = training(tmp_path, epochs=3)
    second.resume(load_newest(tmp_path / "checkpoints"))
    assert early + losses(train(second)) == straight
    assert len(straight) == 6


def test_a_method_begins_once_and_revises_before_each_further_epoch(tmp_path: Path) -> None:
    first, second = (training(tmp_path, epochs=3) for _ in range(2))
    stream = train(first)
    while not first.at.step:
        next(stream)
    stream.close()
    second.resume(load_newest(tmp_path / "checkpoints"))
    list(train(second))
    assert first.method.calls == ["begin"]
    assert second.method.calls == ["revise 1", "revise 2"]


class Following(Toy):
    """Tells of more than its loss, and has nothing more to learn after the fifth step."""

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        found = super().step(batch, progress)
        return Outcome(found.losses, {"gap": 0.5}, done=progress.step >= 4, trusted=0.25)


def test_a_method_that_is_done_ends_the_training_and_events_tell_all_of_it() -> None:
    run = training(epochs=20)
    run.method = Following(run.config)
    told = [event.losses for event in train(run) if isinstance(event, Stepped)]
    assert [step["finished"] for step in told] == [0, 0, 0, 0, 1]
    assert {"total", "gap", "finished", "trusted"} == set(told[0])
    assert (told[0]["gap"], told[0]["trusted"]) == (0.5, 0.25)


def test_closing_writes_a_checkpoint_and_only_two_are_kept(tmp_path: Path) -> None:
    run = training(tmp_path, epochs=3)
    told: list[Checkpointed] = []
    for event in train(run):
        if isinstance(event, Stepped) and event.step < 5:
            run.save()
        told += [event] if isinstance(event, Checkpointed) else []
    kept = generations(tmp_path / "checkpoints")
    assert [path.name for path in kept] == ["00000006", "00000004"]
    assert tmp_path / told[-1].path == kept[0]
    assert int(kept[0].name) == run.at.step == 6


def test_the_best_weights_are_in_place_at_the_end() -> None:
    run = training(count=12, epochs=6)
    judged: list[Validated] = []
    for event in train(run):
        if isinstance(event, Validated):
            judged.append(event)
            # from here on training only does harm
            run.method.optimizer.param_groups[0]["lr"] = -0.5
    best = min(event.losses["total"] for event in judged)
    assert [event.best for event in judged][:2] == [True, False]
    assert run.at.best == best
    assert loop._validation_losses(run, loop.Schedule(1, 1))["total"] == pytest.approx(best)


def test_where_nothing_can_be_judged_the_last_weights_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = training(count=12, epochs=3)
    monkeypatch.setattr(run.method, "validate", lambda batch, progress: {"total": 0.0})
    for event in train(run):
        if isinstance(event, Stepped):
            last = {k: v.clone() for k, v in run.method.weights().items()}
    assert all(torch.equal(value, last[key]) for key, value in run.method.weights().items())


def test_an_epoch_cut_short_is_judged_as_well() -> None:
    run = training(count=12, epochs=6)
    stream = train(run)
    for event in stream:
        if isinstance(event, Stepped) and event.step == run.at.step_in_epoch == 3:
            stream.close()
    assert run.at.best is not None
    assert run.best


def test_out_of_memory_makes_the_batch_smaller_with_a_word() -> None:
    run = training(epochs=2)
    run.method.fail_above = 2
    events = list(train(run))
    (warned,) = [event for event in events if isinstance(event, Warned)]
    assert "batches of 2" in warned.message
    assert set(run.method.batch_sizes) == {2}
    assert len(losses(events)) == 4


def test_smaller_batches_do_not_make_a_resumed_epoch_longer(tmp_path: Path) -> None:
    run = training(tmp_path, epochs=2)
    run.method.fail_above = 2
    stream = train(run)
    steps = [event for event in islice(stream, 4) if isinstance(event, Stepped)]
    stream.close()
    again = training(tmp_path, epochs=2)
    again.resume(load_newest(tmp_path / "checkpoints"))
    started, *_ = events = list(train(again))
    assert (again.at.batch_size, started.steps_per_epoch) == (2, 2)
    assert len(steps) + len(losses(events)) == 4


def test_out_of_memory_at_the_smallest_batch_says_what_to_do() -> None:
    run = training(epochs=2)
    run.method.fail_above = 1
    with pytest.raises(JobError, match="smaller crop"):
        list(train(run))


def test_other_errors_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = training(epochs=2)

    def broken(batch: object, progress: object) -> None:
        raise RuntimeError("expected 3 channels")

    monkeypatch.setattr(run.method, "step", broken)
    with pytest.raises(RuntimeError, match="3 channels"):
        list(train(run))


def test_a_moved_deadline_ends_training_with_the_schedule_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(x * 0.25 for x in range(10**6))
    monkeypatch.setattr(loop.time, "time", lambda: next(clock))
    run = training(deadline=10**9)
    stream = train(run)
    list(islice(stream, 20))
    run.deadline = next(clock) + 40
    events = list(stream)
    assert run.method.fractions[-1] > 0.95
    assert next(clock) < run.deadline + 2
    last = [event for event in events if isinstance(event, Stepped)][-1]
    assert last.epochs - 2 <= last.epoch < last.epochs


class Astray(Toy):
    """Says of every step from the sixth on what `says` is told to."""

    says: dict[str, Any]

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        found = super().step(batch, progress)
        return replace(found, **(self.says if progress.step >= 5 else {"trusted": 1.0}))


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"losses": {"total": float("nan")}}, "not a number"),
        ({"figures": {"gap": float("inf")}}, "not a number"),
        ({"trusted": 0.0}, "no pixel .* was trusted"),
    ],
)
def test_losses_and_weights_that_go_astray_stop_with_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(loop, "UNTRUSTED_STEPS", 4)
    run = training(tmp_path, epochs=20, checkpoint_seconds=0.0)
    run.method = Astray(run.config)
    run.method.says = says
    with pytest.raises(JobError, match=f"{words}.*the checkpoint of step"):
        list(train(run))
    newest = load_newest(tmp_path / "checkpoints")
    assert newest is not None
    assert run.saved == newest.position.step
    assert 1 <= run.saved < 10
