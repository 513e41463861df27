from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_images import image_of

from napari_noisyseg.data.tiles import Tiles, cut, hold_out, share_between_halves
from napari_noisyseg.method import Needs

PLAIN, HALVES = Needs(labels=("local",)), Needs(labels=("local",), halves=True)


def covered(tiles: Tiles, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    counts = [np.zeros(shape, int) for shape in shapes]
    for image, y, x, h, w in tiles.rows:
        counts[image][y : y + h, x : x + w] += 1
    return counts


@pytest.mark.parametrize("shape", [(64, 64), (100, 70), (20, 200), (65, 64)])
def test_tiles_cover_every_pixel_with_the_overlap(shape: tuple[int, int]) -> None:
    tiles = cut([image_of(shape)], PLAIN, 64, 32, 0)
    assert (covered(tiles, [shape])[0] > 0).all()
    assert (tiles.rows[:, 3:] <= 64).all()
    for axis in (0, 1):
        starts = np.unique(tiles.rows[:, 1 + axis])
        assert starts[-1] + min(64, shape[axis]) == shape[axis]
        assert (np.diff(starts) <= 32).all()


def test_tissue_without_labels_serves_methods_that_need_none() -> None:
    image = image_of((64, 128))
    unlabeled = np.full((64, 128), 2, np.uint8)
    unlabeled[:, :64] = image.labels["local"][:, :64]
    known = np.zeros((64, 128), bool)
    image = replace(image, labels={"local": unlabeled}, known=known)
    assert len(cut([image], PLAIN, 64, 0, 0)) == 1
    assert len(cut([image], replace(PLAIN, unlabeled=True), 64, 0, 0)) == 2
    glass = replace(image, tissue=np.zeros((64, 128), bool))
    assert len(cut([glass], replace(PLAIN, unlabeled=True), 64, 0, 0)) == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_halves_share_no_pixel(count: int) -> None:
    shapes = [(120 + 8 * i, 96) for i in range(count)]
    tiles = cut([image_of(s) for s in shapes], HALVES, 48, 24, 3)
    a, b = (covered(tiles.take(tiles.half == h), shapes) for h in (0, 1))
    assert all(not (x.astype(bool) & y.astype(bool)).any() for x, y in zip(a, b, strict=True))
    assert all((x + y > 0).all() for x, y in zip(a, b, strict=True))
    sizes = np.bincount(tiles.half, minlength=2)
    assert sizes.min() >= 0.35 * sizes.sum()


def test_one_large_image_among_small_ones_is_cut_in_two() -> None:
    tiles = cut([image_of((256, 256)), image_of((48, 48))], HALVES, 48, 0, 0)
    assert set(tiles.half[tiles.rows[:, 0] == 0]) == {0, 1}


def test_the_split_follows_from_the_seed() -> None:
    images = [image_of((96, 96)) for _ in range(6)]
    halves = [cut(images, HALVES, 48, 0, seed).half.tolist() for seed in (1, 1, 2, 3, 4)]
    assert halves[0] == halves[1]
    assert any(h != halves[0] for h in halves[2:])


@pytest.mark.parametrize("overlap", [0.0, 0.25, 1.0])
def test_halves_share_the_asked_share_of_tiles(overlap: float) -> None:
    tiles = cut([image_of((320, 320))], HALVES, 32, 0, 0)
    shared = share_between_halves(tiles, overlap, 0)
    a, b = ({tuple(row) for row in shared.rows[shared.half == h]} for h in (0, 1))
    assert len(a & b) / len(a) == pytest.approx(overlap, abs=0.03)
    assert len(a) == (shared.half == 0).sum()


def test_an_image_too_small_to_split_serves_both_halves() -> None:
    tiles = share_between_halves(cut([image_of((40, 40))], HALVES, 48, 0, 0), 0.0, 0)
    assert sorted(tiles.half) == [0, 1]


def test_tiles_without_anything_known_are_left_out() -> None:
    image = image_of((64, 128))
    labels = np.full((64, 128), 2, np.uint8)
    labels[5, 5] = 1
    known = np.zeros((64, 128), bool)
    tiles = cut([replace(image, labels={"local": labels}, known=known)], PLAIN, 64, 0, 0)
    assert tiles.rows.tolist() == [[0, 0, 0, 64, 64]]


def test_held_out_tiles_share_no_pixel_with_training() -> None:
    shapes = [(128, 128)] * 8
    tiles = cut([image_of(s) for s in shapes], PLAIN, 48, 24, 0)
    split = hold_out(tiles, 0)
    held, used = covered(split.validation, shapes), covered(split.training, shapes)
    assert len(split.validation) >= 0.05 * len(tiles)
    assert len(split.training) > 0.7 * len(tiles)
    assert not any((h.astype(bool) & u.astype(bool)).any() for h, u in zip(held, used, strict=True))


def test_few_images_are_all_trained_on() -> None:
    tiles = cut([image_of((400, 400))], PLAIN, 32, 0, 0)
    assert len(hold_out(tiles, 0).validation) == 0
