"""Points that are not all: they and their rims are known, what bears no point is not background."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_noisyseg.annotation import snapshot
from napari_noisyseg.annotation.surroundings import partly_known
from napari_noisyseg.data.prepare import label_planes
from napari_noisyseg.data.regions import SNAPSHOT, open_regions, region_of
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN, Needs
from napari_noisyseg.store.project import Project


def some_points(labels, every):
    numbers = np.unique(labels)[1:]
    return numbers[::every], np.array(ndimage.center_of_mass(labels > 0, labels, numbers[::every]))


def test_clicked_nuclei_and_their_rims_are_known_and_the_others_are_not(tnbc):
    rgb, labels = tnbc
    numbers, points = some_points(labels, 4)
    nothing = np.zeros(labels.shape, bool)
    known = partly_known(region_of(rgb, 0.25, points=points, known=nothing)).known
    clicked = np.isin(labels, numbers)
    others = (labels > 0) & ~clicked
    assert known[clicked].mean() > 0.85
    assert known[others].mean() < 0.1
    assert 0.02 < known[labels == 0].mean() < 0.4


def test_labels_trained_on_hold_both_states_and_hardly_any_wrong_background(tnbc):
    rgb, labels = tnbc
    _, points = some_points(labels, 4)
    nothing = np.zeros(labels.shape, bool)
    region = partly_known(region_of(rgb, 0.25, points=points, known=nothing))
    for kind, plane in label_planes(region, labels.shape, ("local", "cluster")).items():
        background, nucleus = plane == BACKGROUND, plane == NUCLEUS
        assert background.sum() > 1000, kind
        assert nucleus.sum() > 1000, kind
        assert (plane == UNKNOWN).mean() > 0.5, kind
        assert (labels[background] > 0).mean() < 0.25, kind
        assert (labels[nucleus] > 0).mean() > 0.75, kind


def test_complete_fields_and_few_points_stay_as_they_are(tnbc):
    rgb, labels = tnbc
    _, points = some_points(labels, 4)
    whole = region_of(rgb, 0.25, points=points)
    assert partly_known(whole) is whole
    few = region_of(rgb, 0.25, points=points[:3], known=np.zeros(labels.shape, bool))
    assert partly_known(few) is few


def test_snapshot_of_points_without_a_field_teaches_them(tnbc, tmp_path):
    rgb, labels = tnbc
    with Project.create(tmp_path / "p.noisyseg") as project:
        project.add_array(rgb, "tissue", 0.25)
        project.nuclei.add_many("tissue", some_points(labels, 4)[1])
        for name in "ab":
            (tmp_path / name).mkdir()
        snapshot.write_snapshot(project, tmp_path / "a", None, Needs(points=True))
        snapshot.write_snapshot(project, tmp_path / "b", None, Needs(masks=True))
    taught, not_taught = (
        open_regions(tmp_path / run / SNAPSHOT)[0].load().known.any() for run in ("a", "b")
    )
    assert taught
    assert not not_taught


def test_rejected_places_are_background_where_not_all_is_marked(tnbc):
    rgb, labels = tnbc
    numbers, points = some_points(labels, 4)
    rejected = labels == np.setdiff1d(np.unique(labels)[1:], numbers)[3]
    nothing = np.zeros(labels.shape, bool)
    region = partly_known(region_of(rgb, 0.25, points=points, known=nothing, rejected=rejected))
    assert region.known[rejected].all()
    for kind, plane in label_planes(region, labels.shape, ("local", "cluster", "voronoi")).items():
        assert (plane[rejected] == BACKGROUND).mean() > 0.9, kind
    few = region_of(rgb, 0.25, points=points[:3], known=nothing, rejected=rejected)
    assert partly_known(few) is few
