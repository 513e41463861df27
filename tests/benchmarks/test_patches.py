"""The S and M protocols on real tissue: sizes, parts, noise, and what methods get of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.benchmarks import patches
from napari_noisyseg.benchmarks.patches import Counts, Protocol, Tissue
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN, MethodConfig
from napari_noisyseg.noise import foreground_dice

FEW = Counts(100, 60, 20)


@pytest.fixture(scope="module")
def monuseg(data_dir: Path) -> Tissue:
    if not (data_dir / "monuseg" / "images").is_dir():
        pytest.skip(f"no MoNuSeg at {data_dir}")
    return patches.load(data_dir)


@pytest.fixture(scope="module")
def single(monuseg: Tissue) -> Protocol:
    return patches.single_nuclei(monuseg, "partial", seed=1)


@pytest.fixture(scope="module")
def multi(monuseg: Tissue) -> Protocol:
    return patches.many_nuclei(monuseg, "box", seed=1)


def test_the_papers_numbers_of_single_nuclei(single: Protocol) -> None:
    assert (len(single.train), len(single.test), len(single.meta)) == (1900, 1200, 30)
    assert single.train.rgb.shape == (1900, 64, 64, 3)
    assert single.train.truth.shape == single.train.noisy.shape == (1900, 64, 64)


def test_a_nucleus_lies_in_the_middle_and_is_darker(single: Protocol) -> None:
    y, x = np.mgrid[:64, :64]
    masks = single.test.truth > 0
    sizes = masks.sum((1, 2))
    centres = np.stack([(masks * y).sum((1, 2)), (masks * x).sum((1, 2))]) / sizes
    assert np.all(np.abs(np.median(centres, axis=1) - 31.5) < 1)
    assert np.percentile(np.abs(centres - 31.5), 99) < 8
    longest = np.maximum(masks.any(1).sum(1), masks.any(2).sum(1))
    assert np.median(longest) == pytest.approx(32, abs=2)
    grey = single.test.rgb.mean(3)
    inside = (grey * masks).sum((1, 2)) / sizes
    outside = (grey * ~masks).sum((1, 2)) / (~masks).sum((1, 2))
    assert np.mean(inside < outside) > 0.85


@pytest.mark.parametrize("fixture", ["single", "multi"])
def test_no_image_is_trained_and_tested_on(fixture: str, request) -> None:
    protocol: Protocol = request.getfixturevalue(fixture)
    ours = set(protocol.train.image) | set(protocol.meta.image)
    assert len(ours) == 18
    assert len(set(protocol.test.image)) == 12
    assert not ours & set(protocol.test.image)
    pixels = [p.tobytes() for part in (protocol.train, protocol.meta) for p in part.rgb]
    assert len(set(pixels)) == len(pixels)


def test_forty_percent_are_deleted(single: Protocol) -> None:
    deleted = ~single.train.noisy.any((1, 2))
    assert deleted.mean() == pytest.approx(0.4, abs=0.03)
    assert np.array_equal(single.train.noisy[~deleted], single.train.truth[~deleted])
    assert np.array_equal(single.test.noisy, single.test.truth)
    assert single.train.truth.any((1, 2)).all()


@pytest.mark.parametrize("noise", ["box", "dilate"])
def test_the_others_grow(monuseg: Tissue, noise) -> None:
    train = patches.single_nuclei(monuseg, noise, seed=1, counts=FEW).train
    kept = train.noisy.any((1, 2))
    assert kept.mean() == pytest.approx(0.6, abs=0.1)
    assert np.all(train.noisy[kept] >= train.truth[kept])
    assert np.all(train.noisy[kept].sum((1, 2)) > train.truth[kept].sum((1, 2)))


def test_the_same_seed_gives_the_same(monuseg: Tissue) -> None:
    first, again, other = (
        patches.single_nuclei(monuseg, "dilate", seed=s, counts=FEW).train for s in (3, 3, 4)
    )
    assert np.array_equal(first.rgb, again.rgb)
    assert np.array_equal(first.noisy, again.noisy)
    assert not np.array_equal(first.rgb, other.rgb)


def test_windows_hold_all_their_nuclei(multi: Protocol) -> None:
    assert (len(multi.train), len(multi.meta)) == (1000, 50)
    assert 700 <= len(multi.test) <= 800
    assert multi.train.rgb.shape == (1000, 128, 128, 3)
    nuclei = [len(np.unique(truth)) - 1 for truth in multi.test.truth]
    assert np.mean(nuclei) > 8
    dice = [
        foreground_dice(*pair) for pair in zip(multi.train.noisy, multi.train.truth, strict=True)
    ]
    assert 0.5 < np.mean(dice) < 0.75


def test_methods_get_rough_everywhere_and_clean_in_the_meta_patches(monuseg: Tissue) -> None:
    protocol = patches.single_nuclei(monuseg, "box", counts=FEW)
    images = patches.training_images(protocol, MethodConfig(working_mpp=0.5))
    assert len(images) == 120
    for k, image in enumerate(images):
        part, at = (protocol.train, k) if k < 100 else (protocol.meta, k - 100)
        if k < 100:
            assert np.array_equal(image.labels["rough"] == NUCLEUS, part.noisy[at] > 0)
            assert set(np.unique(image.labels["rough"])) <= {BACKGROUND, NUCLEUS}
            assert np.all(image.labels["clean"] == UNKNOWN)
        else:
            assert np.array_equal(image.labels["clean"] == NUCLEUS, part.truth[at] > 0)
            assert not np.any(image.labels["clean"] == UNKNOWN)
            assert np.all(image.labels["rough"] == UNKNOWN)
        assert np.array_equal(
            np.rint(image.image * 255).astype(int), part.rgb[at].transpose(2, 0, 1)
        )


def test_without_tissue_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match="monuseg"):
        patches.load(tmp_path)
