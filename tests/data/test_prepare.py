from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.benchmarks.tissue import inner_points
from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.coarse.published import cluster_label
from napari_noisyseg.data.prepare import label_planes, training_image
from napari_noisyseg.data.regions import Region, region_of
from napari_noisyseg.learning.settings.scnet import SCNetConfig
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN


@pytest.fixture(scope="module")
def region(tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> Region:
    rgb, truth = (np.ascontiguousarray(a[:200, :180]) for a in tnbc)
    known = np.ones(truth.shape, bool)
    known[:, 150:] = False
    whole = region_of(rgb, 0.25, points=inner_points(truth), known=known)
    return replace(whole, fit=labels(whole).fit)


def labels(region: Region) -> CoarseLabels:
    return CoarseLabels(region.rgb, region.points_by_serial(), region.known, region.mpp, region.fit)


@pytest.mark.parametrize("recipe", ["mended", "paper", "published"])
def test_the_cluster_label_is_of_the_recipe_asked_for(region: Region, recipe: str) -> None:
    config = SCNetConfig(stains="fixed", cluster_recipe=recipe)  # type: ignore[arg-type]
    plane = training_image(region, config, config.label_planes()).labels["cluster"]
    coarse = labels(region)
    if recipe == "mended":
        expected = coarse.cluster
    else:
        places = coarse.places.values()
        expected = cluster_label(region.rgb, coarse.cells, places, region.known, 1.0, recipe)  # type: ignore[arg-type]
        assert (plane != coarse.cluster).mean() > 0.02
    np.testing.assert_array_equal(plane, expected)


def test_what_review_settled_counts_with_every_recipe(region: Region) -> None:
    clean = np.zeros(region.shape, np.int32)
    clean[20:40, 20:40] = 1
    rejected = np.zeros(region.shape, bool)
    rejected[100:130, 60:90] = True
    settled = replace(region, clean=clean, clean_known=clean > 0, rejected=rejected)
    config = SCNetConfig(stains="fixed", cluster_recipe="published")
    plane = training_image(settled, config, ("cluster",)).labels["cluster"]
    assert (plane[20:40, 20:40] == 1).all()
    assert not (plane[100:130, 60:90] == NUCLEUS).any()
    assert (plane[100:130, 60:90] == BACKGROUND).mean() > 0.4


def test_a_line_of_background_parts_clean_nuclei_that_touch(region: Region) -> None:
    clean = np.zeros(region.shape, np.int32)
    clean[20:40, 20:40], clean[20:40, 40:60], clean[60:80, 20:40] = 1, 2, 3
    settled = replace(region, clean=clean, clean_known=np.ones(region.shape, bool))
    plane = label_planes(settled, region.shape, ("clean",))["clean"]
    assert (plane[20:40, 39:41] == BACKGROUND).all()
    assert ndimage.label(plane == NUCLEUS)[1] == 3
    assert (plane == NUCLEUS).sum() == (clean > 0).sum() - 2 * 20


def test_what_was_rejected_is_background_and_what_a_click_claims_of_it_unknown(
    region: Region, tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]
) -> None:
    truth = np.ascontiguousarray(tnbc[1][:200, :180])
    pixels = np.floor(region.points + 0.5).astype(int)
    names = truth[tuple(pixels.T)]
    # a nucleus that a person clicked, and then rejected: its point is gone
    gone = next(
        n for n, (y, x) in zip(names, pixels, strict=True) if n and 40 < y < 160 and 40 < x < 110
    )
    left = names != gone
    rejected = truth == gone
    beside = replace(
        region, points=region.points[left], serials=region.serials[left], rejected=rejected
    )
    planes = label_planes(beside, truth.shape, ("voronoi", "cluster", "local", "outline"))
    for kind, plane in planes.items():
        assert not (plane[rejected] == NUCLEUS).any(), kind
        assert (plane[rejected] == BACKGROUND).mean() > 0.5, kind
    # half of an outline that was rejected belongs to a nucleus that is clicked
    other = int(names[left][np.argmax(np.bincount(truth.ravel())[names[left]])])
    whole = truth == other
    half = whole & (np.arange(180) > np.argwhere(whole)[:, 1].mean() + 4)
    planes = label_planes(replace(region, rejected=half), truth.shape, ("outline",))
    assert (planes["outline"][half] == UNKNOWN).mean() > 0.6
    assert (planes["outline"][whole & ~half] == NUCLEUS).mean() > 0.6
