"""Points, fields, classes, decisions and frozen outlines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Aspect, Outline, Project

from .conftest import candidate, outline


def test_a_point_is_what_was_clicked(tissue: Project) -> None:
    nucleus = tissue.nuclei.add("tissue", 10.4, 20.6, "tumour")
    assert (nucleus.y, nucleus.x, nucleus.class_name, nucleus.state) == (
        10.4, 20.6, "tumour", "unreviewed",
    )  # fmt: skip
    assert tissue.nuclei.of("tissue") == [nucleus]
    assert tissue.nuclei.get(nucleus.id) == nucleus
    assert [c.name for c in tissue.nuclei.classes()] == ["tumour"]


def test_serials_are_never_given_twice(tissue: Project) -> None:
    first = tissue.nuclei.add("tissue", 1, 1)
    tissue.nuclei.undo()
    second, third = tissue.nuclei.add_many("tissue", [(2, 2), (3, 3)])
    assert (first.serial, second.serial, third.serial) == (1, 2, 3)


@pytest.mark.parametrize("point", [(-0.6, 5), (5, 511.6), (float("nan"), 5), (5, 1e9)])
def test_a_point_outside_refuses_all(tissue: Project, point: tuple[float, float]) -> None:
    with pytest.raises(NoisySegError, match="1 of 2 points lie outside tissue"):
        tissue.nuclei.add_many("tissue", [(5, 5), point])
    assert tissue.nuclei.of("tissue") == []


def test_points_at_the_very_edge_are_inside(tissue: Project) -> None:
    tissue.nuclei.add_many("tissue", [(-0.5, -0.5), (511.49, 511.49)])
    inside = tissue.nuclei.of("tissue", Box(0, 0, 1, 1))
    assert [(n.y, n.x) for n in inside] == [(-0.5, -0.5)]
    assert len(tissue.nuclei.of("tissue", Box(511, 511, 512, 512))) == 1


def test_ten_thousand_points_are_quick(tissue: Project) -> None:
    points = np.random.default_rng(0).uniform(0, 511, (10_000, 2))
    begin = time.process_time()
    made = tissue.nuclei.add_many("tissue", points, origin="import")
    assert time.process_time() - begin < 1.0
    assert tissue.nuclei.of("tissue") == made
    serials, places = tissue.nuclei.marks("tissue")
    assert serials.tolist() == [n.serial for n in made]
    assert np.array_equal(places, points)
    begin = time.process_time()
    tissue.nuclei.add("tissue", 5, 5)
    assert time.process_time() - begin < 0.02


def test_move_name_and_remove(tissue: Project) -> None:
    one, two = tissue.nuclei.add_many("tissue", [(1, 1), (2, 2)])
    tissue.nuclei.move(one.id, 7.5, 8)
    tissue.nuclei.set_class([one.id, two.id], "lymphocyte")
    moved = tissue.nuclei.get(one.id)
    assert (moved.y, moved.x, moved.class_name) == (7.5, 8, "lymphocyte")
    tissue.nuclei.remove([one.id])
    assert [n.id for n in tissue.nuclei.of("tissue")] == [two.id]
    with pytest.raises(NoisySegError, match="removed meanwhile"):
        tissue.nuclei.remove([one.id, two.id])
    with pytest.raises(NoisySegError, match="outside tissue"):
        tissue.nuclei.move(two.id, 900, 1)


def test_a_removed_class_leaves_its_nuclei(tissue: Project) -> None:
    nucleus = tissue.nuclei.add("tissue", 1, 1, "a")
    tissue.nuclei.add_class("b", "#FF0000")
    colors = {c.name: c.color for c in tissue.nuclei.classes()}
    assert colors["b"] == "#ff0000"
    assert colors["a"] != colors["b"]
    tissue.nuclei.remove_class("a")
    assert tissue.nuclei.get(nucleus.id).class_name is None
    tissue.nuclei.undo()
    assert tissue.nuclei.get(nucleus.id).class_name == "a"
    with pytest.raises(NoisySegError, match="already"):
        tissue.nuclei.add_class("b")
    with pytest.raises(NoisySegError, match="#rrggbb"):
        tissue.nuclei.set_color("b", "red")


def test_blanks_around_a_class_make_no_other_class(tissue: Project) -> None:
    one = tissue.nuclei.add("tissue", 1, 1, " tumour")
    two = tissue.nuclei.add("tissue", 9, 9, "tumour ")
    tissue.nuclei.set_class([two.id], "tumour\t")
    assert {tissue.nuclei.get(n.id).class_name for n in (one, two)} == {"tumour"}
    assert tissue.nuclei.class_sizes() == {"tumour": 2}


def test_nuclei_of_removed_images_are_not_among_a_class_s(tissue: Project) -> None:
    tissue.add_array(np.zeros((32, 32, 3), np.uint8), "other", 0.5)
    tissue.nuclei.add("other", 1, 1, "tumour")
    tissue.remove_image("other")
    assert tissue.nuclei.class_sizes() == {"tumour": 0}
    tissue.nuclei.undo()
    assert tissue.nuclei.class_sizes() == {"tumour": 1}


def test_a_class_is_renamed_with_its_nuclei_and_back(tissue: Project) -> None:
    nuclei = tissue.nuclei
    one, two = nuclei.add("tissue", 1, 1, "a"), nuclei.add("tissue", 5, 5, "b")
    colors = {c.name: c.color for c in nuclei.classes()}
    nuclei.rename_class("a", " tumour ")
    assert [(c.name, c.color) for c in nuclei.classes()] == [
        ("tumour", colors["a"]), ("b", colors["b"]),
    ]  # fmt: skip
    assert nuclei.get(one.id).class_name == "tumour"
    assert nuclei.class_sizes() == {"tumour": 1, "b": 1}
    assert nuclei.undo() == "rename a to tumour"
    assert [c.name for c in nuclei.classes()] == ["a", "b"]
    assert nuclei.get(one.id).class_name == "a"
    nuclei.redo()
    assert nuclei.get(one.id).class_name == "tumour"
    assert nuclei.get(two.id).class_name == "b"
    for name, word in (("b", "already"), ("  ", "needs a name")):
        with pytest.raises(NoisySegError, match=word):
            nuclei.rename_class("tumour", name)
    with pytest.raises(NoisySegError, match="no class 'a'"):
        nuclei.rename_class("a", "c")


def test_the_nuclei_of_a_removed_class_can_go_to_another(tissue: Project) -> None:
    nuclei = tissue.nuclei
    one = nuclei.add("tissue", 1, 1, "a")
    nuclei.add_class("b")
    with pytest.raises(NoisySegError, match="no class 'c'"):
        nuclei.remove_class("a", into="c")
    with pytest.raises(NoisySegError, match="cannot stay"):
        nuclei.remove_class("a", into="a")
    assert nuclei.get(one.id).class_name == "a"
    nuclei.remove_class("a", into="b")
    assert nuclei.get(one.id).class_name == "b"
    assert nuclei.class_sizes() == {"b": 1}
    nuclei.undo()
    assert nuclei.get(one.id).class_name == "a"
    assert nuclei.class_sizes() == {"a": 1, "b": 0}


def test_a_field_s_promise_is_given_and_taken_and_undone(tissue: Project) -> None:
    nuclei = tissue.nuclei
    field = nuclei.add_field("tissue", Box(10, 20, 30, 50))
    assert nuclei.counts().complete == 1
    nuclei.change_field(field.id, complete=False)
    assert not nuclei.known("tissue").any()
    assert (nuclei.counts().fields, nuclei.counts().complete) == (1, 0)
    assert nuclei.undo() == "declare a field incomplete"
    assert nuclei.known("tissue").sum() == 20 * 30
    nuclei.redo()
    nuclei.change_field(field.id, complete=True)
    assert nuclei.history(1)[0].words == "declare a field complete"


def test_fields_keep_their_order_through_undo(tissue: Project) -> None:
    nuclei = tissue.nuclei
    first, second = (nuclei.add_field("tissue", Box(y, 0, y + 40, 40)) for y in (100, 10))
    nuclei.change_field(first.id, complete=False)
    nuclei.undo()
    nuclei.remove_field(first.id)
    nuclei.undo()
    assert [f.id for f in nuclei.fields("tissue")] == [first.id, second.id]


def test_known_is_the_union_of_complete_fields(tissue: Project) -> None:
    field = tissue.nuclei.add_field("tissue", Box(10, 20, 30, 50))
    tissue.nuclei.add_field("tissue", Box(100, 100, 200, 200), complete=False)
    edge = tissue.nuclei.add_field("tissue", Box(500, 500, 600, 600))
    assert edge.box == Box(500, 500, 512, 512)
    known = tissue.nuclei.known("tissue")
    assert known.shape == (512, 512)
    assert known.sum() == 20 * 30 + 12 * 12
    part = tissue.nuclei.known("tissue", Box(0, 0, 15, 25))
    assert part.sum() == 5 * 5
    assert np.array_equal(part, known[:15, :25])
    tissue.nuclei.change_field(field.id, Box(0, 0, 4, 4))
    assert tissue.nuclei.known("tissue").sum() == 16 + 144
    tissue.nuclei.remove_field(edge.id)
    assert len(tissue.nuclei.fields("tissue")) == 2
    with pytest.raises(NoisySegError, match="outside"):
        tissue.nuclei.add_field("tissue", Box(600, 600, 700, 700))


def test_a_point_keeps_its_id_through_runs(tissue: Project) -> None:
    point = tissue.nuclei.add("tissue", 15, 15)
    first = tissue.nuclei.adopt("tissue", "r1", [candidate(10, 10, id=point.id)])
    second = tissue.nuclei.adopt("tissue", "r2", [candidate(300, 300, id=point.id)])
    assert [(c.id, c.serial) for c in (*first, *second)] == [(point.id, point.serial)] * 2
    assert [c.run for c in tissue.nuclei.candidates("tissue")] == ["r2"]
    assert tissue.nuclei.candidates("tissue", "r1")[0].outline == outline(10, 10)


def test_a_find_keeps_the_id_of_the_best_overlap(tissue: Project) -> None:
    left, right = tissue.nuclei.adopt("tissue", "r1", [candidate(50, 50), candidate(50, 58)])
    # 2 px to the right: IoU 2/3 with `left`; 1 px from `right`: 9/11
    a, b, far = tissue.nuclei.adopt(
        "tissue", "r2", [candidate(50, 52), candidate(50, 59), candidate(50, 200)]
    )
    assert (a.id, b.id) == (left.id, right.id)
    assert far.id not in (left.id, right.id)
    assert far.serial > max(left.serial, right.serial)
    # the nucleus that r2 called `far` is remembered although r3 does not find it
    tissue.nuclei.adopt("tissue", "r3", [candidate(50, 52)])
    assert tissue.nuclei.adopt("tissue", "r4", [candidate(50, 201)])[0].id == far.id


def test_an_overlap_below_a_half_is_another_nucleus(tissue: Project) -> None:
    (old,) = tissue.nuclei.adopt("tissue", "r1", [candidate(50, 50)])
    # shifted by 4 of 10: 60 / 140 < 0.5
    (new,) = tissue.nuclei.adopt("tissue", "r2", [candidate(50, 54)])
    assert new.id != old.id


def test_a_tile_takes_no_nucleus_from_the_one_beside_it(tissue: Project) -> None:
    """A nucleus is a tile's by its best pixel; its middle may lie in the next tile."""
    left, right = Box(0, 0, 256, 256), Box(0, 256, 256, 512)
    tissue.nuclei.adopt("tissue", "r1", [candidate(50, 253), candidate(90, 20)], left)
    (over, _) = tissue.nuclei.candidates("tissue")
    assert right.contains(over.y, over.x)
    tissue.nuclei.adopt("tissue", "r1", [candidate(50, 400)], right)
    found = tissue.nuclei.candidates("tissue")
    assert len(found) == 3
    # killed before it was noted that the tile is in, it comes once more
    tissue.nuclei.adopt("tissue", "r1", [candidate(50, 253), candidate(90, 20)], left)
    assert [c.id for c in tissue.nuclei.candidates("tissue")] == [c.id for c in found]


def test_adopting_twice_changes_nothing(tissue: Project) -> None:
    finds = [candidate(50, 50), candidate(80, 80)]
    first = tissue.nuclei.adopt("tissue", "r1", finds)
    assert tissue.nuclei.adopt("tissue", "r1", finds) == first
    assert len(tissue.nuclei.candidates("tissue")) == 2


def test_an_accepted_outline_is_frozen(tissue: Project) -> None:
    (find,) = tissue.nuclei.adopt("tissue", "r1", [candidate(50, 50)])
    tissue.nuclei.decide([find.id], "accepted", reviewer="NN")
    for run, finds in (("r2", [candidate(51, 51, 11)]), ("r3", [])):
        tissue.nuclei.adopt("tissue", run, finds)
        (now,) = tissue.nuclei.candidates("tissue")
        assert (now.id, now.state, now.frozen) == (find.id, "accepted", True)
        assert now.outline == find.outline
        assert now.area_um2 == pytest.approx(100 / 16)
    # accepting again, of another run, does not change it either
    tissue.nuclei.decide([find.id], "accepted", run="r2")
    assert tissue.nuclei.outline(find.id) == find.outline


def test_what_a_person_drew_is_frozen(tissue: Project) -> None:
    point = tissue.nuclei.add("tissue", 55, 55)
    drawn = Outline(Box(50, 50, 53, 54), np.eye(3, 4, dtype=bool))
    tissue.nuclei.set_outline(point.id, drawn.box, drawn.mask, "edit")
    tissue.nuclei.adopt("tissue", "r1", [candidate(50, 50, id=point.id)])
    assert tissue.nuclei.candidates("tissue")[0].outline == drawn
    for state in ("accepted", "unreviewed", "rejected"):
        tissue.nuclei.decide([point.id], state)
        assert tissue.nuclei.outline(point.id) == drawn
    assert tissue.nuclei.get(point.id).frozen


def test_a_run_s_labels_as_a_person_left_them(tissue: Project) -> None:
    nuclei = tissue.nuclei
    finds = nuclei.adopt("tissue", "r1", [candidate(y, 50) for y in (50, 70, 90, 110)])
    labels = np.zeros((512, 512), np.int32)
    for find in finds:
        find.outline.paste(labels, Box(0, 0, 512, 512), find.serial)
    kept, bad, edited, _ = finds
    nuclei.decide([kept.id], "accepted")
    nuclei.decide([bad.id], "rejected")
    nuclei.decide([edited.id], "unsure", outlines={edited.id: outline(95, 58)})
    box = Box(40, 45, 100, 62)
    for rejected in (False, True):
        expected = labels.copy()
        expected[(labels == edited.serial) | ((labels == bad.serial) & (not rejected))] = 0
        expected[95:105, 58:68] = edited.serial
        given = labels[box.slices].copy()
        found = nuclei.settled("tissue", box, given, rejected)
        assert np.array_equal(found, expected[box.slices])
        assert np.array_equal(given, labels[box.slices])


def test_accepting_a_corrected_outline(tissue: Project) -> None:
    (find,) = tissue.nuclei.adopt("tissue", "r1", [candidate(50, 50)])
    tissue.nuclei.decide([find.id], "accepted", outlines={find.id: outline(40, 40, 20)})
    assert tissue.nuclei.outline(find.id) == outline(40, 40, 20)
    tissue.nuclei.undo()
    assert tissue.nuclei.outline(find.id) is None
    assert tissue.nuclei.candidates("tissue")[0].state == "unreviewed"


def test_nothing_without_an_outline_is_accepted(tissue: Project) -> None:
    point = tissue.nuclei.add("tissue", 55, 55)
    before = tissue.nuclei.version()
    with pytest.raises(NoisySegError, match="1 of 1 nuclei have no outline"):
        tissue.nuclei.decide([point.id], "accepted")
    assert tissue.nuclei.get(point.id).state == "unreviewed"
    assert tissue.nuclei.version() == before


def test_a_rejected_find_is_kept_as_hard_negative_but_marks_nothing(tissue: Project) -> None:
    finds = tissue.nuclei.adopt("tissue", "r1", [candidate(50, 50), candidate(90, 90)])
    tissue.nuclei.decide([finds[0].id], "rejected")
    tissue.nuclei.decide([finds[1].id], "unsure")
    assert tissue.nuclei.of("tissue") == []
    assert len(tissue.nuclei.of("tissue", every=True)) == 2
    tissue.nuclei.adopt("tissue", "r2", [])
    ((nucleus, shape),) = tissue.nuclei.outlines("tissue", ["rejected"])
    assert (nucleus.id, shape) == (finds[0].id, finds[0].outline)
    assert not nucleus.frozen
    assert tissue.nuclei.outlines("tissue", box=Box(0, 0, 500, 500)) == []
    assert tissue.nuclei.outlines("tissue", ["rejected"], Box(0, 0, 50, 50)) == []


def test_an_accepted_find_is_a_mark_like_any_other(tissue: Project) -> None:
    (find,) = tissue.nuclei.adopt("tissue", "r1", [candidate(50, 50)])
    tissue.nuclei.decide([find.id], "accepted")
    (nucleus,) = tissue.nuclei.of("tissue")
    assert (nucleus.id, nucleus.serial, nucleus.y, nucleus.x) == (find.id, find.serial, 55, 55)
    tissue.nuclei.decide([find.id], "unreviewed")
    assert tissue.nuclei.of("tissue") == []
    assert tissue.nuclei.outline(find.id) is None


def test_candidates_in_a_box(tissue: Project) -> None:
    finds = tissue.nuclei.adopt("tissue", "r1", [candidate(50, 50), candidate(90, 90)])
    inside = tissue.nuclei.candidates("tissue", box=Box(95, 95, 96, 96))
    assert [c.id for c in inside] == [finds[1].id]


def test_what_was_chosen_is_found_where_it_is_written_anew_meanwhile(tissue: Project) -> None:
    nuclei, spots = tissue.nuclei, [(10, 10), (40, 10), (70, 10)]
    found = nuclei.adopt("tissue", "run-1", [candidate(y, x) for y, x in spots])
    drawn = nuclei.add_many("tissue", [(105, 105), (205, 205)])
    for n in drawn:
        nuclei.set_outline(n.id, *_square(int(n.y) - 5, int(n.x) - 5), origin="edit")
    chosen, settled = nuclei.selection("tissue"), nuclei.selection("tissue", of_run=False)
    nuclei.adopt("tissue", "run-1", [candidate(y, x) for y, x in spots[::-1]])
    nuclei.set_outline(drawn[0].id, *_square(102, 102), origin="edit")
    tiles = {part.ids[0]: int(part.boxes[0, 0]) for part in chosen.by_tile(30)}
    assert tiles == dict(zip([n.id for n in (*found, *drawn)], [10, 40, 70, 102, 200], strict=True))
    assert [id for part in settled.in_order() for id in part.ids] == [n.id for n in drawn]


def _square(y: int, x: int) -> tuple[Box, np.ndarray]:
    made = outline(y, x)
    return made.box, made.mask


def test_numbers_of_numpy_are_numbers(tissue: Project) -> None:
    box = Box(*np.array([50, 50, 60, 60]))
    point = tissue.nuclei.add("tissue", np.float32(55), np.int64(55))
    tissue.nuclei.set_outline(point.id, box, np.ones((10, 10), bool), "edit")
    tissue.nuclei.paint("tissue", box, np.zeros((10, 10), np.int32), np.ones((10, 10), np.int32))
    assert tissue.nuclei.painted("tissue", box=box).sum() == 100
    find = replace(candidate(50, 50, id=point.id), y=np.float32(55), score=np.float32(0.5))
    tissue.nuclei.adopt("tissue", "r1", [find])
    (found,) = tissue.nuclei.candidates("tissue", box=box)
    assert (found.y, found.score, found.outline.box) == (55.0, 0.5, (50, 50, 60, 60))
    assert tissue.nuclei.of("tissue", box) == [tissue.nuclei.get(point.id)]


def test_counts(tissue: Project, tnbc: tuple[np.ndarray, np.ndarray]) -> None:
    tissue.add_array(tnbc[0], "other", 0.5)
    points = tissue.nuclei.add_many("tissue", [(5, 5), (9, 9)])
    tissue.nuclei.add("other", 5, 5)
    tissue.nuclei.add_field("tissue", Box(0, 0, 50, 50))
    tissue.nuclei.adopt("tissue", "r1", [candidate(50, 50), candidate(90, 90)])
    finds = tissue.nuclei.adopt(
        "tissue", "r2", [candidate(50, 50), candidate(9, 9, id=points[1].id)]
    )
    tissue.nuclei.decide([finds[0].id], "rejected")
    tissue.nuclei.decide([points[1].id], "accepted")
    counts = tissue.nuclei.counts("tissue")
    assert (counts.points, counts.fields, counts.candidates) == (2, 1, 2)
    assert (counts.accepted, counts.rejected, counts.unsure) == (1, 1, 0)
    assert (counts.reviewed, counts.outlines) == (2, 1)
    assert tissue.nuclei.counts().points == 3
    tissue.remove_image("other")
    assert tissue.nuclei.counts() == counts


def test_the_version_tells_what_changed(tissue: Project) -> None:
    marks = Aspect.POINTS | Aspect.FIELDS
    start = tissue.nuclei.version("tissue", marks)
    tissue.nuclei.add("tissue", 1, 1)
    after = tissue.nuclei.version("tissue", marks)
    assert after > start
    tissue.nuclei.add_class("a")
    assert tissue.nuclei.version("tissue", marks) == after
    tissue.nuclei.undo()
    tissue.nuclei.undo()
    assert tissue.nuclei.version("tissue", marks) > after
    steps = tissue.nuclei.journal(after)
    assert [(s.direction, s.words) for s in steps] == [
        (1, "add the class a"), (-1, "add the class a"), (-1, "add a point"),
    ]  # fmt: skip
    assert steps[-1].image == "tissue"
    assert steps[-1].aspects == Aspect.POINTS


def test_what_was_touched_is_named_per_image(
    tissue: Project, tnbc: tuple[np.ndarray, np.ndarray]
) -> None:
    tissue.add_array(tnbc[0], "other", 0.5)
    nuclei = tissue.nuclei
    start = nuclei.version()
    one, two = nuclei.add_many("tissue", [(15, 15), (60, 60)], ["a", None])
    three = nuclei.add("other", 5, 5, "a")
    assert nuclei.touched(start) == {"tissue": {one.id, two.id}, "other": {three.id}}

    def touched_by(act: Callable[[], object]) -> dict[str, set[str]]:
        since = nuclei.version()
        act()
        return nuclei.touched(since)

    assert touched_by(lambda: nuclei.add_field("tissue", Box(0, 0, 9, 9))) == {}
    drawn = {two.id: outline(55, 55)}
    assert touched_by(lambda: nuclei.set_outlines(drawn, "edit")) == {"tissue": {two.id}}
    assert touched_by(lambda: nuclei.rename_class("a", "b")) == {
        "tissue": {one.id}, "other": {three.id},
    }  # fmt: skip
    assert touched_by(lambda: nuclei.remove([one.id])) == {"tissue": {one.id}}
    for travel in (nuclei.undo, nuclei.redo, nuclei.undo):
        assert touched_by(travel) == {"tissue": {one.id}}
    (find,) = nuclei.adopt("tissue", "r1", [candidate(100, 100)])
    assert touched_by(lambda: nuclei.adopt("tissue", "r2", [candidate(100, 100)])) == {}
    assert touched_by(lambda: nuclei.decide([find.id], "rejected")) == {"tissue": {find.id}}
    assert touched_by(nuclei.undo) == {"tissue": {find.id}}
    assert touched_by(lambda: tissue.remove_image("other")) == {}
    assert nuclei.touched(start) == {"tissue": {one.id, two.id, find.id}}
    assert nuclei.touched(nuclei.version()) == {}


def test_what_was_touched_is_told_at_once_among_many(tissue: Project) -> None:
    made = tissue.nuclei.add_many("tissue", np.random.default_rng(0).uniform(0, 511, (50_000, 2)))
    since = tissue.nuclei.version()
    tissue.nuclei.remove([made[7].id])
    begin = time.process_time()
    assert tissue.nuclei.touched(since) == {"tissue": {made[7].id}}
    assert time.process_time() - begin < 0.01


def test_a_strange_outline_is_refused(tissue: Project) -> None:
    point = tissue.nuclei.add("tissue", 55, 55)
    for box, mask in (
        (Box(0, 0, 3, 3), np.ones((3, 4), bool)),
        (Box(510, 510, 513, 513), np.ones((3, 3), bool)),
        (Box(0, 0, 3, 3), np.zeros((3, 3), bool)),
    ):
        with pytest.raises(NoisySegError, match="does not fit"):
            tissue.nuclei.set_outline(point.id, box, mask, "edit")
    with pytest.raises(NoisySegError, match="does not fit"):
        tissue.nuclei.adopt("tissue", "r1", [candidate(508, 508)])
