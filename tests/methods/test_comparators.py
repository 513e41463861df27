"""The methods that MMC is compared with: fine-tuning, spatial reweighting, MCPM."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from napari_noisyseg.method import UNKNOWN, Batch, Progress
from napari_noisyseg.methods.finetune import Finetune, FinetuneConfig
from napari_noisyseg.methods.mcpm import MCPM, MCPMConfig
from napari_noisyseg.methods.spatial_reweighting import (
    SpatialReweighting,
    SpatialReweightingConfig,
)

MIDDLE = Progress(epoch=5, epochs=10, step=0, fraction=0.5)
TINY: dict[str, Any] = {"width": 4, "encoder": "1-1-1", "stem": "stride1"}


@pytest.fixture
def batch() -> Batch:
    """Rough labels on the left, clean ones on the right; in float64."""
    g = torch.Generator().manual_seed(0)

    def tiles(count: int) -> Batch:
        given = torch.randint(0, 2, (count, 16, 24), generator=g, dtype=torch.uint8)
        rough, clean = given.clone(), given.clone()
        rough[:, :, 12:], clean[:, :, :16] = UNKNOWN, UNKNOWN
        image = torch.rand(count, 3, 16, 24, generator=g, dtype=torch.float64)
        known = torch.ones(count, 16, 24, dtype=torch.bool)
        return Batch(
            image, image[:, :1], {"rough": rough, "clean": clean}, known, known, {},
            torch.zeros(count, dtype=torch.long),
        )  # fmt: skip

    return replace(tiles(3), meta=tiles(2))


def reweighting(**changes: Any) -> SpatialReweighting:
    config = SpatialReweightingConfig.from_preset("small", **{**TINY, **changes})
    method = SpatialReweighting(config, "cpu", seed=3)
    method.learner.net.double()
    method.learner.average.double()
    return method


def mining(**changes: Any) -> MCPM:
    settings = {**TINY, "weight_width": 4, "meta_every": 1, **changes}
    method = MCPM(MCPMConfig.from_preset("small", **settings), "cpu", seed=3)
    for net in (method.learner.net, method.learner.average, method.weigh):
        net.double()
    return method


def finetune(**changes: Any) -> Finetune:
    method = Finetune(FinetuneConfig.from_preset("small", **{**TINY, **changes}), "cpu", seed=3)
    method.learner.net.double()
    method.learner.average.double()
    return method


def pixel_losses(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of every pixel, 0 where unknown, written otherwise than in `losses`."""
    p = logits.softmax(dim=1).gather(1, (label == 1).long()[:, None])[:, 0]
    return torch.where(label == UNKNOWN, 0.0, -p.log())


def clean_loss(net: Any, weights: dict[str, Tensor], clean: Batch) -> Tensor:
    logits = functional_call(net, weights, (1 - clean.image,))
    label = clean.labels["clean"]
    return F.cross_entropy(logits.movedim(1, -1)[label != 2], label[label != 2].long())


def test_reweighting_is_ren_et_al_pixel_by_pixel(batch: Batch) -> None:
    """Eqs. 4-9 of Ren et al. by backpropagation through the virtual step at weights of zero."""
    method = reweighting(meta_gradient="exact", train_on_clean=False)
    net = deepcopy(method.learner.net).train()
    weights = dict(net.named_parameters())
    alpha = reweighting().learner.begin(MIDDLE.fraction)
    w = torch.zeros(3, 16, 24, dtype=torch.float64, requires_grad=True)
    loss = (w * pixel_losses(net(1 - batch.image), batch.labels["rough"])).sum()
    gradient = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    virtual = {k: p - alpha * g for (k, p), g in zip(weights.items(), gradient, strict=True)}
    assert batch.meta is not None
    (slope,) = torch.autograd.grad(clean_loss(net, virtual, batch.meta), w)
    helpful = (-slope).clamp(min=0)
    net.train()
    losses = pixel_losses(net(1 - batch.image), batch.labels["rough"])
    expected = (helpful / helpful.sum() * losses).sum().item()
    assert method.step(batch, MIDDLE).losses["weighted"] == pytest.approx(expected, rel=1e-6)
    assert (helpful[batch.labels["rough"] == UNKNOWN] == 0).all()


def test_reweighting_explains_its_weights(batch: Batch) -> None:
    method = reweighting()
    method.step(batch, MIDDLE)
    weights = method.explain(batch)["weights"]
    doubtful = batch.labels["rough"] != UNKNOWN
    assert (weights[~doubtful] == 1).all()
    assert 0 <= weights.min() < weights[doubtful].max() <= 1
    assert weights[doubtful].unique().numel() > 10


def test_reweighting_remembers_the_clean_tiles(batch: Batch) -> None:
    method, resumed = reweighting(), reweighting()
    method.step(batch, MIDDLE)
    resumed.load_state_dict(method.state_dict())
    assert torch.equal(method.explain(batch)["weights"], resumed.explain(batch)["weights"])


def test_mcpm_weighs_the_loss_by_the_loss_map(batch: Batch) -> None:
    method = mining(train_on_clean=False, meta_gradient="exact", meta_lr=1e-9)
    net = deepcopy(method.learner.net).train()
    with torch.no_grad():
        losses = pixel_losses(net(1 - batch.image), batch.labels["rough"])
        doubtful = batch.labels["rough"] != UNKNOWN
        expected = (method.weigh(losses) * losses)[doubtful].mean().item()
    assert method.step(batch, MIDDLE).losses["weighted"] == pytest.approx(expected, rel=1e-6)


def test_mcpm_learns_its_weights_from_clean_tiles(batch: Batch) -> None:
    """The weight network's gradient against backpropagation through the virtual step."""
    method = mining(train_on_clean=False, meta_gradient="exact", meta_point="virtual")
    net, weigh = deepcopy(method.learner.net).train(), deepcopy(method.weigh)
    weights = dict(net.named_parameters())
    alpha = mining().learner.begin(MIDDLE.fraction)
    losses = pixel_losses(net(1 - batch.image), batch.labels["rough"])
    loss = (weigh(losses.detach()) * losses)[batch.labels["rough"] != UNKNOWN].mean()
    gradient = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    virtual = {k: p - alpha * g for (k, p), g in zip(weights.items(), gradient, strict=True)}
    assert batch.meta is not None
    outer = clean_loss(net, virtual, batch.meta)
    expected = torch.autograd.grad(outer, list(weigh.parameters()))
    method.step(batch, MIDDLE)
    for parameter, slope in zip(method.theta, expected, strict=True):
        torch.testing.assert_close(parameter.grad, slope / alpha, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("build", [reweighting, mining])
def test_clean_pixels_teach_where_it_is_asked_for(build: Any, batch: Batch) -> None:
    flipped = torch.where(batch.labels["clean"] == UNKNOWN, UNKNOWN, 1 - batch.labels["clean"])
    other = replace(batch, labels={**batch.labels, "clean": flipped})
    for asked in (True, False):
        one, two = (build(train_on_clean=asked) for _ in range(2))
        same = one.step(batch, MIDDLE).losses["total"] == two.step(other, MIDDLE).losses["total"]
        assert same is not asked


def test_fine_tuning_is_rough_first_then_clean(batch: Batch) -> None:
    assert batch.meta is not None
    empty = replace(batch, meta=replace(batch.meta, labels=unknown(batch.meta)))
    for fraction, clean in ((0.0, False), (0.69, False), (0.71, True), (1.0, True)):
        now = replace(MIDDLE, fraction=fraction)
        method = finetune(clean_share=0.3)
        assert (method.step(empty, now).losses["total"] == 0) is clean
        rough = replace(batch, labels=unknown(batch))
        assert (finetune(clean_share=0.3).step(rough, now).losses["total"] == 0) is not clean


def unknown(batch: Batch) -> dict[str, Tensor]:
    return {name: torch.full_like(label, UNKNOWN) for name, label in batch.labels.items()}


def test_each_part_of_fine_tuning_has_its_own_schedule(batch: Batch) -> None:
    method = finetune(clean_share=0.5, lr=1e-2, clean_lr=1e-3, lr_schedule="steps")
    rates = []
    for fraction in (0.0, 0.29, 0.31, 0.5, 0.79, 0.81):
        method.step(batch, replace(MIDDLE, fraction=fraction))
        rates.append(method.learner.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-3, 1e-4])


def test_no_clean_share_never_sees_clean_masks(batch: Batch) -> None:
    method = finetune(clean_share=0.0)
    rough = replace(batch, labels=unknown(batch))
    assert method.step(rough, replace(MIDDLE, fraction=1.0)).losses["total"] == 0
