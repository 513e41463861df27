from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from napari_noisyseg import views


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def waves(n: int, height: int, width: int) -> Tensor:
    """Smooth pictures that no rotation or mirror maps onto themselves."""
    y, x = torch.meshgrid(torch.arange(height) / 14.0, torch.arange(width) / 11.0, indexing="ij")
    return torch.stack([torch.sin(x + k) * torch.cos(y / 2) + x / 9 for k in range(n)])[:, None]


@pytest.fixture
def quarter_turn() -> Tensor:
    return torch.tensor([[[0.0, -1, 0], [1, 0, 0]]])


def test_identity_changes_nothing() -> None:
    x = torch.rand(2, 3, 9, 14, generator=generator())
    torch.testing.assert_close(views.apply(views.identity(2), x), x, atol=1e-5, rtol=0)


def test_quarter_turn_is_exact(quarter_turn: Tensor) -> None:
    x = torch.rand(1, 3, 8, 8, generator=generator())
    seen = views.apply(quarter_turn, x)
    torch.testing.assert_close(seen, torch.rot90(x, 1, (2, 3)), atol=1e-5, rtol=0)


def test_mirror_is_exact() -> None:
    x = torch.rand(1, 1, 6, 10, generator=generator())
    mirror = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    torch.testing.assert_close(views.apply(mirror, x), x.flip(3), atol=1e-5, rtol=0)


def test_rotation_of_an_oblong_tile_is_a_true_rotation(quarter_turn: Tensor) -> None:
    x = torch.rand(1, 1, 8, 20, generator=generator())
    seen = views.apply(quarter_turn, x, size=(20, 8))
    torch.testing.assert_close(seen, torch.rot90(x, 1, (2, 3)), atol=1e-5, rtol=0)


def test_a_smaller_size_is_the_middle_at_the_same_scale() -> None:
    x = torch.rand(1, 1, 12, 16, generator=generator())
    seen = views.apply(views.identity(1), x, size=(6, 8))
    torch.testing.assert_close(seen, x[..., 3:9, 4:12], atol=1e-5, rtol=0)


def test_shift_is_in_half_sides_of_the_input() -> None:
    x = torch.rand(1, 1, 8, 8, generator=generator())
    theta = views.identity(1)
    theta[:, 0, 2] = 0.5
    seen = views.apply(theta, x, fill=-1.0)
    torch.testing.assert_close(seen[..., :6], x[..., 2:], atol=1e-5, rtol=0)
    assert (seen[..., 6:] == -1).all()


@pytest.mark.parametrize("size", [(96, 96), (80, 120)])
def test_inverse_undoes_every_view(size: tuple[int, int]) -> None:
    x = waves(6, *size)
    theta = views.random_views(6, generator(3), shear=0.2, shift=0.1)
    back = views.apply(views.inverse(theta), views.apply(theta, x, fill=torch.nan), fill=torch.nan)
    seen = ~back.isnan()
    assert seen.float().mean() > 0.5
    assert (back - x)[seen].abs().max() < 0.05
    assert (views.apply(theta, x) - x).abs().max() > 0.3


def test_composed_views_are_one_after_the_other() -> None:
    x = waves(2, 80, 120)
    first = views.random_views(2, generator(4), shear=0.1, shift=0.1)
    second = views.random_views(2, generator(5), shear=0.1, shift=0.1)
    seen = views.apply(second, views.apply(first, x, fill=torch.nan), fill=torch.nan)
    at_once = views.apply(views.composed(second, first), x)
    counts = ~seen.isnan()
    assert counts.float().mean() > 0.3
    torch.testing.assert_close(at_once[counts], seen[counts], atol=0.05, rtol=0)


def test_zoom_shows_things_larger_or_smaller() -> None:
    x = torch.zeros(2, 1, 64, 64)
    x[..., 24:40, 24:40] = 1
    larger, smaller = views.apply(views.zoomed([2, 0.5]), x)
    assert larger.sum().item() == pytest.approx(32 * 32, rel=0.01)
    assert smaller.sum().item() == pytest.approx(8 * 8, rel=0.01)


def test_mirrored_along_y_x_and_both() -> None:
    x = torch.rand(3, 1, 6, 10, generator=generator())
    seen = views.apply(views.mirrored([(True, False), (False, True), (True, True)]), x)
    expected = torch.stack([x[0].flip(1), x[1].flip(2), x[2].flip(1, 2)])
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=0)


def test_a_zoom_out_may_mirror_what_lies_outside() -> None:
    x = torch.rand(1, 1, 8, 8, generator=generator())
    shifted = views.identity(1)
    shifted[:, 0, 2] = 0.5
    seen = views.apply(shifted, x, fill="reflect")
    torch.testing.assert_close(seen[..., 6:], x[..., 6:].flip(3), atol=1e-5, rtol=0)


def test_inside_says_where_a_view_has_pixels() -> None:
    zoom = views.zoomed([0.5, 2.0])
    out, in_ = views.inside(zoom, (8, 12))
    assert out.sum() == 4 * 6
    assert in_.all()
    assert torch.equal(out, views.apply(zoom[:1], torch.ones(1, 8, 12))[0] == 1)


def test_labels_stay_labels() -> None:
    x = torch.randint(0, 3, (4, 32, 32), generator=generator(), dtype=torch.uint8)
    seen = views.apply(views.random_views(4, generator(1)), x, "nearest", fill=2)
    assert seen.dtype == torch.uint8
    assert seen.shape == x.shape
    assert set(seen.unique().tolist()) <= {0, 1, 2}
    far = views.identity(4) * 3
    assert (views.apply(far, x, "nearest", fill=2)[:, 0] == 2).all()


def test_masks_stay_masks() -> None:
    x = torch.ones(2, 16, 16, dtype=torch.bool)
    seen = views.apply(views.identity(2) * 2, x, "nearest")
    assert seen.dtype == torch.bool
    assert seen.float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_magnification_has_the_asked_range_and_both_hands() -> None:
    theta = views.random_views(500, generator(5), scale=(0.8, 1.25))
    determinant = torch.linalg.det(theta[:, :, :2])
    zoom = determinant.abs().rsqrt()
    assert 0.799 < zoom.min() < 0.83
    assert 1.2 < zoom.max() < 1.251
    assert 0.4 < (determinant < 0).float().mean() < 0.6


def test_no_rotation_leaves_quarter_turns() -> None:
    theta = views.random_views(200, generator(6), scale=(1, 1), rotation=0)
    matrix = theta[:, :, :2]
    torch.testing.assert_close(matrix, matrix.round(), atol=1e-6, rtol=0)
    angles = torch.atan2(matrix[:, 1, 1], matrix[:, 0, 1]) / (math.pi / 2)
    assert len(angles.round().unique()) >= 4


def test_views_repeat_with_the_seed() -> None:
    assert torch.equal(views.random_views(3, generator(7)), views.random_views(3, generator(7)))
    assert not torch.equal(views.random_views(3, generator(7)), views.random_views(3, generator(8)))


FLIP = views.mirrored([(False, True)])


def test_an_ensemble_brings_views_back_and_averages_them() -> None:
    """MLB-Seg Eq. 10 with Q = 2, written out for a mirror and a magnification by two."""
    theta = torch.cat([views.identity(1), FLIP, views.zoomed([2.0])])
    seen = torch.rand(3, 2, 8, 8, generator=generator())
    seen[2] = seen[2, :, :1, :1]  # a constant, which any interpolation keeps
    expected = (seen[0] + seen[1].flip(2)) / 2
    middle = (..., slice(2, 6), slice(2, 6))
    expected[middle] = ((seen[0] + seen[1].flip(2) + seen[2]) / 3)[middle]
    torch.testing.assert_close(views.ensemble(seen, theta), expected, atol=1e-5, rtol=0)


def test_disagreement_is_the_mean_over_pairs() -> None:
    """MLB-Seg Eq. 11 with Q = 2: three pairs, each seen as in its first view."""
    theta = torch.cat([views.identity(1), FLIP, views.mirrored([(True, False)])])
    seen = torch.rand(3, 2, 6, 8, generator=generator())
    mask = torch.rand(2, 6, 8, generator=generator(1)) > 0.3
    a, b, c = seen
    pairs = [
        (a - b.flip(2))[mask],
        (a - c.flip(1))[mask],
        (b - c.flip(1).flip(2))[mask.flip(2)],
    ]
    expected = torch.stack([pair.square().mean() for pair in pairs]).mean()
    torch.testing.assert_close(views.disagreement(seen, theta, mask), expected)


def test_only_what_both_views_show_counts() -> None:
    theta = torch.cat([views.identity(1), views.zoomed([2.0])])
    seen = torch.zeros(2, 1, 8, 8)
    seen[0] = 5.0
    seen[0, :, 2:6, 2:6] = 1.0
    everywhere = torch.ones(1, 8, 8, dtype=torch.bool)
    assert views.disagreement(seen, theta, everywhere).item() == pytest.approx(1.0)
    assert views.disagreement(seen, theta, ~everywhere).item() == 0


@pytest.mark.parametrize("both", [True, False])
def test_disagreement_teaches_both_views_of_a_pair(both: bool) -> None:
    theta = torch.cat([views.identity(1), FLIP])
    seen = torch.rand(2, 1, 6, 6, generator=generator()).requires_grad_()
    mask = torch.ones(1, 6, 6, dtype=torch.bool)
    (slope,) = torch.autograd.grad(views.disagreement(seen, theta, mask, both), seen)
    difference = 2 * (seen[0] - seen[1].flip(2)) / 36
    torch.testing.assert_close(slope[0], difference, atol=1e-5, rtol=0)
    other = -difference.flip(2) if both else torch.zeros_like(difference)
    torch.testing.assert_close(slope[1], other, atol=1e-5, rtol=0)
