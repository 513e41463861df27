"""What a rough annotation is worth: known noise on real tissue must be told as what it is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from napari_noisyseg import noise
from napari_noisyseg.annotation import worth as judging
from napari_noisyseg.cli import run
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline

MPP = 0.25


def make(path, rgb, rough, clean=None):
    """A project of rough masks, with the nuclei of `clean` accepted."""
    project = Project.create(path)
    project.add_array(rgb, "tissue", MPP)
    box = Box(0, 0, *rough.shape)
    if rough.any():
        project.nuclei.paint("tissue", box, np.zeros_like(rough), rough)
    if clean is not None:
        accept(project, clean)
    return project


def accept(project, clean):
    outlines = []
    for label, place in enumerate(ndimage.find_objects(clean), start=1):
        if place is not None:
            box = Box(place[0].start, place[1].start, place[0].stop, place[1].stop)
            outlines.append(Outline(box, clean[place] == label))
    middles = [np.argwhere(o.mask).mean(axis=0) + o.box[:2] for o in outlines]
    made = project.nuclei.add_many("tissue", middles)
    ids = [nucleus.id for nucleus in made]
    project.nuclei.decide(ids, "accepted", outlines=dict(zip(ids, outlines, strict=True)))


def some(labels, every=2):
    """Every second nucleus."""
    return np.where(np.isin(labels, np.unique(labels)[1:][::every]), labels, 0)


@pytest.mark.parametrize(
    ("kind", "pixels", "expected"), [("dilate", 2, 0.5), ("erode", 2, -0.5), ("dilate", 0, 0.0)]
)
def test_bias_of_outlines_is_told_in_micrometres(tnbc, tmp_path, kind, pixels, expected):
    rgb, labels = tnbc
    share = 0.0 if kind == "dilate" else 1.0  # of those deleted, and of those eroded
    rough = noise.simulate(labels, kind, share, float(pixels)) if pixels else labels
    with make(tmp_path / "p.noisyseg", rgb, rough, some(labels)) as project:
        found = judging.worth(project, "tissue")
    assert found.bias_um == pytest.approx(expected, abs=0.13)
    low, high = found.bias_interval
    assert low <= found.bias_um <= high
    assert high - low < 0.5


def test_what_was_deleted_is_told_as_missing(tnbc, tmp_path):
    rgb, labels = tnbc
    rough = noise.partial(labels, 0.4, seed=1)
    with make(tmp_path / "p.noisyseg", rgb, rough, some(labels)) as project:
        found = judging.worth(project, "tissue")
    low, high = found.missing_interval
    assert found.missing_of == "accepted"
    assert low <= 0.4 <= high
    assert found.missing == pytest.approx(0.4, abs=0.12)
    assert found.more > 0
    assert f"{found.more} more accepted nuclei" in found.advice


@pytest.mark.long
def test_without_accepted_nuclei_likely_ones_tell(tnbc, tmp_path):
    rgb, labels = tnbc
    told = []
    for share in (0.0, 0.4, 0.7):
        rough = noise.partial(labels, share, seed=1)
        with make(tmp_path / f"p{share}.noisyseg", rgb, rough) as project:
            told.append(judging.worth(project, "tissue"))
    assert told[0].missing < 0.25
    assert told[1].missing == pytest.approx(0.4, abs=0.15)
    assert told[2].missing == pytest.approx(0.7, abs=0.15)
    assert all(found.missing_of == "likely" for found in told)
    assert told[1].bias_um is None
    assert told[1].matrix is None
    assert "accept 20 nuclei" in told[1].advice


def test_matrix_is_that_of_the_pixels_around_accepted_nuclei(tnbc, tmp_path):
    rgb, labels = tnbc
    rough = noise.flip(labels, 0.3, seed=2)
    with make(tmp_path / "p.noisyseg", rgb, rough, labels) as project:
        found = judging.worth(project, "tissue")
    np.testing.assert_allclose(found.matrix, [[0.7, 0.3], [0.3, 0.7]], atol=0.01)
    assert found.distance == pytest.approx(0.8, abs=0.03)
    assert found.distance_interval[0] <= found.distance <= found.distance_interval[1]
    assert found.rank == 2


def test_random_masks_are_told_as_random(tnbc, tmp_path):
    rgb, labels = tnbc
    rough = noise.random(labels, 0.4, seed=2)
    with make(tmp_path / "p.noisyseg", rgb, rough, labels) as project:
        found = judging.worth(project, "tissue")
    assert found.rank == 1
    assert found.distance < 0.05


def test_density_is_high_where_masks_are(tnbc, tmp_path):
    rgb, labels = tnbc
    with make(tmp_path / "p.noisyseg", rgb, labels) as project:
        found = judging.worth(project, "tissue")
    assert found.density.dtype == np.float32
    assert found.density.shape == labels.shape
    assert 0 <= found.density.min() <= found.density.max() <= 1
    assert found.density[labels > 0].mean() > 2 * found.density[labels == 0].mean()


def test_more_accepted_nuclei_narrow_the_interval(tnbc, tmp_path):
    rgb, labels = tnbc
    rough = noise.simulate(labels, "dilate", 0.0, (1, 5), seed=1)
    width = []
    for every in (6, 1):
        with make(tmp_path / f"p{every}.noisyseg", rgb, rough, some(labels, every)) as project:
            low, high = judging.worth(project, "tissue").bias_interval
        width.append(high - low)
    assert width[1] < width[0]


def test_wilson_interval_is_the_published_one():
    low, high = judging.wilson(4, 10)  # Newcombe 1998, method 3: 0.1682 to 0.6873
    assert low == pytest.approx(0.1682, abs=2e-4)
    assert high == pytest.approx(0.6873, abs=2e-4)
    assert judging.wilson(0, 5)[0] == 0
    assert judging.wilson(5, 5)[1] == pytest.approx(1)


def test_no_rough_mask_is_told(tnbc, tmp_path):
    rgb, labels = tnbc
    with (
        make(tmp_path / "p.noisyseg", rgb, np.zeros_like(labels)) as project,
        pytest.raises(NoisySegError, match="no rough masks"),
    ):
        judging.worth(project, "tissue")


def test_masks_that_training_would_refuse_are_told_as_that(tnbc, tmp_path, capsys):
    rgb, labels = tnbc
    specks = np.zeros_like(labels)
    specks[::8, ::8] = np.arange(1, 64 * 64 + 1).reshape(64, 64)
    for name, rough, words in [
        ("specks", specks, "4096 of 4096 rough masks are specks"),
        ("blob", np.ones_like(labels), "one rough mask covers 100% of the image"),
    ]:
        path = tmp_path / f"{name}.noisyseg"
        with make(path, rgb, rough) as project:
            found = judging.worth(project, "tissue")
        assert found.method is None
        assert found.advice.startswith("These masks cannot be trained on as they are. tissue: ")
        assert words in found.advice
        assert run(["worth", str(path)]) == 0
        told = capsys.readouterr().out
        assert words in told
        assert "Train with" not in told
        assert run(["train", str(path), "--method", "superpixel"]) == 2
        assert words in capsys.readouterr().err


def test_where_all_is_clean_already_nothing_is_left_to_correct(tnbc, tmp_path):
    rgb, labels = tnbc
    with make(tmp_path / "p.noisyseg", rgb, labels, labels) as project:
        project.nuclei.add_field("tissue", Box(0, 0, *labels.shape))
        found = judging.worth(project, "tissue")
    assert found.method is None
    assert "train with 'supervised'" in found.advice


def test_one_nucleus_is_told_as_one():
    assert judging.nuclei(1, "more accepted ") == "1 more accepted nucleus"
    assert judging.nuclei(2) == "2 nuclei"


def test_command_tells_all_in_json(tnbc, tmp_path, capsys):
    rgb, labels = tnbc
    rough = noise.simulate(labels, "dilate", 0.0, 2.0)
    make(tmp_path / "p.noisyseg", rgb, rough, some(labels)).close()
    assert run(["worth", str(tmp_path / "p.noisyseg"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["images"]["tissue"]
    assert told["bias_um"] == pytest.approx(0.5, abs=0.13)
    assert told["matrix"][1][1] > 0.9
    assert told["missing"] == 0
    assert run(["worth", str(tmp_path / "p.noisyseg")]) == 0
    assert "too large" in capsys.readouterr().out
