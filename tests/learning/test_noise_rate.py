from __future__ import annotations

import numpy as np
import pytest

from napari_noisyseg.learning import noise_rate as rate
from napari_noisyseg.method import NUCLEUS, UNKNOWN


def test_agreement_counts_pixels_with_both_labels() -> None:
    given = np.zeros(2000, np.uint8)
    clean = np.zeros(2000, np.uint8)
    clean[:90] = NUCLEUS
    clean[1500:], given[1200:1300] = UNKNOWN, UNKNOWN
    assert rate.by_agreement(given, clean) == pytest.approx(90 / 1400)
    assert rate.by_agreement(given[:400], clean[:400]) is None


@pytest.mark.parametrize("share", [0.05, 0.12, 0.25])
def test_a_network_that_knows_finds_the_flipped(share: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.25
    flipped = rng.random(20_000) < share
    belief = np.where(truth, 0.8, 0.1) + 0.1 * rng.standard_normal(20_000)
    sizes = rng.integers(5, 15, 20_000).astype(float)
    found = rate.by_confidence(belief.clip(0, 1), truth ^ flipped, sizes)
    assert found == pytest.approx(share, abs=0.03)


def test_a_network_that_knows_nothing_claims_little() -> None:
    nucleus = np.arange(1000) < 250
    unsure = np.full(1000, 0.25)
    assert rate.by_confidence(unsure, nucleus, np.ones(1000)) < 0.3
    assert rate.by_confidence(unsure, np.zeros(1000, bool), np.ones(1000)) == rate.LOWEST


def test_confidence_by_hand() -> None:
    """Means 0.2 of background's belief in nucleus, 0.7 of nuclei's: one pixel in ten strays."""
    belief = np.array([0.1] * 7 + [0.9], np.float64)
    nucleus = np.zeros(8, bool)
    belief, nucleus = np.append(belief, [0.8, 0.6]), np.append(nucleus, [True, True])
    # sure of background: 1 - p >= 0.8, seven of the eight; sure of nucleus: p >= 0.7
    wrong = 8 * 1 / (7 + 1) + 2 * 0 / 1
    assert rate.by_confidence(belief, nucleus, np.ones(10)) == pytest.approx(wrong / 10)
