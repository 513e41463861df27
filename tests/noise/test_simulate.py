"""Label noise: what it keeps, what it changes, and that it repeats."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg import noise
from napari_noisyseg.errors import NoisySegError

Labels = NDArray[np.int32]
PER_NUCLEUS = ("partial", "box", "dilate", "erode", "affine")


@st.composite
def tissue(draw: st.DrawFn) -> Labels:
    """A few rectangles of random ids, some at the border, some over each other."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    labels = np.zeros((height, width), np.int32)
    ids = draw(st.lists(st.integers(1, 2**31 - 1), max_size=6, unique=True))
    for nucleus in ids:
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        labels[y : y + draw(st.integers(1, 15)), x : x + draw(st.integers(1, 15))] = nucleus
    return labels


@settings(max_examples=60, deadline=None)
@given(tissue(), st.sampled_from(noise.KINDS), st.floats(0, 1), st.integers(0, 2**32))
def test_any_image_keeps_shape_ids_and_repeats(
    labels: Labels, kind: noise.NoiseKind, share: float, seed: int
) -> None:
    before = labels.copy()
    noisy = noise.simulate(labels, kind, share, seed=seed)
    assert noisy.shape == labels.shape
    assert noisy.dtype == np.int32
    assert np.array_equal(labels, before)
    allowed = set(noise.ids_of(labels).tolist()) or {1}
    assert set(noise.ids_of(noisy).tolist()) <= allowed
    assert np.array_equal(noisy, noise.simulate(labels, kind, share, seed=seed))


@settings(max_examples=40, deadline=None)
@given(tissue(), st.integers(0, 99), st.floats(0, 1))
def test_what_each_noise_promises(labels: Labels, seed: int, share: float) -> None:
    left = noise.partial(labels, share, seed)
    assert np.all((left == labels) | (left == 0))
    assert abs(len(noise.ids_of(labels)) * (1 - share) - len(noise.ids_of(left))) < 1
    for grown in (noise.box(labels, share=share, seed=seed), noise.dilate(labels, 2, share, seed)):
        assert np.array_equal(noise.ids_of(grown), noise.ids_of(left))
        assert np.array_equal(grown[left > 0], left[left > 0])
    shrunk = noise.erode(labels, share=share, seed=seed)
    assert np.all((shrunk == labels) | (shrunk == 0))
    assert np.array_equal(noise.ids_of(shrunk), noise.ids_of(labels))


def test_a_box_is_the_rectangle_grown() -> None:
    labels = np.zeros((30, 30), np.int32)
    labels[10:15, 12:20] = 7
    labels[10, 12] = 0
    expected = np.zeros((30, 30), bool)
    expected[8:17, 10:22] = True
    assert np.array_equal(noise.box(labels, 2, share=0) == 7, expected)


def test_nothing_wraps_at_the_border() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[0:4, 0:3] = 1
    for kind, strength in (("box", 2), ("dilate", 2), ("affine", 1.9)):
        noisy = noise.simulate(labels, kind, 1.0 if kind == "affine" else 0.0, strength, seed=3)
        assert not noisy[12:].any()
        assert not noisy[:, 12:].any()
    assert noise.box(labels, 2, share=0)[:6, :5].all()


def test_a_nucleus_cut_by_the_border_does_not_shrink_from_there() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[0:6, 5:15] = 1
    shrunk = noise.erode(labels, 2, share=1)
    assert np.array_equal(np.argwhere(shrunk)[[0, -1]], [[0, 7], [3, 12]])


def test_of_overlaps_the_owner_keeps_its_own_and_the_lower_takes_the_free() -> None:
    labels = np.zeros((5, 20), np.int32)
    labels[1:4, 2:6], labels[1:4, 8:12] = 9, 4
    noisy = noise.dilate(labels, 3, share=0)
    assert np.all(noisy[2, 2:6] == 9)
    assert np.all(noisy[2, 6:12] == 4)


@pytest.mark.parametrize("kind", PER_NUCLEUS)
def test_a_nucleus_does_not_depend_on_the_others(kind: noise.NoiseKind, tnbc) -> None:
    _, labels = tnbc
    ids = noise.ids_of(labels)
    alone = np.where(labels == ids[3], labels, 0)
    share = 0.0 if kind in ("box", "dilate") else 1.0
    whole = noise.simulate(labels, kind, share, seed=5)
    single = noise.simulate(alone, kind, share, seed=5)
    uncontested = (whole == 0) | (whole == ids[3])
    assert np.array_equal(whole[uncontested], single[uncontested])


def test_real_tissue_at_the_papers_settings(tnbc) -> None:
    _, labels = tnbc
    ids = noise.ids_of(labels)
    for kind in ("partial", "box", "dilate"):
        left = noise.ids_of(noise.simulate(labels, kind, seed=1))
        assert abs(len(left) - 0.6 * len(ids)) < 1
    assert noise.foreground_dice(noise.erode(labels, share=1), labels) < 0.9
    changed = noise.affine(labels, share=0.5, seed=2)
    moved = [i for i in ids if not np.array_equal(changed == i, labels == i)]
    assert abs(len(moved) - 0.5 * len(ids)) <= 0.1 * len(ids)


def test_other_seeds_delete_other_nuclei(tnbc) -> None:
    _, labels = tnbc
    first, second = noise.partial(labels, seed=0), noise.partial(labels, seed=1)
    assert not np.array_equal(first, second)
    larger = noise.partial(labels, 0.7, seed=0)
    assert np.all(first[larger > 0] == larger[larger > 0])


def test_a_px_strength_between_whole_pixels_is_mixed(tnbc) -> None:
    _, labels = tnbc
    areas = [np.count_nonzero(noise.dilate(labels, by, share=0)) for by in (2, 2.3, 2.6, 3)]
    assert areas == sorted(set(areas))


@pytest.mark.parametrize("beta", [0.3, 0.5, 0.7, 1.2])
def test_a_moved_nucleus_changes_by_beta_of_its_size(beta: float) -> None:
    y, x = np.mgrid[:80, :80]
    mask = ((y - 40) / 12) ** 2 + ((x - 38) / 8) ** 2 <= 1
    for direction in (0, 45, 130, 290):
        noisy = noise.moved(mask, 10, direction, beta)
        assert np.count_nonzero(noisy ^ mask) / mask.sum() == pytest.approx(beta, abs=0.1)
        centre = ndimage.center_of_mass(noisy) - np.array(ndimage.center_of_mass(mask))
        towards = [np.sin(np.radians(direction)), np.cos(np.radians(direction))]
        assert centre @ towards > 0


def test_flip_and_random_are_what_they_say(tnbc) -> None:
    _, labels = tnbc
    flipped = (noise.flip(labels, 0.3, seed=4) > 0) != (labels > 0)
    assert flipped.mean() == pytest.approx(0.3, abs=0.01)
    assert np.array_equal(noise.flip(labels, 0), labels)
    drawn = noise.random(labels, 0.2, seed=4) > 0
    assert drawn.mean() == pytest.approx(0.2, abs=0.01)
    assert drawn[labels > 0].mean() == pytest.approx(0.2, abs=0.01)


def test_points_of_large_and_sparse_ids() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[1:6, 1:6], labels[10:17, 10:17] = 2_000_000_000, 7
    assert noise.points(labels, 0).tolist() == [[13, 13], [3, 3]]


def test_points_stay_within_their_jitter(tnbc) -> None:
    _, labels = tnbc
    exact, jittered = noise.points(labels, 0), noise.points(labels, 6, seed=1)
    y, x = exact.astype(int).T
    assert np.array_equal(labels[y, x], noise.ids_of(labels))
    distance = np.hypot(*(jittered - exact).T)
    assert distance.max() <= 6
    assert distance.mean() == pytest.approx(4, abs=0.6)
    assert np.all((jittered >= 0) & (jittered <= np.array(labels.shape) - 1))


@pytest.mark.parametrize("kind", PER_NUCLEUS)
def test_patches_of_one_nucleus(kind: noise.NoiseKind) -> None:
    masks = np.zeros((50, 64, 64), bool)
    masks[:, 20:44, 24:40] = True
    noisy = noise.simulate_patches(masks, kind, seed=2)
    empty = ~noisy.any((1, 2))
    same = (noisy == masks).all((1, 2))
    deleted = 20 if kind in ("partial", "box", "dilate") else 0
    assert empty.sum() == deleted
    assert same.sum() == (30 if kind in ("partial", "erode", "affine") else 0)


@pytest.mark.parametrize(
    ("kind", "target"),
    [("partial", 0.41), ("box", 0.62), ("dilate", 0.8), ("erode", 0.62), ("flip", 0.41)],
)
def test_a_wanted_dice_is_found(kind: noise.NoiseKind, target: float, tnbc) -> None:
    _, labels = tnbc
    found = noise.setting_for_dice([(labels, 3)], noise.Setting(kind), target)
    noisy = found.setting.apply(labels, 3)
    assert noise.foreground_dice(noisy, labels) == pytest.approx(found.dice)
    assert found.dice == pytest.approx(target, abs=0.01)


def test_what_is_given_stays_in_a_search(tnbc) -> None:
    _, labels = tnbc
    setting = noise.Setting("dilate", strength=3.0)
    found = noise.setting_for_dice([(labels, 0)], setting, 0.6)
    assert found.searched == "share"
    assert found.setting.strength == 3.0


@pytest.mark.parametrize(
    ("setting", "target"),
    [
        (noise.Setting("random"), 0.95),
        (noise.Setting("box", share=0.5), 0.9),
        (noise.Setting("dilate", share=0.5, strength=2.0), 0.6),
        (noise.Setting("partial"), 1.5),
    ],
)
def test_a_dice_out_of_reach_is_refused(setting: noise.Setting, target: float, tnbc) -> None:
    with pytest.raises(NoisySegError, match="Dice"):
        noise.setting_for_dice([(tnbc[1], 0)], setting, target)


@pytest.mark.parametrize(
    ("kind", "share", "strength"),
    [("box", 1.1, None), ("box", 0.4, -1), ("flip", 0.4, 1.5), ("partial", 0.4, 2), ("x", 0.4, 1)],
)
def test_senseless_settings_are_refused(kind, share, strength) -> None:
    with pytest.raises(NoisySegError):
        noise.simulate(np.ones((3, 3), np.int32), kind, share, strength)


def test_a_field_of_a_thousand_nuclei_takes_under_a_second() -> None:
    labels = np.zeros((1000, 1000), np.int32)
    for i in range(31 * 31):
        y, x = 32 * (i // 31) + 4, 32 * (i % 31) + 4
        labels[y : y + 22, x : x + 18] = i + 1
    for kind in noise.KINDS:
        start = time.process_time()
        noise.simulate(labels, kind)
        assert time.process_time() - start < 1.5, kind
