"""The outer level keeps learning at its own pace while the main rate falls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from napari_noisyseg.learning.meta_learner import per_rate
from napari_noisyseg.learning.settings.mmc import MMCConfig
from napari_noisyseg.method import UNKNOWN, Batch, Progress
from napari_noisyseg.methods.mcpm import MCPM, MCPMConfig
from napari_noisyseg.methods.mmc import MMC

TINY: dict[str, Any] = {"width": 4, "encoder": "1-1-1", "stem": "stride1", "meta_every": 1}
STEPS = 60


def batch(seed: int) -> Batch:
    """Squares of nuclei seen through noise, and labels of which the rough ones are often wrong.

    Fresh ones for every step, so that there is something to learn to the end.
    """
    g = torch.Generator().manual_seed(seed)

    def tiles(count: int, clean: bool) -> Batch:
        truth = torch.rand(count, 6, 6, generator=g) < 0.5
        truth = truth.repeat_interleave(4, 1).repeat_interleave(4, 2)
        wrong = torch.rand(truth.shape, generator=g) < 0.3
        unknown = torch.full(truth.shape, UNKNOWN, dtype=torch.uint8)
        given = (truth if clean else truth ^ wrong).to(torch.uint8)
        labels = {"rough": unknown, "clean": given} if clean else {"rough": given, "clean": unknown}
        noise = 0.3 * torch.randn(count, 3, 24, 24, generator=g)
        image = (0.7 - 0.3 * truth[:, None].float() + noise).clamp(0, 1)
        known = torch.ones(count, 24, 24, dtype=torch.bool)
        half = torch.zeros(count, dtype=torch.long)
        return Batch(image, image[:, :1], labels, known, known, {}, half)

    return replace(tiles(4, clean=False), meta=tiles(2, clean=True))


def moves(method: Any) -> list[float]:
    """Mean change of the outer network's weights in each update, as a share of `meta_lr`."""
    found = []
    for step in range(STEPS):
        before = torch.cat([p.detach().flatten() for p in method.theta])
        method.step(batch(step), Progress(0, 1, step, step / STEPS))
        after = torch.cat([p.detach().flatten() for p in method.theta])
        found.append(float((after - before).abs().mean()) / method.config.meta_lr)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mmc", "mcpm"])
def test_the_outer_level_does_not_freeze_while_the_rate_falls(kind: str) -> None:
    """The rate falls to a hundredth in the schedule of `small`; the steps of theta do not."""
    method: MMC | MCPM
    if kind == "mmc":
        changes = {"correction_width": 4, "warmup": 0.0, "pairs_weight": 0.0}
        method = MMC(MMCConfig.from_preset("small", **TINY, **changes), "cpu", seed=3)
    else:
        method = MCPM(MCPMConfig.from_preset("small", **TINY, weight_width=4), "cpu", seed=3)
    moved = moves(method)
    early, late = sum(moved[10:30]) / 20, sum(moved[-10:]) / 10
    assert early > 0.2
    assert late > early / 2


def test_rate_is_taken_out_of_the_gradient() -> None:
    given = [torch.tensor([0.02, -0.4]), torch.tensor([[1.0]])]
    assert [g.tolist() for g in per_rate(given, 0.02)] == [
        pytest.approx([1.0, -20.0]), [pytest.approx([50.0])],
    ]  # fmt: skip
