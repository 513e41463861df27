"""Bilevel gradients against double backpropagation written out here, on tiny nets in fp64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from napari_noisyseg import meta
from napari_noisyseg.meta import Bilevel, Inner, Outer, Settings
from napari_noisyseg.nets.resunet import ResUNet
from napari_noisyseg.nets.unet import UNet

RATE = 0.1
MODES: tuple[meta.Mode, ...] = ("exact", "forward", "difference", "decoder")


class Correction(nn.Module):
    """g_theta(h, y'): a soft target from features, logits and the rough mask."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(features + 4, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 2, 1)
        )

    def forward(self, h: Tensor, rough: Tensor) -> Tensor:
        onehot = F.one_hot(rough, 2).permute(0, 3, 1, 2).to(h.dtype)
        return self.layers(torch.cat([h, onehot], dim=1)).softmax(dim=1)


class Case:
    """A doubtful and a clean batch, a network in train mode, and theta."""

    def __init__(self, net: nn.Module, images: Tensor, rough: Tensor, true: Tensor) -> None:
        half = len(images) // 2
        self.net = net.to(images.dtype).train()
        self.x, self.rough = images[:half], rough[:half].long()
        self.clean, self.true = images[half:], true[half:].long()
        features = self.net.head.in_channels
        self.correction = Correction(int(features)).to(images.dtype)
        self.rate = RATE

    def corrected(self, live: bool) -> Callable[[Tensor, Tensor], Tensor]:
        def loss(logits: Tensor, features: Tensor) -> Tensor:
            h = torch.cat([features, logits], dim=1)
            target = self.correction(h if live else h.detach(), self.rough)
            return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()

        return loss

    def weighted(self, weights: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        def loss(logits: Tensor, features: Tensor) -> Tensor:
            other = 1 - self.rough
            both = [F.cross_entropy(logits, y, reduction="none") for y in (self.rough, other)]
            return (weights * torch.stack(both)).sum()

        return loss

    def outer(self, logits: Tensor, features: Tensor) -> Tensor:
        return F.cross_entropy(logits, self.true)

    def step(self, loss: meta.Loss, theta: Sequence[Tensor], **settings: Any) -> meta.Step:
        settings = {"point": "virtual", "blocks": None, **settings}
        inner, outer = Inner(self.x, loss, self.rate), Outer(self.clean, self.outer)
        return Bilevel(self.net, Settings(**settings)).step(inner, outer, theta)

    @property
    def theta(self) -> list[Tensor]:
        return list(self.correction.parameters())


def random_case(kind: str = "resunet") -> Case:
    torch.manual_seed(3)
    nets = {
        "resunet": lambda: ResUNet(1, 2, 6, (1, 1), "stride2"),
        "stride4": lambda: ResUNet(1, 2, 6, (1, 1)),
        "unet": lambda: UNet(1, 2, 4, 2),
    }
    net = nets[kind]()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    labels = torch.randint(0, 2, (2, 6, 22, 26))
    return Case(net, torch.rand(6, 1, 22, 26).double(), labels[0], labels[1])


def tissue_case(rgb: NDArray[np.uint8], nuclei: NDArray[np.int32], steps: int = 60) -> Case:
    """Eight tiles of real tissue in fp32; the net has trained on the rough masks for a while."""
    torch.manual_seed(0)
    corners = [(y, x) for y in (0, 128, 256, 384) for x in (64, 320)]
    tiles = np.stack([rgb[y : y + 64, x : x + 64] for y, x in corners]).astype(np.float32)
    images = torch.from_numpy((tiles - tiles.mean()) / tiles.std()).permute(0, 3, 1, 2)
    true = torch.from_numpy(
        np.stack([nuclei[y : y + 64, x : x + 64] > 0 for y, x in corners]).astype(np.uint8)
    )
    rough = F.max_pool2d(true[:, None].float(), 5, 1, padding=2)[:, 0].byte()
    net = ResUNet(3, 2, 16, (1, 1, 1))
    case = Case(net, images, rough, true)
    case.rate = 1e-3
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(case.x), case.rough).backward()
        optimizer.step()
    return case


def outputs(net: nn.Module, weights: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and what the head was given, of one ordinary forward pass."""
    seen: list[Tensor] = []
    handle = net.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    logits = functional_call(net, weights, (x,))
    handle.remove()
    height, width = logits.shape[-2:]
    return logits, seen[0][..., :height, :width]


def double_backward(case: Case, loss: meta.Loss, theta: Sequence[Tensor]) -> list[Tensor]:
    """The papers' way: W' as a function of theta, and the clean loss's gradient through it."""
    net = deepcopy(case.net)
    weights = dict(net.named_parameters())
    inner = loss(*outputs(net, weights, case.x))
    slopes = torch.autograd.grad(inner, list(weights.values()), create_graph=True)
    moved = {k: w - case.rate * s for (k, w), s in zip(weights.items(), slopes, strict=True)}
    clean = case.outer(*outputs(net, moved, case.clean))
    return list(torch.autograd.grad(clean, list(theta)))


def error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Relative to the whole of theta."""
    a, b = (torch.cat([g.flatten().double() for g in gs]) for gs in (found, expected))
    return float((a - b).norm() / b.norm())


def cosine(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    a, b = (torch.cat([g.flatten().double() for g in gs]) for gs in (found, expected))
    return float(F.cosine_similarity(a, b, dim=0))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("kind", ["resunet", "stride4", "unet"])
@pytest.mark.parametrize("mode", ["exact", "forward"])
def test_corrected_targets_equal_double_backpropagation(mode: str, kind: str, live: bool) -> None:
    case = random_case(kind)
    expected = double_backward(case, case.corrected(live), case.theta)
    found = case.step(case.corrected(live), case.theta, mode=mode)
    assert error(found.gradients, expected) < 1e-11


@pytest.mark.parametrize("mode", ["exact", "forward"])
@pytest.mark.parametrize("point", ["virtual", "present"])
def test_pixel_weights_at_zero_equal_double_backpropagation(mode: str, point: str) -> None:
    case = random_case()
    weights = torch.zeros(2, *case.rough.shape, dtype=torch.float64, requires_grad=True)
    expected = double_backward(case, case.weighted(weights), [weights])
    found = case.step(case.weighted(weights), [weights], mode=mode, point=point)
    assert error(found.gradients, expected) < 1e-11


def test_live_features_change_the_gradient() -> None:
    case = random_case()
    detached, live = (double_backward(case, case.corrected(h), case.theta) for h in (False, True))
    assert error(detached, live) > 0.01


def test_a_method_of_another_kind_needs_nothing_new() -> None:
    """Theta: how far labels are smoothed, and one weight an image."""
    case = random_case()
    smooth = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    weight = torch.ones(len(case.x), 1, 1, dtype=torch.float64, requires_grad=True)

    def loss(logits: Tensor, features: Tensor) -> Tensor:
        onehot = F.one_hot(case.rough, 2).permute(0, 3, 1, 2)
        target = (1 - smooth) * onehot + smooth / 2
        return -(weight * (target * logits.log_softmax(dim=1)).sum(dim=1)).mean()

    expected = double_backward(case, loss, [smooth, weight])
    found = case.step(loss, [smooth, weight], mode="forward")
    assert error(found.gradients, expected) < 1e-11


@pytest.mark.parametrize("live", [False, True])
def test_difference_errs_in_proportion_to_its_radius(live: bool) -> None:
    """Through ReLUs that switch on the way it would err by its square root."""
    case = random_case()
    expected = double_backward(case, case.corrected(live), case.theta)
    errors = [
        error(
            case.step(case.corrected(live), case.theta, mode="difference", radius=r).gradients,
            expected,
        )
        for r in (1e-2, 1e-4, 1e-6)
    ]
    assert errors[0] < 0.1
    assert errors[1] < 0.02 * errors[0]
    assert errors[2] < 0.02 * errors[1]


@pytest.mark.parametrize("entry", [False, True])
@pytest.mark.parametrize("kind", ["resunet", "stride4", "unet"])
@pytest.mark.parametrize("blocks", [None, 2])
def test_decoder_is_the_part_of_first_and_last_layers(
    kind: str, blocks: int | None, entry: bool
) -> None:
    """That of the network whose layers between are constants."""
    case = random_case(kind)
    loss, moved = case.corrected(live=True), deepcopy(case.net)
    slopes = real_gradient(case, loss)
    with torch.no_grad():
        for parameter, slope in zip(moved.parameters(), slopes, strict=True):
            parameter -= RATE * slope

    def part(net: Any, x: Tensor) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
        modules = [*(net.entry() if entry else []), *net.tail(blocks)]
        with torch.no_grad():
            encoded = net.encode(x, blocks)
        if entry:
            encoded = encoded._replace(maps=(net.first(x), *encoded.maps[1:]))
        return net.decode(encoded), [p for module in modules for p in module.parameters()]

    result, chosen = part(case.net, case.x)
    inner = torch.autograd.grad(loss(*result), chosen, create_graph=True)
    clean, same = part(moved, case.clean)
    v = torch.autograd.grad(case.outer(*clean), same)
    along = sum((a * b).sum() for a, b in zip(inner, v, strict=True))
    expected = [-RATE * g for g in torch.autograd.grad(along, case.theta)]
    settings = {"mode": "decoder", "blocks": blocks, "entry": entry, "radius": 1e-7}
    assert error(case.step(loss, case.theta, **settings).gradients, expected) < 1e-4


@pytest.mark.parametrize("kind", ["stride4", "unet"])
@pytest.mark.parametrize("forward_blocks", [0, 2])
def test_ends_are_the_part_of_their_own_weights(kind: str, forward_blocks: int) -> None:
    case = random_case(kind)
    weights = torch.zeros(2, *case.rough.shape, dtype=torch.float64, requires_grad=True)
    loss, net = case.weighted(weights), deepcopy(case.net)
    names = dict(net.named_parameters())
    ends = {id(p) for m in (*net.entry(), *net.tail(1)) for p in m.parameters()}
    chosen = [p for p in names.values() if id(p) in ends]
    inner = loss(*outputs(net, names, case.x))
    slopes = torch.autograd.grad(inner, chosen, create_graph=True)
    v = torch.autograd.grad(case.outer(*outputs(net, names, case.clean)), chosen)
    along = sum((a * b).sum() for a, b in zip(slopes, v, strict=True))
    expected = -RATE * torch.autograd.grad(along, weights)[0]
    how = {"blocks": 1, "ends": True, "forward_blocks": forward_blocks, "radius": 1e-7}
    found = case.step(loss, [weights], mode="difference", point="present", **how)
    assert error(found.gradients, [expected]) < 1e-4


@pytest.mark.parametrize("mode", ["exact", *MODES])
def test_half_precision_does_not_drown_the_difference(
    tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]], mode: str
) -> None:
    case = tissue_case(*tnbc, steps=2)
    loss = case.corrected(live=True)
    plain = case.step(loss, case.theta, mode=mode).gradients
    with torch.autocast("cpu", torch.bfloat16):
        found = case.step(loss, case.theta, mode=mode).gradients
    assert error(found, plain) < 1e-6


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", ["virtual", "present"])
@pytest.mark.parametrize("real_step", ["fresh", "lagged"])
def test_one_pass_moves_the_running_statistics(mode: str, point: str, real_step: str) -> None:
    case = random_case()
    once = deepcopy(case.net)
    once(case.x)
    weights = {name: p.clone() for name, p in case.net.named_parameters()}
    settings = {"mode": mode, "point": point, "real_step": real_step}
    case.step(case.corrected(True), case.theta, **settings).backward(case.corrected(True))
    for name, buffer in case.net.named_buffers():
        assert torch.equal(buffer, once.get_buffer(name)), name
    assert all(torch.equal(p, weights[name]) for name, p in case.net.named_parameters())
    assert all(m.track_running_stats for m in case.net.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("real_step", ["fresh", "lagged"])
def test_real_step_is_of_theta_after_or_before_its_update(mode: str, real_step: str) -> None:
    case = random_case()
    loss = case.corrected(live=True)
    before = real_gradient(case, loss)
    step = case.step(loss, case.theta, mode=mode, real_step=real_step)
    with torch.no_grad():
        for tensor, gradient in zip(case.theta, step.gradients, strict=True):
            tensor -= 10 * gradient
    after = real_gradient(case, loss)
    assert error(before, after) > 1e-4
    step.backward(loss)
    found = [p.grad for p in case.net.parameters() if p.grad is not None]
    assert error(found, after if real_step == "fresh" else before) < 1e-11


def real_gradient(case: Case, loss: meta.Loss) -> list[Tensor]:
    net = deepcopy(case.net)
    weights = dict(net.named_parameters())
    value = loss(*outputs(net, weights, case.x))
    return list(torch.autograd.grad(value, list(weights.values())))


def test_real_step_adds_to_gradients_that_are_there() -> None:
    case = random_case()
    loss = case.corrected(live=False)
    alone = real_gradient(case, loss)
    for parameter in case.net.parameters():
        parameter.grad = torch.ones_like(parameter)
    case.step(loss, case.theta, real_step="lagged").backward(loss)
    found = [p.grad - 1 for p in case.net.parameters() if p.grad is not None]
    assert error(found, alone) < 1e-11


def test_plain_step_is_the_real_step_alone() -> None:
    case = random_case()
    loss = case.corrected(live=True)
    expected = real_gradient(case, loss)
    bilevel = Bilevel(case.net, Settings(every=3))
    assert [bilevel.due(step) for step in range(4)] == [True, False, False, True]
    step = bilevel.plain(Inner(case.x, loss, RATE))
    step.backward(loss)
    assert step.gradients == ()
    assert error([p.grad for p in case.net.parameters() if p.grad is not None], expected) < 1e-11


def test_clean_features_may_be_kept() -> None:
    case = random_case()
    loss = case.corrected(live=False)
    fresh = case.step(loss, case.theta, mode="decoder", point="present")
    assert error(fresh.gradients, double_backward(case, loss, case.theta)) < 1
    bilevel = Bilevel(case.net, Settings(mode="decoder", point="present", blocks=None))
    kept = bilevel.encode(case.clean)
    inner = Inner(case.x, loss, RATE)
    found = bilevel.step(inner, Outer(kept, case.outer), case.theta)
    again = bilevel.step(inner, Outer(kept, case.outer), case.theta)
    assert error(found.gradients, fresh.gradients) < 1e-11
    assert error(again.gradients, fresh.gradients) < 1e-11
    with pytest.raises(ValueError, match="decoder"):
        Bilevel(case.net, Settings("exact")).step(inner, Outer(kept, case.outer), case.theta)


def test_theta_descends_the_clean_loss() -> None:
    """A step of theta along its gradient lowers the clean loss after the virtual step."""
    case = random_case()
    case.rate = 1.0
    loss = case.corrected(live=False)
    step = case.step(loss, case.theta, mode="difference")

    def virtual_loss() -> float:
        weights = dict(case.net.named_parameters())
        moved = {
            k: w.detach() - case.rate * s
            for (k, w), s in zip(weights.items(), real_gradient(case, loss), strict=True)
        }
        return float(case.outer(*outputs(deepcopy(case.net), moved, case.clean)).detach())

    before = virtual_loss()
    size = sum(float(g.square().sum()) for g in step.gradients)
    with torch.no_grad():
        for tensor, gradient in zip(case.theta, step.gradients, strict=True):
            tensor -= 1e-3 / size**0.5 * gradient
    assert before - virtual_loss() == pytest.approx(1e-3 * size**0.5, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("live", [False, True])
def test_fast_modes_stay_near_on_tissue(
    tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]], live: bool
) -> None:
    case = tissue_case(*tnbc)
    expected = double_backward(case, case.corrected(live), case.theta)

    def found(**settings: Any) -> Sequence[Tensor]:
        return case.step(case.corrected(live), case.theta, **settings).gradients

    assert error(found(mode="forward"), expected) < 1e-4
    assert error(found(mode="difference"), expected) < 2e-3
    assert error(found(mode="difference", forward_blocks=0), expected) < 0.05
    assert cosine(found(mode="decoder", point="present"), expected) > 0.95


@pytest.mark.slow
def test_fast_pixel_weights_stay_near_on_tissue(
    tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]],
) -> None:
    case = tissue_case(*tnbc)
    weights = torch.zeros(2, *case.rough.shape, requires_grad=True)
    expected = double_backward(case, case.weighted(weights), [weights])
    found = case.step(case.weighted(weights), [weights], mode="difference", point="present")
    assert cosine(found.gradients, expected) > 0.9999
