"""The rest of the nuclei, suggested from some: found, kept, dropped, remembered, undone."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import KDTree

from napari_noisyseg import samples
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.instances import suggest
from napari_noisyseg.review import suggestions as rest
from napari_noisyseg.store.project import Project


@pytest.fixture(scope="module")
def tissue(tnbc):
    """Pixels, and one point for each nucleus in an order at random; every third is clicked."""
    rgb, labels = tnbc
    middles = ndimage.center_of_mass(labels > 0, labels, np.unique(labels)[1:])
    return rgb, np.random.default_rng(0).permutation(np.array(middles))


@pytest.fixture
def project(tissue, tmp_path):
    rgb, points = tissue
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_array(rgb, "tnbc", 0.25)
        made.nuclei.add_many("tnbc", points[: len(points) // 3])
        yield made


@pytest.fixture(scope="module")
def found(tissue):
    rgb, points = tissue
    return suggest(rgb, points[: len(points) // 3], 0.25)


def test_most_of_the_rest_is_found_and_little_else(tissue, found):
    left = tissue[1][len(tissue[1]) // 3 :]
    away, _ = KDTree(left).query(found.points)
    missed, _ = KDTree(found.points).query(left)
    assert (away <= 8).mean() > 0.7
    assert (missed <= 8).mean() > 0.7


def test_the_surest_come_first_and_none_lies_on_a_point(tissue, found):
    clicked = tissue[1][: len(tissue[1]) // 3]
    assert (np.diff(found.scores) <= 0).all()
    assert 0 <= found.scores.min() <= found.scores.max() <= 1
    assert KDTree(clicked).query(found.points)[0].min() > 4


def test_the_same_points_give_the_same(tissue, found):
    again = suggest(tissue[0], tissue[1][: len(tissue[1]) // 3], 0.25)
    np.testing.assert_array_equal(again.points, found.points)


def test_a_network_that_knows_better_is_heard(tissue, tnbc, found):
    rgb, points = tissue
    clicked, left = points[: len(points) // 3], points[len(points) // 3 :]
    probability = ndimage.gaussian_filter((tnbc[1] > 0).astype(np.float32), 1)
    better = suggest(rgb, clicked, 0.25, probability=probability)

    def missed(places):
        return int((KDTree(places).query(left)[0] > 8).sum())

    assert missed(better.points) < missed(found.points)


def test_too_few_points_are_too_few_for_the_forest(tissue):
    with pytest.raises(NoisySegError, match="click at least 5"):
        suggest(tissue[0], tissue[1][:3], 0.25)


@pytest.fixture
def bare(tissue, tmp_path):
    """A project of the same tissue in which nobody has clicked."""
    with Project.create(tmp_path / "q.noisyseg") as made:
        made.add_array(tissue[0], "bare", 0.25)
        yield made


def test_without_a_click_the_starter_suggests_what_is_not_marked_or_dropped(bare, tissue):
    found = rest.suggestions(bare, "bare")
    away, _ = KDTree(tissue[1]).query([(s.y, s.x) for s in found])
    assert (away <= 8).mean() > 0.6
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    bare.nuclei.add("bare", found[0].y + 3, found[0].x)
    rest.drop(bare, found[1:3])
    gone = [(s.y, s.x) for s in found[:3]]
    again = rest.suggestions(bare, "bare")
    assert len(again) >= len(found) - 6
    assert KDTree(gone).query([(s.y, s.x) for s in again])[0].min() > 4


def test_in_a_field_of_a_large_image_suggestions_lie_in_its_region(tissue, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_noisyseg.coarse.project.WHOLE_PIXELS", 1000)
    with Project.create(tmp_path / "q.noisyseg") as large:
        large.add_array(tissue[0], "large", 0.25)
        with pytest.raises(NoisySegError, match="draw a field"):
            rest.suggestions(large, "large")
        large.nuclei.add_field("large", (200, 220, 400, 420), complete=False)
        (region,) = rest.regions(large, "large")
        found = rest.suggestions(large, "large")
        assert found
        assert all(region.contains(s.y, s.x) for s in found)


def test_what_the_starter_cannot_judge_needs_clicks(tmp_path):
    with Project.create(tmp_path / "q.noisyseg") as grey:
        grey.add_array(np.full((200, 200, 3), 128, np.uint8), "grey", 0.25)
        with pytest.raises(NoisySegError, match=r"no colours.*click at least 5"):
            rest.suggestions(grey, "grey")


def test_a_slide_that_is_gone_is_told_and_nothing_else(tmp_path):
    slide = tmp_path / "slide.svs"
    shutil.copy(samples.SLIDE, slide)
    with Project.create(tmp_path / "q.noisyseg") as linked:
        name = linked.add_image(slide).name
        linked.nuclei.add_field(name, (0, 0, 200, 200), complete=False)
        slide.unlink()
        with pytest.raises(NoisySegError, match="your annotation is safe") as told:
            rest.suggestions(linked, name)
        assert "click" not in str(told.value)


@pytest.mark.long
def test_what_is_kept_is_a_point_and_what_is_dropped_never_comes_again(project):
    found = rest.suggestions(project, "tnbc")
    before = project.nuclei.counts()
    assert rest.keep(project, found[:5]) == 5
    rest.drop(project, found[5:10])
    counts = project.nuclei.counts()
    assert counts.points == before.points + 5
    assert (counts.rejected, counts.reviewed) == (0, 0)
    assert len(project.nuclei.dropped("tnbc")) == 5
    assert rest.pending(project, found) == found[10:]
    again = [(s.y, s.x) for s in rest.suggestions(project, "tnbc")]
    taken = [(s.y, s.x) for s in found[:10]]
    assert KDTree(taken).query(again)[0].min() > rest.HERE_PX


def test_a_place_is_kept_once(project):
    found = rest.suggestions(project, "tnbc")
    assert rest.keep(project, found[:1]) == 1
    assert rest.keep(project, found[:2]) == 1


def test_suggestions_of_several_images_are_kept_and_dropped_as_one_action(project):
    project.add_array(np.full((64, 64, 3), 200, np.uint8), "other", 0.25)
    before = project.nuclei.counts().points
    chosen = [rest.Suggestion(name, 50.0, 50.0, 0.9) for name in ("tnbc", "other")]
    assert rest.keep(project, chosen) == 2
    project.nuclei.undo()
    assert project.nuclei.counts().points == before
    rest.drop(project, chosen)
    project.nuclei.undo()
    assert not project.nuclei.dropped("tnbc").size
    assert not project.nuclei.dropped("other").size


def test_decisions_survive_a_restart_and_are_undone(project):
    found = rest.suggestions(project, "tnbc")
    rest.keep(project, found[:3])
    rest.drop(project, found[3:5])
    project.close()
    with Project.open(project.path) as again:
        assert again.nuclei.dropped("tnbc").tolist() == [[s.y, s.x] for s in found[3:5]]
        assert rest.pending(again, found) == found[5:]
        assert again.nuclei.undo() == "drop 2 suggestions"
        assert rest.pending(again, found) == found[3:]
        assert again.nuclei.undo() == "keep 3 points"
        assert rest.pending(again, found) == found
        assert again.nuclei.redo() == "keep 3 points"
        assert rest.pending(again, found) == found[3:]


def test_suggestions_in_fields_declared_complete_are_counted(project):
    found = [rest.Suggestion("tnbc", 50, 50, 0.9), rest.Suggestion("tnbc", 300, 300, 0.8)]
    field = project.nuclei.add_field("tnbc", (0, 0, 100, 100), complete=True)
    assert rest.promised(project, found) == 1
    project.nuclei.change_field(field.id, complete=False)
    assert rest.promised(project, found) == 0


def test_regions_that_overlap_suggest_a_nucleus_once():
    twice = [rest.Suggestion("a", 10, 10, 0.5), rest.Suggestion("a", 12, 10, 0.9)]
    assert rest._once(twice, 0.25) == [twice[1]]
