"""From pixels and points to outlines, on real tissue."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_noisyseg as ns
from napari_noisyseg import samples
from napari_noisyseg.benchmarks.tissue import inner_points
from napari_noisyseg.coarse.project import outlined


@pytest.fixture(scope="module")
def points(tnbc: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.array([tuple(p) for p in inner_points(tnbc[1])])


def test_each_point_has_its_outline(tnbc, points) -> None:
    rgb, truth = tnbc
    labels = ns.outline(rgb, points, mpp=0.25)
    assert labels.dtype == np.int32
    assert labels.shape == truth.shape
    assert set(np.unique(labels)) <= set(range(len(points) + 1))
    assert ns.metrics.aji(labels, truth) > 0.7


def test_it_is_what_a_project_draws(tnbc, points, tmp_path) -> None:
    rgb, some = tnbc[0][:200, :200], points[(points < 190).all(1)]
    with ns.Project.create(str(tmp_path / "a.noisyseg")) as project:
        project.add_array(rgb, "i", 0.25)
        project.nuclei.add_many("i", some)
        drawn = outlined(project, "i", ns.Box(0, 0, 200, 200), "outline").labels
    assert np.array_equal(drawn, ns.outline(rgb, some, mpp=0.25))


def test_a_file_says_its_own_size_or_is_assumed(points) -> None:
    with pytest.warns(UserWarning, match="0.25 µm per pixel is assumed"):
        from_file = ns.outline(str(samples.FIELD), points[:3])
    assert np.array_equal(from_file, ns.outline(samples.FIELD, points[:3], mpp=0.25))


def test_grey_pixels_are_outlined_with_a_word(tnbc) -> None:
    grey = tnbc[0][:128, :128].mean(2).astype(np.uint8)
    with pytest.warns(UserWarning, match="grey|colour"):
        assert ns.outline(grey, [(60, 60)], mpp=0.25).max() == 1


def test_no_points_no_outlines(tnbc) -> None:
    assert not ns.outline(tnbc[0][:64, :64], [], mpp=0.25).any()


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(10, 700)], "point 0 .*x 700.* outside"),
        ([(5, 5), (float("nan"), 2)], "point 1 .*outside"),
        ([(-0.6, 2)], "outside"),
        ([(5, 5), (5.2, 4.8)], "two points lie on the pixel"),
        ([(5, 5, 5)], "shape"),
        ([["a", "b"]], "must be numbers"),
    ],
)
def test_bad_points_are_named(tnbc, points, words) -> None:
    with pytest.raises(ns.NoisySegError, match=words):
        ns.outline(tnbc[0], points, mpp=0.25)


@given(st.lists(st.tuples(st.floats(-2, 70), st.floats(-2, 70)), max_size=6))
@settings(max_examples=25, deadline=None)
def test_any_points_are_outlined_or_refused(points) -> None:
    from PIL import Image

    rgb = np.asarray(Image.open(samples.FIELD).convert("RGB"))[:64, :64]
    try:
        labels = ns.outline(rgb, points, mpp=0.25)
    except ns.NoisySegError:
        return
    assert labels.max(initial=0) <= len(points)


def test_derive_says_where_it_did_nothing(tmp_path, tnbc, monkeypatch) -> None:
    monkeypatch.setattr("napari_noisyseg.coarse.project.WHOLE_PIXELS", 1)
    with ns.Project.create(tmp_path / "p.noisyseg") as project:
        project.add_array(tnbc[0][:128, :128], "large", 0.25)
        project.nuclei.add("large", 40, 40)
        assert "mark a field" in ns.derive(project)["large"]
        project.nuclei.add_field("large", ns.Box(0, 0, 90, 90))
        assert ns.derive(project)["large"] == ""


def test_derive_tells_and_refuses(tmp_path, tnbc, points) -> None:
    told = []
    with ns.Project.create(tmp_path / "a.noisyseg") as project:
        project.add_array(tnbc[0][:96, :96], "i", 0.25)
        with pytest.raises(ns.NoisySegError, match="no image has points"):
            ns.derive(project)
        project.nuclei.add_many("i", points[(points < 90).all(1)])
        with pytest.raises(ns.NoisySegError, match="no kind 'voronoy'"):
            ns.derive(project, ["voronoy"])
        assert ns.derive(project, ["voronoi"], tell=lambda *what: told.append(what)) == {"i": ""}
        assert "voronoi" in project.labels.kinds("i")
    assert told == [(1.0, "i")]
