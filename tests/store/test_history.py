"""Any sequence of actions, undone and redone, with restarts in between."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Outline, Project
from napari_noisyseg.store.schema import LOGGED

from .conftest import candidate, outline

SIDE = 64
spots = st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))
boxes = st.tuples(spots, spots).filter(lambda t: t[0][0] < t[1][0] and t[0][1] < t[1][1])


def everything(project: Project) -> dict[str, Any]:
    """All that people did, as it stands now."""
    database = project._database
    rows = {t: sorted(database.rows(f"SELECT * FROM {t}"), key=repr) for t in LOGGED}
    painted = {i.name: project.nuclei.painted(i.name).tobytes() for i in project.images()}
    return {**rows, "painted": painted}


class Sessions(RuleBasedStateMachine):
    """Keeps beside the project the list of what it looked like after each action."""

    ids = Bundle("ids")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.project = Project.create(self.folder / "p.noisyseg")
        self.project.add_array(np.full((SIDE, SIDE, 3), 200, np.uint8), "i", 0.25)
        finds = [candidate(y, 10, 8) for y in (0, 20, 40)]
        self.finds = [c.id for c in self.project.nuclei.adopt("i", "r1", finds)]
        self.past = [everything(self.project)]
        self.now = 0

    def acted(self) -> None:
        """What was undone is gone for good once something new is done."""
        self.past = [*self.past[: self.now + 1], everything(self.project)]
        self.now += 1

    def nuclei(self) -> list[str]:
        return [n.id for n in self.project.nuclei.of("i", every=True)]

    @rule(spot=spots, name=st.sampled_from([None, "a", "b"]))
    def add(self, spot: tuple[int, int], name: str | None) -> None:
        self.project.nuclei.add("i", *spot, name)
        self.acted()

    @rule(spots_=st.lists(spots, min_size=1, max_size=4))
    def add_many(self, spots_: list[tuple[int, int]]) -> None:
        self.project.nuclei.add_many("i", spots_)
        self.acted()

    def any_judged(self) -> bool:
        return bool(self.project.nuclei.judged("i"))

    @precondition(any_judged)
    @rule(pick=st.integers(0, 99))
    def split(self, pick: int) -> None:
        judged = self.project.nuclei.judged("i")
        one = judged[pick % len(judged)]
        half = one.outline.mask.shape[0] // 2
        if half:
            box, mask = one.outline.box, one.outline.mask
            parts = (
                Outline.of(mask[:half], Box(*box[:2], box.y0 + half, box.x1)),
                Outline.of(mask[half:], Box(box.y0 + half, *box[1:])),
            )
            if all(parts):
                self.project.nuclei.split(one.id, [part for part in parts if part])
                self.acted()

    @precondition(any_judged)
    @rule(pick=st.integers(0, 99), step=st.integers(1, 9), name=st.sampled_from([None, "a"]))
    def merge(self, pick: int, step: int, name: str | None) -> None:
        ids = [c.id for c in self.project.nuclei.judged("i")]
        one, other = ids[pick % len(ids)], ids[(pick + step) % len(ids)]
        if one != other:
            self.project.nuclei.merge([one, other], outline(5, 5, 9))
            self.acted()
            self.project.nuclei.set_class([one], name)
            self.acted()

    @precondition(any_judged)
    @rule(pick=st.integers(0, 99), words=st.sampled_from(["", "x", "y"]))
    def comment(self, pick: int, words: str) -> None:
        ids = [c.id for c in self.project.nuclei.judged("i")]
        one = ids[pick % len(ids)]
        if words != self.project.nuclei.comment(one):
            self.project.nuclei.set_comment("i", one, words)
            self.acted()

    @rule(spot=spots, pick=st.integers(0, 99))
    def move(self, spot: tuple[int, int], pick: int) -> None:
        if ids := self.nuclei():
            self.project.nuclei.move(ids[pick % len(ids)], *spot)
            self.acted()

    @rule(pick=st.integers(0, 99), count=st.integers(1, 3))
    def remove(self, pick: int, count: int) -> None:
        if ids := self.nuclei():
            self.project.nuclei.remove(ids[pick % len(ids) :][:count])
            self.acted()

    @rule(box=boxes)
    def field(self, box: tuple[tuple[int, int], tuple[int, int]]) -> None:
        self.project.nuclei.add_field("i", Box(*box[0], *box[1]))
        self.acted()

    @rule(pick=st.integers(0, 99), box=boxes)
    def change_field(self, pick: int, box: tuple[tuple[int, int], tuple[int, int]]) -> None:
        if found := self.project.nuclei.fields("i"):
            self.project.nuclei.change_field(found[pick % len(found)].id, Box(*box[0], *box[1]))
            self.acted()

    @rule(box=boxes, value=st.integers(0, 3))
    def paint(self, box: tuple[tuple[int, int], tuple[int, int]], value: int) -> None:
        place = Box(*box[0], *box[1])
        before = self.project.nuclei.painted("i", box=place)
        after = np.full_like(before, value)
        if not np.array_equal(before, after):
            self.project.nuclei.paint("i", place, before, after)
            self.acted()

    @rule(
        pick=st.integers(0, 2),
        state=st.sampled_from(["accepted", "rejected", "unsure", "unreviewed"]),
        drawn=st.booleans(),
    )
    def decide(self, pick: int, state: Any, drawn: bool) -> None:
        id = self.finds[pick]
        self.project.nuclei.decide([id], state, outlines={id: outline(5, 5)} if drawn else None)
        self.acted()

    @rule(spot=spots)
    def together(self, spot: tuple[int, int]) -> None:
        with self.project.nuclei.together("import"):
            made = self.project.nuclei.add_many("i", [spot, spot], ["c", None])
            self.project.nuclei.set_outline(made[0].id, *_shape(), "import")
            self.project.nuclei.decide([made[0].id], "accepted")
            self.project.nuclei.remove([made[1].id])
        self.acted()

    @rule(spot=spots)
    def broken_off(self, spot: tuple[int, int]) -> None:
        with pytest.raises(NoisySegError):
            self.half_of_it(spot)
        self.is_as_it_was()

    def half_of_it(self, spot: tuple[int, int]) -> None:
        with self.project.nuclei.together("import"):
            self.project.nuclei.add("i", *spot)
            self.project.nuclei.add("i", -9, -9)

    @rule(mpp=st.sampled_from([0.25, 0.5]))
    def scale(self, mpp: float) -> None:
        self.project.set_mpp("i", mpp)
        self.acted()

    @rule(times=st.integers(1, 4))
    def undo(self, times: int) -> None:
        for _ in range(times):
            coming = self.project.nuclei.coming()
            words = self.project.nuclei.undo()
            assert coming[0] == words
            # the image itself was the first action: it is not taken back here
            if self.now == 0:
                assert words == "add the image i"
                assert self.project.nuclei.redo() == words
                return
            self.now -= 1
            assert everything(self.project) == self.past[self.now]

    @rule(times=st.integers(1, 4))
    def redo(self, times: int) -> None:
        for _ in range(times):
            coming = self.project.nuclei.coming()
            words = self.project.nuclei.redo()
            assert coming[1] == (words or "")
            assert (words is None) == (self.now == len(self.past) - 1)
            self.now += words is not None
            assert everything(self.project) == self.past[self.now]

    @rule()
    def restart(self) -> None:
        self.project.close()
        self.project = Project.open(self.folder / "p.noisyseg")
        self.is_as_it_was()

    def is_as_it_was(self) -> None:
        assert everything(self.project) == self.past[self.now]

    def teardown(self) -> None:
        if not hasattr(self, "project"):
            return
        last = everything(self.project)
        for step in range(self.now, 0, -1):
            self.project.nuclei.undo()
            assert everything(self.project) == self.past[step - 1]
        for _ in range(self.now):
            self.project.nuclei.redo()
        assert everything(self.project) == last
        self.project.rebuild()
        assert everything(self.project) == last
        self.project.close()
        shutil.rmtree(self.folder)


def _shape() -> tuple[Box, np.ndarray]:
    return outline(20, 20).box, outline(20, 20).mask


Sessions.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestSessions = Sessions.TestCase


def test_undo_survives_a_restart_in_words(project: Project, tnbc: tuple[Any, Any]) -> None:
    project.add_array(tnbc[0], "tissue")
    nucleus = project.nuclei.add("tissue", 5, 5)
    path = project.path
    project.close()
    with Project.open(path) as again:
        assert again.nuclei.undo() == "add a point"
    with Project.open(path) as again:
        assert again.nuclei.of("tissue") == []
        assert again.nuclei.redo() == "add a point"
        assert again.nuclei.redo() is None
        assert again.nuclei.of("tissue") == [nucleus]
        assert [(e.words, e.state) for e in again.nuclei.history()] == [
            ("add a point", "done"), ("add the image tissue", "done"),
        ]  # fmt: skip


def test_a_new_action_drops_what_was_undone(tissue: Project) -> None:
    tissue.nuclei.add("tissue", 5, 5)
    tissue.nuclei.undo()
    tissue.nuclei.add("tissue", 6, 6)
    assert tissue.nuclei.redo() is None
    assert [e.state for e in tissue.nuclei.history()] == ["done", "dropped", "done"]


def test_a_removed_image_comes_back_with_everything(tissue: Project) -> None:
    nucleus = tissue.nuclei.add("tissue", 5, 5)
    tissue.remove_image("tissue")
    assert tissue.images() == []
    with pytest.raises(NoisySegError, match="no image 'tissue'"):
        tissue.nuclei.of("tissue")
    tissue.nuclei.undo()
    assert tissue.nuclei.of("tissue") == [nucleus]
    assert tissue.pixels("tissue").shape == (512, 512)


def test_what_comes_next_is_of_the_actions_after_a_moment(tissue: Project) -> None:
    nuclei = tissue.nuclei
    before = nuclei.history(1)[0].id
    for y in range(30):
        nuclei.add("tissue", 5.0 + y, 5.0)
    for left in range(30, 0, -1):
        assert nuclei.coming(before)[0] == "add a point", left
        nuclei.undo()
    assert nuclei.coming(before) == ("", "add a point")
    assert nuclei.coming()[0] == nuclei.history(31)[-1].words


def test_nothing_to_undo(project: Project) -> None:
    assert project.nuclei.undo() is None
    assert project.nuclei.redo() is None


def test_undo_inside_an_action_is_refused(tissue: Project) -> None:
    tissue.nuclei.add("tissue", 5, 5)
    with pytest.raises(NoisySegError, match="wait"), tissue.nuclei.together("import"):
        tissue.nuclei.undo()
    assert len(tissue.nuclei.of("tissue")) == 1
