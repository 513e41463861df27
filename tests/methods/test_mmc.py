"""Meta Mask Correction against values worked out otherwise: double backpropagation in float64."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor
from torch.func import functional_call

from napari_noisyseg.learning.accepted import background_weight, importance
from napari_noisyseg.learning.settings.mmc import MMCConfig
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN, Batch, Progress, TrainingImage
from napari_noisyseg.methods.mmc import MMC

MIDDLE = Progress(epoch=5, epochs=10, step=0, fraction=0.5)
TINY: dict[str, Any] = {
    "width": 4, "encoder": "1-1-1", "stem": "stride1", "correction_width": 4, "meta_every": 1,
}  # fmt: skip
EXACT: dict[str, Any] = {
    "meta_gradient": "exact", "meta_point": "virtual", "warmup": 0.0, "clean_tiles": 0,
}  # fmt: skip

Build = Callable[..., MMC]


@pytest.fixture
def mmc() -> Build:
    def build(**changes: Any) -> MMC:
        return MMC(MMCConfig.from_preset("small", **{**TINY, **changes}), "cpu", seed=3)

    return build


@pytest.fixture
def batch() -> Batch:
    """Rough labels on the left, clean ones on the right, a strip of neither between."""
    g = torch.Generator().manual_seed(0)

    def tiles(count: int) -> Batch:
        given = torch.randint(0, 2, (count, 16, 24), generator=g, dtype=torch.uint8)
        rough, clean = given.clone(), given.clone()
        rough[:, :, 12:], clean[:, :, :16] = UNKNOWN, UNKNOWN
        image = torch.rand(count, 3, 16, 24, generator=g)
        known = torch.ones(count, 16, 24, dtype=torch.bool)
        return Batch(
            image, image[:, :1], {"rough": rough, "clean": clean}, known, known, {},
            torch.zeros(count, dtype=torch.long),
        )  # fmt: skip

    return replace(tiles(3), meta=tiles(2))


def as_double(method: MMC, batch: Batch) -> Batch:
    """Turns method and batch to float64."""
    for net in (method.learner.net, method.learner.average, method.correction):
        net.double()

    def double(values: Tensor) -> Tensor:
        return values.double() if values.is_floating_point() else values

    assert batch.meta is not None
    return replace(batch.mapped(double), meta=batch.meta.mapped(double))


def soft_loss(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Eq. 4 written otherwise: binary cross-entropy of the difference of the logits."""
    margin = (logits[:, 1] - logits[:, 0])[mask]
    return F.binary_cross_entropy_with_logits(margin, target[mask])


@pytest.mark.parametrize("detach", [True, False])
def test_equations_3_to_7(mmc: Build, batch: Batch, detach: bool) -> None:
    method = mmc(**EXACT, detach_h=detach, train_on_clean=False, lr=1e-2, meta_lr=1e-2)
    batch = as_double(method, batch)
    net, correction = deepcopy(method.learner.net), deepcopy(method.correction)
    weights, theta = dict(net.named_parameters()), list(correction.parameters())
    alpha = method.learner.begin(MIDDLE.fraction)
    net.train()
    assert batch.meta is not None
    rough = batch.labels["rough"]
    mask = rough != UNKNOWN

    def inner(g: Any) -> Tensor:
        logits, features = net.decode(net.encode(1 - batch.image))
        h = torch.cat([features, logits], dim=1)
        return soft_loss(logits, g(h.detach() if detach else h, rough), mask)

    gradient = torch.autograd.grad(inner(correction), list(weights.values()), create_graph=True)
    virtual = {k: w - alpha * g for (k, w), g in zip(weights.items(), gradient, strict=True)}
    logits = functional_call(net, virtual, (1 - batch.meta.image,))
    clean = batch.meta.labels["clean"]
    outer = F.cross_entropy(logits.movedim(1, -1)[clean != 2], clean[clean != 2].long())
    slopes = torch.autograd.grad(outer, theta)

    adam = torch.optim.Adam(theta, 1e-2, eps=1e-12)  # Eq. 5, without alpha
    for parameter, slope in zip(theta, slopes, strict=True):
        parameter.grad = slope / alpha
    adam.step()
    loss = inner(correction)  # Eq. 7
    adam = torch.optim.Adam(weights.values(), alpha)  # Eq. 6
    loss.backward(inputs=list(weights.values()))
    adam.step()

    found = method.step(batch, MIDDLE).losses
    assert found["total"] == pytest.approx(loss.item(), rel=1e-9)
    assert found["meta"] == pytest.approx(outer.item(), rel=1e-9)
    for mine, other in zip(method.theta, theta, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-9)
    for mine, other in zip(method.learner.net.parameters(), weights.values(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("mode", "point", "least"),
    [
        ("forward", "virtual", 0.999999),
        ("difference", "virtual", 0.999),
        ("decoder", "present", 0.5),
    ],
)
def test_fast_gradients_of_the_correction_point_the_same_way(
    mmc: Build, batch: Batch, mode: str, point: str, least: float
) -> None:
    found = []
    for settings in (EXACT, {**EXACT, "meta_gradient": mode, "meta_point": point}):
        method = mmc(**settings)
        method.step(batch, MIDDLE)
        found.append(torch.cat([p.grad.flatten() for p in method.theta if p.grad is not None]))
    assert F.cosine_similarity(found[0], found[1], dim=0) > least


def test_clean_tiles_join_late(mmc: Build, batch: Batch) -> None:
    method = mmc(clean_tiles=1, clean_from=0.4)
    for fraction, count in ((0.3, 3), (0.4, 4)):
        joined = method.config.joined(batch, fraction)
        assert len(joined.image) == len(joined.labels["rough"]) == len(joined.known) == count
    assert batch.meta is not None
    assert torch.equal(joined.labels["clean"][3], batch.meta.labels["clean"][0])
    assert len(mmc(clean_tiles=1, train_on_clean=False).config.joined(batch, 0.5).image) == 3


def test_the_correction_learns_from_the_clean_tiles_alone(mmc: Build, batch: Batch) -> None:
    assert batch.meta is not None
    unknown = {k: torch.full_like(v, UNKNOWN) for k, v in batch.meta.labels.items()}
    for given, moves in (
        (batch, True),
        (replace(batch, meta=replace(batch.meta, labels=unknown)), False),
    ):
        method = mmc()
        before = [p.detach().clone() for p in method.theta]
        method.step(given, MIDDLE)
        moved = [not torch.equal(a, b) for a, b in zip(before, method.theta, strict=True)]
        assert any(moved) is moves


def test_clean_pixels_are_never_corrected_nor_taken_as_rough(mmc: Build, batch: Batch) -> None:
    """Whatever a rough plane says where a clean one speaks changes nothing."""
    scrambled = torch.where(
        batch.labels["clean"] != UNKNOWN, 1 - batch.labels["clean"], batch.labels["rough"]
    )
    other = replace(batch, labels={**batch.labels, "rough": scrambled})
    target, mask = mmc()._target(other, *outputs(mmc(), other), False)
    clean = batch.labels["clean"]
    assert torch.equal(target[clean != 2], clean[clean != 2].float())
    assert mask[clean != 2].all()
    explained = mmc().explain(other)
    assert torch.equal(explained["corrected"][clean != 2], clean[clean != 2].float())
    assert (explained["weights"][clean != 2] == 1).all()
    _, mask = mmc(train_on_clean=False)._target(other, *outputs(mmc(), other), False)
    assert not mask[clean != 2].any()


def outputs(method: MMC, batch: Batch) -> tuple[Tensor, Tensor]:
    net: Any = method.learner.net.eval()
    with torch.no_grad():
        found: tuple[Tensor, Tensor] = net.decode(net.encode(1 - batch.image))
    return found


def test_warm_up_trains_on_rough_masks_as_they_are(mmc: Build, batch: Batch) -> None:
    method = mmc(warmup=0.6)
    before = [p.detach().clone() for p in method.theta]
    target, _ = method._target(batch, *outputs(method, batch), True)
    rough = batch.labels["rough"]
    assert torch.equal(target[rough != 2], (rough[rough != 2] == NUCLEUS).float())
    assert "meta" not in method.step(batch, MIDDLE).losses
    assert all(torch.equal(a, b) for a, b in zip(before, method.theta, strict=True))
    assert "meta" in method.step(batch, replace(MIDDLE, fraction=0.7)).losses


def test_a_meta_step_every_k_th_update(mmc: Build, batch: Batch) -> None:
    method = mmc(meta_every=3)
    done = ["meta" in method.step(batch, replace(MIDDLE, step=k)).losses for k in range(7)]
    assert done == [True, False, False, True, False, False, True]


@pytest.mark.parametrize(("seen", "channels"), [("logits", 2), ("features", 4), ("both", 6)])
def test_what_the_correction_sees(mmc: Build, batch: Batch, seen: str, channels: int) -> None:
    method = mmc(correction_input=seen, bootstrap=0.0)
    logits, features = outputs(method, batch)
    h = method._h(logits, features)
    assert h.shape[1] == channels
    parts = {"logits": [logits], "features": [features], "both": [features, logits]}
    assert torch.equal(h, torch.cat(parts[seen], dim=1))


def with_given(batch: Batch) -> Batch:
    """Rough masks that go on where the labels are clean: one pixel further to the left."""
    clean, rough = batch.labels["clean"], batch.labels["rough"]
    given = torch.where(clean == UNKNOWN, rough, clean.roll(-1, dims=2))
    meta = batch.meta and with_given(batch.meta)
    return replace(batch, labels={**batch.labels, "given": given}, meta=meta)


def test_pairs_of_a_rough_and_a_clean_label_teach_the_correction(mmc: Build, batch: Batch) -> None:
    batch = with_given(batch)
    method = mmc(meta_every=1000, warmup=0.0, pairs_weight=2.0, balance=False, clean_tiles=0)
    before = deepcopy(method.correction)
    net: Any = deepcopy(method.learner.net).train()
    with torch.no_grad():
        seen = net.decode(net.encode(1 - batch.image))
    found = method.step(batch, replace(MIDDLE, step=1)).losses
    both = (batch.labels["clean"] != UNKNOWN) & (batch.labels["given"] != UNKNOWN)
    corrected = before(torch.cat([seen[1], seen[0]], dim=1), batch.labels["given"])
    truth = (batch.labels["clean"] == NUCLEUS).float()
    expected = F.binary_cross_entropy(corrected[both], truth[both])
    assert found["pairs"] == pytest.approx(expected.item(), rel=1e-4)
    assert any(
        not torch.equal(a, b)
        for a, b in zip(before.parameters(), method.correction.parameters(), strict=True)
    )
    assert "pairs" not in mmc(pairs_weight=0.0).step(batch, MIDDLE).losses


def accepted() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A nucleus of 9 px with a margin of 16; of all known pixels a tenth is rough nucleus."""
    clean = np.full((20, 20), UNKNOWN, np.uint8)
    clean[4:9, 4:9] = BACKGROUND
    clean[5:8, 5:8] = NUCLEUS
    given = np.full((20, 20), BACKGROUND, np.uint8)
    given[:2] = NUCLEUS
    return clean, given


def test_clean_background_counts_for_what_the_margins_leave_out() -> None:
    clean, given = accepted()
    assert background_weight([image_of(clean, given)]) == pytest.approx(9 * 0.9 / 0.1 / 16)
    whole = np.where(given == NUCLEUS, NUCLEUS, BACKGROUND).astype(np.uint8)
    assert background_weight([image_of(whole, given)]) == 1
    nothing = np.full((20, 20), UNKNOWN, np.uint8)
    assert background_weight([image_of(clean, nothing)]) == 1


def test_what_clean_background_counts_is_looked_up_at_the_beginning(mmc: Build) -> None:
    image = image_of(*accepted())
    for balance, expected in ((True, 9 * 0.9 / 0.1 / 16), (False, 1.0)):
        method = mmc(balance=balance)
        assert not method.begin([image])
        assert method.background == pytest.approx(expected)


def image_of(clean: NDArray[np.uint8], given: NDArray[np.uint8]) -> TrainingImage:
    on = np.ones(clean.shape, bool)
    rgb = np.ones((3, *clean.shape), np.float32)
    labels = {"clean": clean, "given": given}
    return TrainingImage("a", rgb, rgb[:1], labels, on, on, np.zeros((0, 2)))


def test_balance_weighs_clean_losses_outside_the_rough_masks_only(mmc: Build, batch: Batch) -> None:
    method = mmc(balance=True)
    method.background = 5.0
    batch = with_given(batch)
    weight = importance(batch, method.background)
    clean, given = batch.labels["clean"], batch.labels["given"]
    assert (weight[clean == UNKNOWN] == 0).all()
    assert (weight[clean == NUCLEUS] == 1).all()
    assert (weight[(clean == BACKGROUND) & (given == NUCLEUS)] == 1).all()
    assert (weight[(clean == BACKGROUND) & (given != NUCLEUS)] == 5).all()


def test_bootstrapping_needs_logits() -> None:
    with pytest.raises(ValidationError, match="correction_input"):
        MMCConfig(bootstrap=1.0, correction_input="features")


def test_explains_the_corrected_label(mmc: Build, batch: Batch) -> None:
    method = mmc()
    method.step(batch, MIDDLE)
    maps = method.explain(batch)
    rough, clean = batch.labels["rough"], batch.labels["clean"]
    net: Any = method.learner.average.module
    with torch.no_grad():
        logits, features = net.decode(net.encode(1 - batch.image))
        corrected = method.correction(torch.cat([features, logits], dim=1), rough)
    doubtful = (rough != UNKNOWN) & (clean == UNKNOWN)
    neither = (rough == UNKNOWN) & (clean == UNKNOWN)
    predicted = method.predict(batch.image, batch.hematoxylin).probability
    torch.testing.assert_close(maps["corrected"][doubtful], corrected[doubtful])
    torch.testing.assert_close(maps["corrected"][neither], predicted[neither])
    distrust = (corrected - (rough == NUCLEUS).float()).abs()
    torch.testing.assert_close(maps["weights"][doubtful], 1 - distrust[doubtful])
    assert (maps["weights"][~doubtful] == 1).all()


def test_paper_preset_is_the_paper() -> None:
    c = MMCConfig.from_preset("paper")
    assert (c.epochs, c.lr, c.meta_lr, c.lr_schedule) == (500, 1e-3, 1e-4, "steps")
    assert (c.correction_depth, c.encoder, c.width) == ("3x3+1x1", "3-4-6-3", 64)
    assert (c.identity, c.bootstrap, c.limit, c.warmup, c.train_on_clean) == (0, 0, 0, 0, False)


def test_learning_rate_drops_after_300_of_500_epochs(mmc: Build) -> None:
    learner = mmc(lr_schedule="steps", lr=1e-3).learner
    rates = [learner.begin(epoch / 500) for epoch in (0, 299, 300, 499)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])
