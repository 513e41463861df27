from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning.settings.scnet import SCNetConfig
from napari_noisyseg.method import UNKNOWN, Batch, Progress, TrainingImage
from napari_noisyseg.methods.scnet import SCNet
from napari_noisyseg.nets.colorization import ColorHead, Colorization
from napari_noisyseg.nets.resunet import ResUNet
from napari_noisyseg.nets.unet import UNet

MIDDLE = Progress(epoch=5, epochs=10, step=5, fraction=0.5)
TINY: dict[str, Any] = {"width": 4, "encoder": "1-1-1", "color_width": 2, "color_depth": 1}

Build = Callable[..., SCNet]


@pytest.fixture
def scnet() -> Build:
    def build(**changes: Any) -> SCNet:
        return SCNet(SCNetConfig.from_preset("small", **{**TINY, **changes}), "cpu", seed=3)

    return build


@pytest.fixture
def batch() -> Batch:
    g = torch.Generator().manual_seed(0)
    known = torch.ones(4, 32, 32, dtype=torch.bool)
    known[:, :, 24:] = False
    return Batch(
        image=torch.rand(4, 3, 32, 32, generator=g),
        hematoxylin=torch.rand(4, 1, 32, 32, generator=g),
        labels={
            name: torch.randint(0, 3, (4, 32, 32), generator=g, dtype=torch.uint8)
            for name in ("voronoi", "cluster", "local")
        },
        known=known,
        tissue=torch.rand(4, 32, 32, generator=g) < 0.8,
        planes={f"pseudo_{s}": torch.rand(4, 32, 32, generator=g) for s in "ab"},
        half=torch.tensor([0, 1, 1, 0]),
    )


def parameters(method: SCNet, side: str) -> list[Tensor]:
    return [p.detach().clone() for p in method.pair.nets[side].parameters()]


def same(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_total_is_equation_9(scnet: Build, batch: Batch) -> None:
    terms = scnet().step(batch, replace(MIDDLE, fraction=0.25)).losses
    alpha, beta = 1.0 * 0.25**2, 0.1 * 0.75**2
    expected = terms["vor"] + terms["clu"] + alpha * terms["cot"] + beta * terms["color"]
    assert terms["total"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("coarse", ["cluster", "local", "both"])
def test_terms_are_the_equations_on_each_half(scnet: Build, batch: Batch, coarse: str) -> None:
    method, twin = scnet(coarse=coarse), scnet(coarse=coarse)
    expected = dict.fromkeys(("vor", "clu", "cot", "color"), 0.0)
    for side, rows in (("a", [0, 3]), ("b", [1, 2])):
        known = batch.known[rows]
        first, second = batch.labels["cluster"][rows], batch.labels["local"][rows]
        label = {"cluster": first, "local": second}.get(coarse, first.clone())
        if coarse == "both":
            label[first == UNKNOWN] = second[first == UNKNOWN]
            label[(first != second) & (first != UNKNOWN) & (second != UNKNOWN)] = UNKNOWN
        label = torch.where(known, label, UNKNOWN)
        voronoi = torch.where(known, batch.labels["voronoi"][rows], UNKNOWN)
        z = twin.pair.nets[side].train()(1 - batch.hematoxylin[rows])
        target = losses.fill_unknown(batch.planes[f"pseudo_{side}"][rows], label)
        colors = twin.pair.nets[f"color_{side}"].train()(z.softmax(1))
        expected["vor"] += losses.cross_entropy(z, voronoi).item()
        expected["clu"] += losses.cross_entropy(z, label).item()
        expected["cot"] += losses.kl_divergence(target, z, known).item()
        expected["color"] += losses.color_distance(
            colors, batch.image[rows], batch.tissue[rows]
        ).item()
    terms = method.step(batch, MIDDLE).losses
    assert {name: terms[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_each_network_learns_from_its_own_half(scnet: Build, batch: Batch) -> None:
    one, other = scnet(), scnet()
    one.step(batch, MIDDLE)
    changed = batch.hematoxylin.clone()
    changed[batch.half == 1] = 0.5
    other.step(replace(batch, hematoxylin=changed), MIDDLE)
    assert same(parameters(one, "a"), parameters(other, "a"))
    assert not same(parameters(one, "b"), parameters(other, "b"))


def test_a_batch_of_one_half_leaves_no_network_idle(scnet: Build, batch: Batch) -> None:
    method = scnet()
    before = parameters(method, "b")
    method.step(replace(batch, half=torch.zeros(4, dtype=torch.long)), MIDDLE)
    assert not same(before, parameters(method, "b"))


def test_labels_outside_fields_do_not_count(scnet: Build, batch: Batch) -> None:
    outside = ~batch.known
    scrambled = replace(
        batch,
        labels={k: torch.where(outside, (v + 1) % 3, v) for k, v in batch.labels.items()},
        planes={k: torch.where(outside, 1 - v, v) for k, v in batch.planes.items()},
    )
    one, other = scnet(), scnet()
    assert one.step(batch, MIDDLE) == other.step(scrambled, MIDDLE)
    assert same(parameters(one, "a"), parameters(other, "a"))


def test_colors_count_outside_fields_too(scnet: Build, batch: Batch) -> None:
    one, other = scnet(), scnet()
    image = torch.where(batch.known[:, None], batch.image, 1 - batch.image)
    found = one.step(batch, MIDDLE), other.step(replace(batch, image=image), MIDDLE)
    assert found[0].losses["color"] != found[1].losses["color"]


@pytest.mark.parametrize("decoder", ["separate", "shared"])
def test_colors_train_the_segmentation_end_to_end(scnet: Build, batch: Batch, decoder: str) -> None:
    labels = {k: torch.full_like(v, UNKNOWN) for k, v in batch.labels.items()}
    unlabelled = replace(batch, labels=labels, planes={})
    for used in (True, False):
        method = scnet(weight_decay=0.0, use_color=used, decoder=decoder)
        before = parameters(method, "a")
        method.step(unlabelled, replace(MIDDLE, fraction=0.0))
        assert same(before, parameters(method, "a")) is not used


@pytest.mark.parametrize(
    ("model", "switches"),
    [
        ("A", {"use_clu": False, "use_cot": False, "use_color": False}),
        ("B", {"use_cot": False, "use_color": False}),
        ("C", {"use_color": False}),
        ("D", {}),
    ],
)
def test_ablation(scnet: Build, batch: Batch, model: str, switches: dict[str, bool]) -> None:
    used = {"A": {"vor"}, "B": {"vor", "clu"}, "C": {"vor", "clu", "cot"}}
    expected = used.get(model, {"vor", "clu", "cot", "color"})
    method = scnet(**switches)
    assert method.step(batch, MIDDLE).losses.keys() == expected | {"total"}
    assert method.validate(batch, MIDDLE).keys() == (expected & {"vor", "clu"}) | {"total"}


def test_no_label_at_all_is_refused() -> None:
    with pytest.raises(ValidationError, match="use_vor or use_clu"):
        SCNetConfig(use_vor=False, use_clu=False)


def test_published_colour_loss(scnet: Build, batch: Batch) -> None:
    squared = scnet().step(batch, MIDDLE).losses
    published = scnet(color_loss="absolute", color_fading="late").step(batch, MIDDLE).losses
    assert published["color"] > squared["color"]
    rest = published["vor"] + published["clu"] + 0.25 * published["cot"]
    assert published["total"] - rest == pytest.approx(0.075 * published["color"], rel=1e-3)


def test_the_pair_differs_by_seed_or_by_shape(scnet: Build) -> None:
    method = scnet()
    assert isinstance(method.pair.nets["b"], ResUNet)
    assert not same(parameters(method, "a"), parameters(method, "b"))
    assert isinstance(scnet(second_net="unet").pair.nets["b"], UNet)


def test_a_shared_decoder_paints_the_colours(scnet: Build, batch: Batch) -> None:
    method, twin = scnet(decoder="shared"), scnet(decoder="shared")
    expected = 0.0
    for side, rows in (("a", [0, 3]), ("b", [1, 2])):
        net, last = twin.pair.nets[side].train(), twin.pair.nets[f"color_{side}"].head
        seen: list[Tensor] = []
        net.head.register_forward_hook(lambda _, given, __, seen=seen: seen.append(given[0]))
        net(1 - batch.hematoxylin[rows])
        weight, bias = last.weight[:, :, 0, 0], last.bias
        logits = torch.einsum("oc,bchw->bohw", weight, seen[0]) + bias[:, None, None]
        away = (1 / (1 + (-logits).exp()) - batch.image[rows]).square().sum(dim=1)
        expected += away[batch.tissue[rows]].mean().item()
    assert method.step(batch, MIDDLE).losses["color"] == pytest.approx(expected, rel=1e-4)


def test_a_shared_decoder_leaves_the_segmentation_as_it_starts(scnet: Build) -> None:
    separate, shared = scnet(), scnet(decoder="shared")
    for side in "ab":
        assert same(parameters(separate, side), parameters(shared, side))
    assert separate.weights().keys() == shared.weights().keys()
    assert all(isinstance(scnet(decoder="shared").pair.nets[f"color_{s}"], ColorHead) for s in "ab")


def test_the_published_pair_is_a_shared_decoder_and_two_unets(scnet: Build) -> None:
    method = scnet(decoder="shared", second_net="unet")
    assert isinstance(method.pair.nets["color_a"], ColorHead)
    assert isinstance(method.pair.nets["b"], UNet)
    assert isinstance(method.pair.nets["color_b"], Colorization)


def whole(height: int = 40, width: int = 52, **planes: np.ndarray[Any, Any]) -> TrainingImage:
    rng = np.random.default_rng(1)
    shape = (height, width)
    return TrainingImage(
        name="x",
        image=rng.random((3, *shape), dtype=np.float32),
        hematoxylin=rng.random((1, *shape), dtype=np.float32),
        labels={},
        known=np.ones(shape, bool),
        tissue=np.ones(shape, bool),
        points=np.zeros((0, 2)),
        planes=planes,
    )


def test_pseudo_labels_are_averaged_every_gamma_epochs(scnet: Build) -> None:
    method = scnet(gamma=3)
    revised = [e for e in range(1, 10) if list(method.revise(replace(MIDDLE, epoch=e), [whole()]))]
    assert revised == [3, 6, 9]
    assert not list(scnet(use_cot=False).revise(replace(MIDDLE, epoch=3), [whole()]))


def test_pseudo_labels_follow_equation_5_from_the_other_network(scnet: Build) -> None:
    method = scnet(ema_alpha=0.25)
    image = whole()
    x = 1 - torch.as_tensor(image.hematoxylin)[None]
    with torch.no_grad():
        y = {s: method.pair.averages[s].module(x).softmax(1)[0, 1].numpy() for s in "ab"}
    first = {r.plane: r for r in method.revise(replace(MIDDLE, epoch=3), [image])}
    np.testing.assert_allclose(first["pseudo_a"].values, y["b"], atol=1e-6)
    np.testing.assert_allclose(first["pseudo_b"].values, y["a"], atol=1e-6)
    earlier = np.full((40, 52), 0.2, np.float32)
    later = whole(pseudo_a=earlier, pseudo_b=earlier)
    second = {r.plane: r for r in method.revise(replace(MIDDLE, epoch=6), [later])}
    np.testing.assert_allclose(second["pseudo_a"].values, 0.25 * y["b"] + 0.75 * 0.2, atol=1e-6)
    assert second["pseudo_a"].values.dtype == np.float32
    assert second["pseudo_a"].image == 0


def test_prediction_is_the_mean_and_uncertainty_the_disagreement(scnet: Build) -> None:
    method = scnet()
    for average in method.pair.averages.values():
        torch.nn.init.normal_(average.module.head.bias)
    h = torch.rand(2, 1, 21, 33, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        y_a, y_b = (method.pair.averages[s].module(1 - h).softmax(1)[:, 1] for s in "ab")
    prediction = method.predict(torch.zeros(2, 3, 21, 33), h)
    torch.testing.assert_close(prediction.probability, (y_a + y_b) / 2)
    torch.testing.assert_close(prediction.maps["uncertainty"], (y_a - y_b).abs())
    assert prediction.maps["uncertainty"].max() > 0.01


def test_only_hematoxylin_is_seen(scnet: Build) -> None:
    method, h = scnet(), torch.rand(1, 1, 16, 16)
    dark, light = (method.predict(torch.full((1, 3, 16, 16), v), h) for v in (0.0, 1.0))
    assert torch.equal(dark.probability, light.probability)


def test_learning_rate_follows_the_schedule(scnet: Build, batch: Batch) -> None:
    method = scnet(lr_schedule="steps", lr=1e-3)
    for fraction, expected in ((0.0, 1e-3), (0.31, 1e-4), (0.95, 1e-6)):
        method.step(batch, replace(MIDDLE, fraction=fraction))
        assert method.pair.optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_paper_preset_is_the_paper() -> None:
    c = SCNetConfig.from_preset("paper")
    assert (c.working_mpp, c.tile, c.tile_overlap, c.crop) == (0.25, 250, 125, 224)
    assert (c.eta, c.epsilon, c.gamma, c.lr, c.weight_decay) == (1, 0.1, 3, 1e-3, 5e-4)
    assert (c.coarse, c.encoder, c.width, c.split_overlap) == ("cluster", "3-4-6-3", 64, 0)
    assert (c.decoder, c.second_net, c.stem) == ("separate", "same", "stride4")
    assert (c.epochs, c.lr_schedule, c.stains) == (100, "steps", "estimated")
    assert (c.color_loss, c.color_fading) == ("squared", "early")
    assert (c.level_stains, c.stain_jitter, c.average_weights) == (False, 0, 0)
    assert all((c.use_vor, c.use_clu, c.use_cot, c.use_color))
    assert c.label_planes() == ("voronoi", "cluster")
    assert (c.cluster_recipe, c.splitting, c.window, c.window_overlap) == (
        "paper", "components", 224, 80,
    )  # fmt: skip


def test_what_we_mend_has_its_own_preset() -> None:
    paper, ours = SCNetConfig.from_preset("paper"), SCNetConfig.from_preset("recommended")
    changed = {k for k, v in ours.model_dump().items() if v != getattr(paper, k)} - {"preset"}
    assert changed == {"cluster_recipe", "splitting", "window", "window_overlap"}


PUBLISHED: dict[str, Any] = {
    "decoder": "shared", "second_net": "unet", "cluster_recipe": "published", "stains": "fixed",
    "color_loss": "absolute", "color_fading": "late", "gamma": 5, "adam_beta2": 0.99,
    "tile_overlap": 0, "splitting": "components", "window": 224, "window_overlap": 80,
}  # fmt: skip


def test_the_published_code_can_be_asked_for(batch: Batch) -> None:
    method = SCNet(SCNetConfig.from_preset("paper", **{**PUBLISHED, **TINY}), "cpu", seed=0)
    terms = method.step(batch, MIDDLE).losses
    color = 0.1 * (1 - 0.5**2) * terms["color"]
    expected = terms["vor"] + terms["clu"] + 0.5**2 * terms["cot"] + color
    assert terms["total"] == pytest.approx(expected, rel=1e-5)
    assert method.pair.optimizer.param_groups[0]["betas"] == (0.9, 0.99)
