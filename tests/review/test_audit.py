from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_noisyseg.review import ReviewQueue, audit
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline, Verdict


def verdict(id: str, wrong: bool, way: str = "queue", time: float = 0.0) -> Verdict:
    return Verdict(id, "i", "ada", "accepted", way, "r", time, None, float(not wrong))


def walk(queue: ReviewQueue, looks: int, state="accepted") -> list[str]:
    seen, row = [], queue.following(-1)
    for _ in range(looks):
        seen.append(queue.items[row].id)
        queue.decide([queue.items[row].id], state)
        row = queue.following(row)
    return seen


def test_one_look_in_seven_is_drawn_at_random_and_the_order_goes_on_after_it(many):
    queue = ReviewQueue(many, reviewer="ada")
    seen = walk(queue, 70)
    drawn = [v for v in many.nuclei.verdicts() if v.way == "audit"]
    assert len(drawn) == 70 / audit.EVERY
    assert [v.id for v in drawn] == sorted(v.id for v in drawn)
    in_turn = [queue.row(id) for id in seen if id not in {v.id for v in drawn}]
    assert in_turn == sorted(in_turn)
    assert {v.reviewer for v in drawn} == {"ada"}


def test_the_draw_is_the_same_after_a_restart_and_after_an_undo(many):
    queue = ReviewQueue(many)
    while queue.drawn() is None:
        walk(queue, 1)
    drawn = queue.items[queue.drawn()].id
    path = many.path
    many.close()
    with Project.open(path) as again:
        queue = ReviewQueue(again)
        row = queue.following(-1)
        assert queue.items[row].id == drawn
        queue.decide([drawn], "rejected")
        assert queue.drawn() is None
        again.nuclei.undo()
        queue.refresh()
        assert queue.items[queue.drawn()].id == drawn
        assert not [v for v in again.nuclei.verdicts() if v.way == "audit"]


def test_a_nucleus_drawn_at_random_stays_in_the_sample_when_it_is_decided_anew(many):
    queue = ReviewQueue(many, reviewer="ada")
    walk(queue, 2 * audit.EVERY)
    drawn = [v for v in many.nuclei.verdicts() if v.way == "audit"]
    queue.decide([drawn[0].id], "rejected", reviewer="ben")
    now = {v.id: v for v in many.nuclei.verdicts()}[drawn[0].id]
    assert (now.way, now.state, now.reviewer, now.agreed) == ("audit", "rejected", "ben", 0.0)
    assert now.time == drawn[0].time
    many.nuclei.undo()
    assert {v.id: v for v in many.nuclei.verdicts()}[drawn[0].id] == drawn[0]


def test_a_redrawn_outline_was_wrong_only_where_it_changed_much(many):
    queue = ReviewQueue(many)
    first, second = queue.items[0], queue.items[1]
    box = first.candidate.outline.box
    small = Outline(Box(box.y0, box.x0, box.y1 - 1, box.x1), first.candidate.outline.mask[1:])
    queue.redraw(first.id, small)
    queue.decide([first.id], "accepted")
    box = second.candidate.outline.box
    corner = Outline(Box(box.y0, box.x0, box.y0 + 3, box.x0 + 3), small.mask[:3, :3])
    queue.decide([second.id], "accepted")
    queue.redraw(second.id, corner)
    said = {v.id: v for v in many.nuclei.verdicts()}
    assert said[first.id].agreed == pytest.approx(7 / 8)
    assert said[second.id].agreed == pytest.approx(9 / 64)
    assert [audit.wrong_before(said[i.id]) for i in (first, second)] == [False, True]
    # a lesson that draws the machine's outline as the person did does not make it right then
    found = many.nuclei.candidates("i")
    many.nuclei.adopt("i", "r", found)
    assert {v.id: v for v in many.nuclei.verdicts()}[second.id].agreed == pytest.approx(9 / 64)


def test_what_was_accepted_at_once_is_still_part_of_the_rest(many):
    queue = ReviewQueue(many)
    walk(queue, 28)
    before = audit.assess(many, queue.items)
    accepted = queue.accept_above(0.5)
    assert accepted > 20
    after = audit.assess(many, queue.items)
    assert after == before
    sure = audit.assess(many, queue.items, above=0.5)
    assert accepted <= sure.rest < after.rest
    left = [i for i in queue.items if i.state == "unreviewed"]
    assert len(left) + accepted == after.rest


def test_with_all_looked_at_nothing_is_left_to_say(many):
    queue = ReviewQueue(many)
    walk(queue, 150, "rejected")
    found = audit.assess(many, queue.items)
    assert found.done
    assert audit.sentence(found) == "every nucleus was looked at"


def test_words():
    few = audit.Rest(0.0, 0.03, 0.4, 7, 812)
    assert audit.sentence(few).startswith("7 of 20 nuclei drawn at random: too few")
    assert "13 more" in audit.advice(few)
    some = audit.Rest(0.01, 0.031, 0.0597, 41, 812)
    assert audit.sentence(some) == (
        "about 3 in 100 of the 812 not looked at are wrong, at most 6 (41 drawn at random)"
    )
    assert not some.done
    assert audit.advice(some).startswith("go on")
    good = audit.Rest(0.0, 0.004, 0.03, 60, 812, 0.045)
    assert audit.sentence(good).startswith("fewer than 1 in 100 of the 812")
    assert good.done
    assert audit.advice(good).startswith("you can stop")


@given(
    wrong=st.lists(st.booleans(), min_size=30, max_size=120),
    looks=st.integers(1, 29),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_what_is_known_bounds_the_interval(wrong, looks, random):
    ids = [f"{n:03d}" for n in range(len(wrong))]
    by_id = random.sample(ids, len(ids))
    seen: list[Verdict] = []
    for n in range(looks):
        among = by_id if audit.due(n) else ids
        id = next(i for i in among if i not in {v.id for v in seen})
        way = "audit" if audit.due(n) else "queue"
        seen.append(verdict(id, wrong[int(id)], way, n))
    found = audit.interval(audit.sample(seen, ids))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.rest <= len(ids) - looks
    if not found.draws:
        assert found.high > 0.9


def test_many_nuclei_are_told_apart_as_finely_as_few():
    ids = [f"{n:06d}" for n in range(100_000)]
    seen = [verdict(id, n % 10 == 0, "audit", n) for n, id in enumerate(ids[::1000])]
    many = audit.interval(audit.sample(seen, ids))
    few = audit.interval(audit.sample(seen, ids[::50]))
    assert many.draws == few.draws == 100
    assert many.value == pytest.approx(few.value, abs=0.01)
    assert many.high == pytest.approx(few.high, abs=0.015)
