"""Every equation against numbers worked out independently, with numpy, in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_noisyseg import losses
from napari_noisyseg.method import UNKNOWN


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double)


@pytest.fixture
def label() -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 3, (2, 3, 4), generator=generator, dtype=torch.uint8)


def nucleus(logits: torch.Tensor) -> NDArray[np.float64]:
    """Probability of nucleus by the logistic function of the difference of the logits."""
    z = logits.detach().numpy()
    return np.asarray(1 / (1 + np.exp(z[:, 0] - z[:, 1])))


def test_equations_3_and_4(logits: torch.Tensor, label: torch.Tensor) -> None:
    y, v = nucleus(logits), label.numpy()
    terms = [
        v[i] * math.log(y[i]) + (1.0 - v[i]) * math.log(1 - y[i])
        for i in np.ndindex(v.shape)
        if v[i] != 2
    ]
    assert 0 < len(terms) < v.size
    expected = -sum(terms) / len(terms)
    assert losses.cross_entropy(logits, label).item() == pytest.approx(expected, rel=1e-12)


def test_cross_entropy_pushes_only_known_pixels(logits: torch.Tensor, label: torch.Tensor) -> None:
    logits.requires_grad_()
    losses.cross_entropy(logits, label).backward()
    assert logits.grad is not None
    pushed = logits.grad.abs().sum(dim=1) > 0
    assert torch.equal(pushed, label != UNKNOWN)


def test_cross_entropy_of_nothing_is_zero(logits: torch.Tensor, label: torch.Tensor) -> None:
    logits.requires_grad_()
    loss = losses.cross_entropy(logits, torch.full_like(label, UNKNOWN))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_what_a_share_exceeds() -> None:
    values = torch.arange(1.0, 101.0)[torch.randperm(100)].reshape(4, 25)
    assert losses.exceeded(values, 0.05).item() == 95
    assert losses.exceeded(torch.tensor([0.0] * 99 + [3.0]), 0.05).item() == 3


def test_equation_5() -> None:
    previous = torch.tensor([0.2, 1.0, torch.nan])
    present = torch.tensor([0.6, 0.0, 0.7])
    average = losses.moving_average(previous, present, alpha=0.1)
    np.testing.assert_allclose(average.numpy(), [0.24, 0.9, 0.7], rtol=1e-6)


def test_equation_5_decays_geometrically() -> None:
    p = torch.tensor([1.0])
    for _ in range(5):
        p = losses.moving_average(p, torch.tensor([0.0]), alpha=0.25)
    assert p.item() == pytest.approx(0.75**5)


def test_equation_6() -> None:
    pseudo = torch.tensor([0.3, 0.3, 0.3, torch.nan, torch.nan])
    cluster = torch.tensor([0, 1, 2, 1, 2], dtype=torch.uint8)
    filled = losses.fill_unknown(pseudo, cluster)
    np.testing.assert_allclose(filled.numpy(), [0, 1, 0.3, 1, np.nan], rtol=1e-6)


def test_equation_7(logits: torch.Tensor) -> None:
    y = nucleus(logits)
    p = np.random.default_rng(3).random(y.shape)
    p[0, 0, :3] = [0.0, 1.0, np.nan]
    mask = np.random.default_rng(4).random(y.shape) < 0.7
    mask[0, 0, :3] = True
    terms = []
    for i in np.ndindex(y.shape):
        if not mask[i] or np.isnan(p[i]):
            continue
        pairs = ((p[i], y[i]), (1 - p[i], 1 - y[i]))
        terms.append(sum(a * math.log(a / b) for a, b in pairs if a > 0))
    loss = losses.kl_divergence(torch.from_numpy(p), logits, torch.from_numpy(mask))
    assert loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-12)


def test_equation_7_is_zero_only_where_both_agree(logits: torch.Tensor) -> None:
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    same = torch.from_numpy(nucleus(logits))
    assert losses.kl_divergence(same, logits, mask).item() == pytest.approx(0, abs=1e-12)
    assert losses.kl_divergence(1 - same, logits, mask).item() > 0.01


def test_equation_7_has_finite_gradients_at_hard_targets_and_nan(logits: torch.Tensor) -> None:
    logits.requires_grad_()
    target = torch.tensor([0.0, 1.0, torch.nan, 0.5]).expand(2, 3, 4)
    losses.kl_divergence(target, logits, torch.ones(2, 3, 4, dtype=torch.bool)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert not logits.grad[..., 2].any()


@pytest.mark.parametrize("power", [1, 2])
def test_equation_8(power: int) -> None:
    generator = np.random.default_rng(5)
    colors, image = generator.random((2, 2, 3, 4, 5))
    mask = generator.random((2, 4, 5)) < 0.5
    terms = [
        sum(abs(colors[b, k, i, j] - image[b, k, i, j]) ** power for k in range(3))
        for b, i, j in np.argwhere(mask)
    ]
    loss = losses.color_distance(*map(torch.from_numpy, (colors, image, mask)), power)
    assert loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-12)


@pytest.mark.parametrize(
    ("n", "alpha", "early", "late"),
    [(0, 0.0, 0.1, 0.1), (25, 0.0625, 0.05625, 0.09375), (100, 1.0, 0.0, 0.0)],
)
def test_weights_of_equation_9(n: int, alpha: float, early: float, late: float) -> None:
    assert losses.rising(n / 100, 1.0) == pytest.approx(alpha)
    assert losses.falling(n / 100, 0.1) == pytest.approx(early)
    assert losses.falling_late(n / 100, 0.1) == pytest.approx(late)


def test_learning_rate_falls_tenfold_every_thirty_of_hundred_epochs() -> None:
    rates = [losses.stepped_rate(epoch / 100, 1e-3) for epoch in (0, 29, 30, 59, 60, 89, 90, 99)]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])


def test_cosine_rate_rises_then_falls_to_a_hundredth() -> None:
    rates = [losses.cosine_rate(n / 200, 1e-3) for n in range(201)]
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(1e-3)
    assert 0 < top < 10
    assert all(a > b for a, b in zip(rates[top:], rates[top + 1 :], strict=False))
    assert rates[-1] == pytest.approx(1e-5)
