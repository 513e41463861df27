from __future__ import annotations

import numpy as np
import pytest
import torch
from random_images import image_of

from napari_noisyseg import stains
from napari_noisyseg.data.batches import (
    Pixels,
    assemble,
    centre_theta,
    jitter_stain,
    random_theta,
)
from napari_noisyseg.data.loader import TrainingData
from napari_noisyseg.data.tiles import Tiles
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.learning.learner import LearnerConfig
from napari_noisyseg.method import UNKNOWN, Batch, MethodConfig, Needs
from napari_noisyseg.plans import Augmentation

NEEDS = Needs(labels=("local",), halves=True)


def tiles_at(*rows: tuple[int, int, int, int, int], side: int) -> Tiles:
    return Tiles(np.array(rows), np.arange(len(rows)) % 2, side)


def test_an_unchanged_tile_is_the_image_itself() -> None:
    images = [image_of((64, 80)), image_of((50, 60), "b", 1)]
    pixels = Pixels(images, "cpu")
    tiles = tiles_at((0, 7, 30, 32, 32), (1, 18, 28, 32, 32), side=32)
    batch = assemble(pixels, tiles, centre_theta(2, 32, 32), 32)
    for i, (image, y, x, h, w) in enumerate(tiles.rows):
        window = np.s_[y : y + h, x : x + w]
        original = images[image]
        assert np.allclose(batch.image[i], original.image[:, *window], atol=1 / 255)
        assert np.allclose(batch.hematoxylin[i], original.hematoxylin[:, *window], atol=1 / 255)
        assert np.array_equal(batch.labels["local"][i], original.labels["local"][window])
    assert batch.known.all()
    assert batch.half.tolist() == [0, 1]


def test_the_crop_is_the_middle_of_the_tile() -> None:
    image = image_of((64, 64))
    batch = assemble(
        Pixels([image], "cpu"), tiles_at((0, 0, 0, 64, 64), side=64), centre_theta(1, 32, 64), 32
    )
    assert np.array_equal(batch.labels["local"][0], image.labels["local"][16:48, 16:48])


def test_outside_a_tile_nothing_is_known_even_where_the_image_goes_on() -> None:
    image = image_of((64, 64))
    pixels = Pixels([image], "cpu")
    pixels.revise(0, "pseudo", np.full((64, 64), 0.5, np.float32))
    batch = assemble(pixels, tiles_at((0, 0, 0, 64, 32), side=64), centre_theta(1, 64, 64), 64)
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[:, 16:48] = True
    assert torch.equal(batch.known[0], inside)
    assert torch.equal(batch.tissue[0], inside)
    assert (batch.labels["local"][0][~inside] == UNKNOWN).all()
    assert (batch.labels["local"][0][inside] != UNKNOWN).all()
    assert torch.equal(batch.planes["pseudo"][0].isnan(), ~inside)
    # the picture itself is mirrored, so that networks see no edge there
    assert torch.allclose(batch.image[0, :, :, 15], batch.image[0, :, :, 16], atol=1e-5)


def test_planes_are_unknown_in_images_that_have_none_yet() -> None:
    images = [image_of((32, 32)), image_of((32, 32), "b", 1)]
    pixels = Pixels(images, "cpu")
    values = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    pixels.revise(1, "pseudo", values)
    tiles = tiles_at((0, 0, 0, 32, 32), (1, 0, 0, 32, 32), side=32)
    plane = assemble(pixels, tiles, centre_theta(2, 32, 32), 32).planes["pseudo"]
    assert plane[0].isnan().all()
    assert np.allclose(plane[1], values, atol=1e-3)


def test_labels_move_with_the_pixels() -> None:
    images = [image_of((96, 96), seed=s) for s in range(3)]
    tiles = tiles_at(*[(i % 3, 0, 0, 96, 96) for i in range(12)], side=96)
    generator = torch.Generator().manual_seed(1)
    theta = random_theta(12, 64, 96, Augmentation(), generator)
    batch = assemble(Pixels(images, "cpu"), tiles, theta, 64)
    label, red = batch.labels["local"], batch.image[:, 0]
    seen = label != UNKNOWN
    assert set(label.unique().tolist()) <= {0, 1, 2}
    agree = ((red < 0.5) == (label == 1))[seen].float().mean()
    assert agree > 0.93
    assert seen.float().mean() > 0.7


def test_views_differ_in_zoom_turn_and_mirroring() -> None:
    theta = random_theta(400, 80, 100, Augmentation(), torch.Generator().manual_seed(0))
    area = torch.linalg.det(theta[:, :, :2]) / 0.8**2
    zoom = area.abs() ** -0.5
    assert 0.8 <= zoom.min() < 0.85
    assert 1.2 < zoom.max() <= 1.25
    assert 0.4 < (area < 0).float().mean() < 0.6
    assert theta[:, :, 2].abs().max() <= 0.2 + 1e-6


def test_stain_jitter_keeps_white_white_and_range() -> None:
    image = image_of((32, 32))
    image.image[:, :4] = 1
    batch = assemble(
        Pixels([image], "cpu"), tiles_at((0, 0, 0, 32, 32), side=32), centre_theta(1, 32, 32), 32
    )
    changed = jitter_stain(batch, 0.3, torch.Generator().manual_seed(0))
    assert torch.allclose(changed.image[:, :, :4], torch.ones(1))
    assert not torch.allclose(changed.image, batch.image)
    assert changed.image.min() >= 0
    assert changed.image.max() <= 1


def test_stain_jitter_changes_image_and_hematoxylin_together() -> None:
    """x and x_h after it are those of one tissue with more or less of each stain."""
    g = torch.Generator().manual_seed(1)
    density = 0.1 + 0.9 * torch.rand(2, 2, 8, 8, generator=g, dtype=torch.float64)
    w = torch.from_numpy(stains.FIXED.W)
    image = torch.einsum("ij,bjhw->bihw", w, density).neg().exp()
    known = torch.ones(2, 8, 8, dtype=torch.bool)
    half = torch.zeros(2, dtype=torch.long)
    batch = Batch(image, density[:, :1].neg().exp(), {}, known, known, {}, half)
    changed = jitter_stain(batch, 0.25, torch.Generator().manual_seed(0))
    found = torch.einsum("ji,bihw->bjhw", torch.linalg.pinv(w), -changed.image.log())
    torch.testing.assert_close(found[:, :1], -changed.hematoxylin.log(), rtol=1e-4, atol=1e-4)
    factors = (found / density).flatten(2)
    assert factors.std(dim=2).max() < 1e-3  # one for each stain of a tile
    assert (factors[:, 0] - factors[:, 1]).abs().max() > 0.01
    assert factors.min() > 0.74
    assert factors.max() < 1.26


def small(**changes: object) -> MethodConfig:
    values = {"tile": 48, "tile_overlap": 24, "crop": 40, "batch_size": 4, **changes}
    return MethodConfig.model_validate(values)


def test_a_batch_follows_from_seed_and_step_alone() -> None:
    images = [image_of((96, 96), seed=s) for s in range(4)]
    first, again = (TrainingData(images, small(), NEEDS, seed=7) for _ in range(2))
    first.batch(0, 0, 4)
    a, b = first.batch(3, 5, 4), again.batch(3, 5, 4)
    other = TrainingData(images, small(), NEEDS, seed=8).batch(3, 5, 4)
    assert torch.equal(a.image, b.image)
    assert torch.equal(a.labels["local"], b.labels["local"])
    assert not torch.equal(a.image, other.image)
    assert not torch.equal(a.image, first.batch(3, 6, 4).image)


def test_an_epoch_shows_every_tile_and_both_halves_in_every_batch() -> None:
    data = TrainingData([image_of((200, 200), seed=s) for s in range(2)], small(), NEEDS)
    steps = data.steps_per_epoch(4)
    drawn = [data._order(0, step, 4) for step in range(steps)]
    assert set(np.concatenate(drawn)) == set(range(len(data.split.training)))
    assert all(data.batch(0, step, 4).half.tolist() == [0, 0, 1, 1] for step in range(3))
    assert not np.array_equal(np.concatenate(drawn[:3]), data._order(1, 0, 12))


def test_a_short_epoch_goes_round_again() -> None:
    data = TrainingData([image_of((48, 48))], small(), Needs(labels=("local",)))
    assert len(data.split.training) == 1
    assert data.steps_per_epoch(4) == 8
    assert data.batch(0, 7, 4).image.shape == (4, 3, 40, 40)


def test_what_judges_does_not_teach_as_clean() -> None:
    needs = Needs(labels=("local", "clean"), clean=True, meta=True)
    images = [image_of((200, 200), seed=s) for s in range(8)]
    for image in images:
        image.labels["clean"] = image.labels["local"]
    data = TrainingData(images, small(), needs)
    assert data.clean is not None
    assert len(data.split.validation)
    assert len(data.clean.apart_from(data.split.validation)) == len(data.clean)


def test_meta_batches_are_as_large_as_the_setting_says() -> None:
    needs = Needs(labels=("local", "clean"), clean=True, meta=True)
    image = image_of((200, 200))
    image.labels["clean"] = image.labels["local"]
    config = LearnerConfig.model_validate({**small().model_dump(), "meta_batch_size": 6})
    data = TrainingData([image], config, needs)
    sizes = [len(data.batch(0, 0, size).meta.image) for size in (4, 2)]
    assert sizes == [6, 3]


def test_nothing_annotated_is_refused_with_a_way_out() -> None:
    image = image_of((48, 48))
    image.labels["local"][:] = UNKNOWN
    image.known[:] = False
    with pytest.raises(NoisySegError, match="noisyseg field"):
        TrainingData([image], small(), NEEDS)
