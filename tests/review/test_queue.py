from __future__ import annotations

from dataclasses import replace
from time import thread_time

import numpy as np
import pytest
from review_parts import MPP, found_in

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review import ReviewQueue, accept_above
from napari_noisyseg.review.value import FOLLOW, followers, values
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline


def states(project) -> list[str]:
    return [candidate.state for candidate in project.nuclei.candidates("tnbc")]


def test_what_a_look_corrects_most_comes_first(project):
    queue = ReviewQueue(project)
    worth = values([item.candidate for item in queue.items])
    assert worth.tolist() == sorted(worth, reverse=True)
    doubts = [item.doubt for item in queue.items]
    assert doubts[0] > 0.9
    assert np.corrcoef(doubts, worth)[0, 1] > 0.99
    assert [item.id for item in queue.next(3)] == [item.id for item in queue.items[:3]]
    assert len(queue.next(10_000)) == len(queue) == len(project.nuclei.candidates("tnbc"))


def square(side: int, at: tuple[int, int]) -> Candidate:
    outline = Outline(Box(*at, at[0] + side, at[1] + side), np.ones((side, side), bool))
    return Candidate("", 0, *at, outline, 0.25, "", "run-2", side**2 * MPP**2)


def test_the_reason_is_the_runs_own_else_size_else_confidence(project):
    usual = [square(10, (20 * k, 40)) for k in range(9)]
    found = [*usual, square(20, (100, 100)), square(5, (200, 200))]
    project.nuclei.adopt("tnbc", "run-2", found)
    reasons = {i.candidate.y: i.reason for i in ReviewQueue(project, run="run-2").items}
    assert reasons[100] == "large: 4.0 × the usual area"
    assert reasons[200] == "small: 0.25 × the usual area"
    assert reasons[20] == "confidence 25 %"
    assert ReviewQueue(project, run="run-1").items[0].reason == "the edge is faint"


def test_a_decision_is_in_the_store_before_it_is_shown(project):
    queue = ReviewQueue(project)
    first, second = queue.next(2)
    queue.decide([first.id], "accepted", reviewer="ada")
    assert project.nuclei.get(first.id).state == "accepted"
    assert queue.items[0].state == "accepted"
    assert queue.next(1)[0].id == second.id
    project.close()
    with pytest.raises(NoisySegError):
        queue.decide([second.id], "rejected")
    assert queue.items[1].state == "unreviewed"


def test_the_review_goes_on_where_it_stood(project):
    queue = ReviewQueue(project)
    for item, state in zip(queue.next(3), ("accepted", "rejected", "unsure"), strict=True):
        queue.decide([item.id], state)
    expected = [item.id for item in queue.next(2)]
    path = project.path
    project.close()
    with Project.open(path) as again:
        reopened = ReviewQueue(again)
        assert [item.id for item in reopened.next(2)] == expected
        progress = reopened.progress()
        assert (progress.accepted, progress.rejected, progress.unsure) == (1, 1, 1)
        assert progress.words() == f"3 of {len(reopened)} reviewed · 33 % accepted"


def test_words_before_anything_is_done(project, tmp_path):
    assert ReviewQueue(project).progress().words() == f"0 of {len(ReviewQueue(project))} reviewed"
    with Project.create(tmp_path / "empty.noisyseg") as empty:
        assert ReviewQueue(empty).progress().words() == "nothing to review yet"
        assert ReviewQueue(empty).next() == []
        assert ReviewQueue(empty).open_after(-1) is None


def test_an_unknown_image_is_named(project):
    with pytest.raises(NoisySegError, match="no image named 'other'"):
        ReviewQueue(project, ["other"])


def test_open_after_skips_what_is_decided_and_starts_over(project):
    queue = ReviewQueue(project)
    queue.decide([queue.items[k].id for k in (0, 1, 3)], "accepted")
    assert queue.open_after(0) == 2
    assert queue.open_after(2) == 4
    queue.decide([item.id for item in queue.items[4:]], "accepted")
    assert queue.open_after(4) == 2
    queue.decide([queue.items[2].id], "rejected")
    assert queue.open_after(2) is None


def test_accept_above_takes_the_sure_ones_and_is_undone_at_once(project):
    before = states(project)
    queue = ReviewQueue(project)
    queue.decide([queue.items[-1].id], "rejected")
    scores = [c.score for c in project.nuclei.candidates("tnbc")]
    expected = sum(score >= 0.5 for score in scores) - 1
    assert accept_above(project, 0.5) == expected
    assert states(project).count("accepted") == expected
    assert states(project).count("rejected") == 1
    assert f"accept {expected} nuclei" in project.nuclei.undo()
    assert states(project).count("accepted") == 0
    project.nuclei.undo()
    assert states(project) == before


@pytest.mark.parametrize("confidence", [-0.1, 1.01, float("nan")])
def test_a_confidence_outside_0_and_1_is_refused(project, confidence):
    with pytest.raises(NoisySegError, match="between 0 and 1"):
        accept_above(project, confidence)
    assert set(states(project)) == {"unreviewed"}


def test_refresh_sees_an_undo_and_keeps_the_order(project):
    queue = ReviewQueue(project)
    order = [item.id for item in queue.items]
    queue.decide([order[3]], "rejected")
    project.nuclei.undo()
    assert queue.refresh() == [order[3]]
    assert [item.id for item in queue.items] == order
    assert queue.items[3].state == "unreviewed"
    project.nuclei.redo()
    assert queue.refresh() == [order[3]]
    assert queue.items[3].state == "rejected"
    assert queue.refresh() == []


def test_a_redrawn_outline_is_kept_and_undone(project):
    queue = ReviewQueue(project)
    item = queue.items[0]
    drawn = Outline(Box(10, 10, 14, 15), np.ones((4, 5), bool))
    queue.redraw(item.id, drawn)
    assert queue.outline(queue.items[0]) == drawn
    again = next(i for i in ReviewQueue(project).items if i.id == item.id)
    assert queue.items[0].candidate.area_um2 == pytest.approx(again.candidate.area_um2)
    assert project.nuclei.get(item.id).state == "unreviewed"
    larger = Outline(Box(10, 10, 15, 15), np.ones((5, 5), bool))
    queue.redraw(item.id, larger)
    queue.decide([item.id], "accepted")
    assert project.nuclei.outline(item.id) == larger
    project.nuclei.undo()
    project.nuclei.undo()
    assert queue.outline(queue.items[0]) == drawn
    project.nuclei.undo()
    queue.refresh()
    assert queue.outline(queue.items[0]) == item.candidate.outline


def test_columns_say_what_the_items_say(project):
    queue = ReviewQueue(project)
    queue.decide([queue.items[4].id], "accepted")
    queue.decide([queue.items[7].id], "rejected")
    for items in (queue.items, queue.items[::3], queue.items[5:]):
        each = [items[row] for row in range(len(items))]
        assert list(items) == each
        assert items.ids == [item.id for item in each]
        assert items.scores.tolist() == [item.candidate.score for item in each]
        assert items.areas.tolist() == [item.candidate.area_um2 for item in each]
        some = [item.candidate.serial for item in each[1:4]]
        assert list(items.numbered([*some, 999_999])) == each[1:4]
        assert items.are("accepted").tolist() == [item.state == "accepted" for item in each]
        assert items.images() == ["tnbc"]
    place = queue.items[4].candidate.outline.middle()
    near = [i.id for i in queue.items if i.candidate.outline.box.contains(*place)]
    assert queue.items.around(*place).ids == near
    assert queue.items[-1] == queue.items[len(queue) - 1]
    with pytest.raises(IndexError):
        queue.items[len(queue)]


def test_the_order_is_by_worth_then_image_then_serial(project, tnbc):
    rgb, labels = tnbc
    project.add_array(rgb[::-1], "before", MPP)
    found = found_in(labels[::-1].copy())
    # half of them as sure as each other, so that ties are met
    even = [replace(c, score=0.3, reason="") if n % 2 else c for n, c in enumerate(found)]
    project.nuclei.adopt("before", "run-1", even)
    queue = ReviewQueue(project)
    value = {}
    for image in ("tnbc", "before"):
        read = project.nuclei.judged(image)
        value |= dict(zip([c.id for c in read], values(read).tolist(), strict=True))
    each = [(-value[i.id], i.image, i.candidate.serial) for i in queue.items]
    assert each == sorted(each)
    assert len(each) == 2 * len(found)


def test_a_run_that_comes_in_keeps_the_order_of_what_stays(project, tnbc):
    queue = ReviewQueue(project)
    order = [item.id for item in queue.items]
    queue.decide([order[2]], "accepted")
    found = found_in(tnbc[1], run="run-2", reason="")
    project.nuclei.adopt("tnbc", "run-2", [*found[10:], square(7, (3, 3))])
    lost = {c.id for c in project.nuclei.candidates("tnbc", "run-1")}
    lost -= {c.id for c in project.nuclei.judged("tnbc")}
    assert lost
    assert queue.refresh() == []
    assert [i.id for i in queue.items][:-1] == [id for id in order if id not in lost]
    assert queue.items[-1].candidate.outline.box == Box(3, 3, 10, 10)
    again = {i.id: i for i in ReviewQueue(project).items}
    assert {i.id: i for i in queue.items} == again


def test_thousands_of_nuclei_are_quick(tmp_path, pace):
    side, n = 2000, 4900
    grid = np.arange(n)
    corners = np.stack([grid // 70 * 28, grid % 70 * 28], 1)
    mask = np.ones((9, 9), bool)
    candidates = [
        Candidate("", 0, y + 4, x + 4, Outline(Box(y, x, y + 9, x + 9), mask), k / n, "", "r", 20.0)
        for k, (y, x) in enumerate(corners.tolist())
    ]
    with Project.create(tmp_path / "many.noisyseg") as project:
        project.add_array(np.full((side, side, 3), 200, np.uint8), "many", MPP)
        project.nuclei.adopt("many", "r", candidates)
        queue = ReviewQueue(project)
        start = thread_time()
        for item in queue.next(20):
            queue.decide([item.id], "accepted")
            queue.open_after(queue.row(item.id))
            queue.progress()
            queue.above(0.9)
        assert (thread_time() - start) / 20 < 10 * pace


def test_of_equal_doubt_the_common_kind_comes_first(project):
    usual = [square(10, (20 * k, 40)) for k in range(9)]
    project.nuclei.adopt("tnbc", "run-2", [square(40, (200, 200)), *usual])
    queue = ReviewQueue(project, run="run-2")
    of_run = [item for item in queue.items if item.candidate.run == "run-2"]
    assert of_run[-1].candidate.y == 200
    found = [item.candidate for item in of_run]
    common = followers(np.array([c.area_um2 for c in found]), np.full(len(found), 0.75))
    assert common[0] == 1
    assert common[-1] < 0.3
    assert values(found).max() <= 0.75 * (1 + FOLLOW) + 1e-9
    assert len(values([])) == 0
