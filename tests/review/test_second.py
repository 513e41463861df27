from __future__ import annotations

import pytest
from sklearn.metrics import cohen_kappa_score

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review import ReviewQueue
from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.second import BlindQueue, agreements, disagreements, pairs
from napari_noisyseg.slides import Box


@pytest.fixture
def first(project) -> ReviewQueue:
    """Ada decided on twelve nuclei, every third of them rejected."""
    queue = ReviewQueue(project, reviewer="ada")
    for n, item in enumerate(queue.items[:12]):
        queue.decide([item.id], "rejected" if n % 3 == 0 else "accepted", ms=1500)
    return queue


def test_who_when_and_how_long(project, first):
    said = project.nuclei.verdicts()
    assert [v.id for v in said] == [item.id for item in first.items[:12]]
    assert {(v.reviewer, v.ms, v.run) for v in said} == {("ada", 1500, "run-1")}
    assert [v.time for v in said] == sorted(v.time for v in said)
    assert said[0].time > 1.7e9


def test_a_second_person_sees_neither_decision_nor_redrawn_outline(project, first):
    item = first.items[1]
    box = item.candidate.outline.box
    small = item.candidate.outline.cut(Box(box.y0, box.x0, box.y0 + 4, box.x1))
    drawn = type(item.candidate.outline).of(small, Box(box.y0, box.x0, box.y0 + 4, box.x1))
    first.redraw(item.id, drawn)
    blind = BlindQueue(project, "ben")
    assert {i.id for i in blind.items} == {i.id for i in first.items[:12]}
    assert {i.state for i in blind.items} == {"unreviewed"}
    shown = next(i for i in blind.items if i.id == item.id)
    assert shown.candidate.area_um2 == pytest.approx(item.candidate.area_um2)
    assert blind.outline(shown) == item.candidate.outline
    assert not shown.candidate.frozen
    with pytest.raises(NoisySegError, match="you cannot redraw"):
        blind.redraw(item.id, drawn)


def test_what_a_newer_run_makes_of_the_decisions_is_not_told(project, first):
    before = {i.id: i.candidate for i in first.items[:12]}
    project.nuclei.adopt("tnbc", "run-2", [i.candidate for i in first.items[12:40]])
    assert {i.reason for i in ReviewQueue(project).items if i.id in before} == {
        "settled by a person", "not found by the newest run"
    }  # fmt: skip
    for item in BlindQueue(project, "ben").items:
        was = before[item.id]
        assert (item.reason, item.candidate.score) == (was.reason, was.score)
        assert item.candidate.run == was.run == "run-1"


def test_a_blind_decision_changes_nothing_but_is_kept_and_undone(project, first):
    before = {n.id: n.state for n in project.nuclei.of("tnbc", every=True)}
    blind = BlindQueue(project, "ben")
    one = blind.items[0].id
    blind.decide([one], "rejected", ms=900)
    assert blind.progress().reviewed == 1
    assert {n.id: n.state for n in project.nuclei.of("tnbc", every=True)} == before
    assert pairs(project)[0].second.ms == 900
    assert BlindQueue(project, "ben").items[0].state == "rejected"
    assert BlindQueue(project, "eve").items[0].state == "unreviewed"
    blind.decide([one], "unreviewed")
    assert (blind.items[0].state, pairs(project)) == ("unreviewed", [])
    project.nuclei.undo()
    assert len(pairs(project)) == 1
    blind.refresh()
    assert blind.items[0].state == "rejected"


def test_nobody_is_second_to_himself_or_without_a_name(project, first):
    assert len(BlindQueue(project, "ada")) == 0
    with pytest.raises(NoisySegError, match="name"):
        BlindQueue(project, " ")
    one = first.items[0].id
    with pytest.raises(NoisySegError, match="another person"):
        project.nuclei.judge_blind([one], "accepted", "ada")
    with pytest.raises(NoisySegError, match="nobody has decided"):
        project.nuclei.judge_blind([first.items[30].id], "accepted", "ben")


def test_kappa_is_cohens_and_what_differs_is_a_queue(project, first):
    blind = BlindQueue(project, "ben")
    answers = ["rejected", "accepted", "accepted", "unsure"] * 3
    for item, said in zip(list(blind.items), answers, strict=True):
        blind.decide([item.id], said)
    (found,) = agreements(project)
    states = {n.id: n.state for n in project.nuclei.of("tnbc", every=True)}
    one = [states[i.id] for i in blind.items]
    assert found.kappa == pytest.approx(cohen_kappa_score(one, answers))
    assert (found.judged, found.same) == (
        12,
        sum(a == b for a, b in zip(one, answers, strict=True)),
    )
    different = disagreements(project)
    left = [item.id for item in first.items if Filter(ids=different).passes(item)]
    assert set(left) == set(different)
    assert len(left) == found.judged - found.same


def test_two_who_say_only_one_thing_have_no_kappa(project):
    queue = ReviewQueue(project, reviewer="ada")
    one = queue.items[0].id
    queue.decide([one], "accepted")
    BlindQueue(project, "ben").decide([one], "accepted")
    (found,) = agreements(project)
    assert (found.kappa, found.same) == (None, 1)
    assert "1 of 1 alike" in found.words()


def test_a_redrawn_nucleus_counts_as_refused(project):
    queue = ReviewQueue(project, reviewer="ada")
    item = queue.items[0]
    box = item.candidate.outline.box
    corner = item.candidate.outline.mask[:3, :3] | True
    queue.redraw(
        item.id, type(item.candidate.outline)(Box(box.y0, box.x0, box.y0 + 3, box.x0 + 3), corner)
    )
    queue.decide([item.id], "accepted")
    BlindQueue(project, "ben").decide([item.id], "rejected")
    assert agreements(project)[0].same == 1
