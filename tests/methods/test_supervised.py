from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_noisyseg.method import Batch, Progress
from napari_noisyseg.methods.supervised import Supervised, SupervisedConfig

START = Progress(epoch=0, epochs=1, step=0, fraction=0.0)


def build(seed: int = 0, **changes: Any) -> Supervised:
    tiny = {"width": 4, "encoder": "1-1-1", **changes}
    return Supervised(SupervisedConfig.from_preset("small", **tiny), "cpu", seed)


@pytest.fixture
def batch() -> Batch:
    """Clean labels on the left half only; rough ones everywhere, wrong on the left."""
    truth = torch.zeros(2, 32, 32, dtype=torch.uint8)
    truth[:, 8:20, 4:28] = 1
    clean, rough = truth.clone(), truth.clone()
    clean[:, :, 16:] = 2
    rough[:, :, :16] = 1 - truth[:, :, :16]
    on = torch.ones(2, 32, 32, dtype=torch.bool)
    image = (1 - 0.5 * truth[:, None].float()).expand(2, 3, 32, 32)
    labels = {"clean": clean, "rough": rough, "truth": truth}
    return Batch(image, image[:, :1], labels, on, on, {}, torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize("source", ["best", "clean", "rough"])
def test_trains_on_what_was_asked(batch: Batch, source: str) -> None:
    clean, rough, truth = (batch.labels[name] for name in ("clean", "rough", "truth"))
    expected = {"best": truth, "clean": clean, "rough": rough}[source]
    method = build(train_on=source)
    z = method.averages["net"].module(1 - batch.hematoxylin)
    keep = expected != 2
    ce = -z.log_softmax(1).gather(1, expected.long().clamp(max=1)[:, None])[:, 0][keep].mean()
    assert method.validate(batch, START)["total"] == pytest.approx(ce.item(), rel=1e-5)


@pytest.mark.parametrize(("source", "channels"), [("hematoxylin", 1), ("rgb", 3)])
@pytest.mark.parametrize("net", ["resunet", "unet"])
def test_inputs_and_shapes(batch: Batch, source: str, channels: int, net: str) -> None:
    method = build(input=source, net=net)
    first = next(p for p in method.nets["net"].parameters() if p.dim() == 4)
    assert first.shape[1] == channels
    assert method.step(batch, START).losses["total"] > 0


def test_uncertainty_is_highest_on_the_decision_boundary(batch: Batch) -> None:
    prediction = build().predict(batch.image, batch.hematoxylin)
    p, u = prediction.probability, prediction.maps["uncertainty"]
    torch.testing.assert_close(u, 1 - (2 * p - 1).abs())


def test_two_networks_learn_each_by_itself_and_their_mean_predicts(batch: Batch) -> None:
    method, alone = build(networks=2), build()
    for _ in range(3):
        method.step(batch, START)
        alone.step(batch, START)
    first, second = (average.module for average in method.averages.values())
    for mine, other in zip(
        first.parameters(), alone.averages["net"].module.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, other)
    x = 1 - batch.hematoxylin
    a, b = (net(x).softmax(1)[:, 1] for net in (first, second))
    assert not torch.allclose(a, b)
    found = method.predict(batch.image, batch.hematoxylin).probability
    torch.testing.assert_close(found, (a + b) / 2)


def test_two_networks_of_one_seed_are_not_among_those_of_the_next() -> None:
    made = [net for seed in (0, 1, 2) for net in build(seed, networks=2).nets.values()]
    weights = torch.stack([next(p for p in n.parameters() if p.dim() == 4) for n in made])
    assert len(torch.unique(weights.flatten(1), dim=0)) == len(made)


def test_every_tile_teaches_where_none_is_held_out() -> None:
    assert SupervisedConfig.from_preset("small").sampling().hold_out
    assert not SupervisedConfig.from_preset("small", hold_out=False).sampling().hold_out
