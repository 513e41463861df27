"""The outlines at clicks come into the review before any training, and anew after each lesson."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from napari_noisyseg import samples
from napari_noisyseg.api.reviews import Review
from napari_noisyseg.coarse.starter import OUTLINE, model_weights, packed
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review.queue import ReviewQueue
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.adoption.clicked import is_due, offer
from napari_noisyseg.worker.adoption.found import CLICKS

SAMPLE = Path(samples.__file__).parent / "tnbc_08_1.png"


@pytest.fixture
def project(tmp_path: Path, tnbc: Any) -> Any:
    truth = tnbc[1]
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_image(SAMPLE, name="tissue", mpp=0.25)
        serials = np.unique(truth)[1:40]
        made.nuclei.add_many("tissue", center_of_mass(truth > 0, truth, serials))
        yield made


def test_each_click_is_a_nucleus_to_be_judged_with_confidence_and_reason(project: Project) -> None:
    assert offer(project) == ["tissue"]
    items = ReviewQueue(project).items
    clicked = {n.id: n for n in project.nuclei.of("tissue")}
    assert {item.id for item in items} == set(clicked)
    for item in items:
        nucleus = clicked[item.id]
        assert (item.candidate.y, item.candidate.x) == pytest.approx((nucleus.y, nucleus.x))
        assert item.candidate.run == CLICKS
        assert 0 < item.candidate.score < 1
        assert item.reason
    refined = project.labels.read("tissue", "refined")
    assert refined is not None
    assert set(np.unique(refined)) == {0, *(n.serial for n in clicked.values())}


def test_what_is_up_to_date_stays_and_a_further_click_comes_in(project: Project) -> None:
    offer(project)
    assert offer(project) == []
    before = {item.id for item in ReviewQueue(project).items}
    new = project.nuclei.add("tissue", 5.0, 5.0)
    assert is_due(project, "tissue")
    assert offer(project) == ["tissue"]
    assert {item.id for item in ReviewQueue(project).items} == before | {new.id}


def test_where_all_clicks_were_taken_away_nothing_is_offered_any_more(project: Project) -> None:
    offer(project)
    project.nuclei.remove([n.id for n in project.nuclei.of("tissue")])
    offer(project)
    assert offer(project) == []
    assert project.nuclei.counts("tissue").candidates == 0
    refined = project.labels.read("tissue", "refined")
    assert refined is not None
    assert not refined.any()
    project.nuclei.undo()
    assert offer(project) == ["tissue"]
    assert project.nuclei.counts("tissue").candidates == 39


def test_clicks_in_a_field_that_is_gone_are_not_offered_again_and_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_noisyseg.coarse.project.WHOLE_PIXELS", 1)
    field = project.nuclei.add_field("tissue", Box(0, 0, 200, 200))
    assert offer(project) == ["tissue"]
    project.nuclei.remove_field(field.id)
    assert offer(project) == ["tissue"]
    assert offer(project) == []
    assert project.nuclei.counts("tissue").candidates == 0


def test_outlines_that_were_settled_stay_when_the_rest_comes_anew(project: Project) -> None:
    offer(project)
    first = {item.id: item.candidate.outline for item in ReviewQueue(project).items}
    settled = next(iter(first))
    project.nuclei.decide([settled], "accepted")
    weights = {name: 0.5 * array for name, array in model_weights(OUTLINE).items()}
    project.learned.keep(OUTLINE, packed(weights, {"network": OUTLINE}), {}, unasked=True)
    assert offer(project) == ["tissue"]
    then = {item.id: item.candidate.outline for item in ReviewQueue(project).items}
    assert then.keys() == first.keys()
    same = [id for id in first if np.array_equal(first[id].cut(then[id].box), then[id].mask)]
    assert settled in same
    assert len(same) < len(first)


def test_where_a_run_found_nuclei_the_clicks_do_not_take_their_place(project: Project) -> None:
    offer(project)
    found = project.nuclei.candidates("tissue", CLICKS)
    project.nuclei.adopt("tissue", "20260101T000000Z-1", found)
    project.nuclei.add("tissue", 5.0, 5.0)
    assert not is_due(project, "tissue")
    assert offer(project) == []


def test_without_clicks_there_is_nothing_to_offer(tmp_path: Path) -> None:
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_image(SAMPLE, name="tissue", mpp=0.25)
        assert offer(made) == []


def test_a_lesson_unasked_is_passed_over_by_undo_and_taken_back_by_forget(
    project: Project,
) -> None:
    weights = packed(model_weights(OUTLINE), {"network": OUTLINE})
    point = project.nuclei.add("tissue", 5.0, 5.0)
    project.learned.keep(OUTLINE, weights, {"nuclei": 9}, unasked=True)
    project.nuclei.undo()
    assert point.id not in {n.id for n in project.nuclei.of("tissue")}
    assert project.learned.of(OUTLINE) is not None
    project.learned.forget(OUTLINE)
    assert project.learned.of(OUTLINE) is None
    project.nuclei.undo()
    assert project.learned.of(OUTLINE) is not None


def test_an_image_that_cannot_be_read_does_not_hold_up_the_others(
    project: Project, tnbc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_array(tnbc[0][:128, :128], "another", 0.25)
    project.nuclei.add("another", 60.0, 60.0)
    pixels = Project.pixels

    def gone(self: Project, name: str) -> Any:
        if name == "another":
            raise NoisySegError("another.svs is gone: bring it back")
        return pixels(self, name)

    monkeypatch.setattr(Project, "pixels", gone)
    with pytest.raises(NoisySegError, match="bring it back"):
        offer(project)
    with pytest.warns(UserWarning, match=r"clicks in another .* bring it back") as told:
        assert len(Review(project)) == len(ReviewQueue(project).items) > 0
    assert told[0].filename == __file__
