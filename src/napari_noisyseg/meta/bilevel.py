"""Bilevel gradients without double backpropagation, for any method of two levels.

The inner problem trains a network W on doubtful labels, through something theta that is itself
learned: a network that corrects them (Meta Mask Correction, Eqs. 3-7) or the weight of every pixel
(MLB-Seg, Eqs. 4-8). The outer problem asks what theta does to a clean loss one virtual step later,

    W' = W - rate dL(W, theta)/dW,      dL'(W')/dtheta = -rate d/dtheta <dL/dW, v>,

with v = dL'/dW' (papers: by backpropagation through the virtual step). Of the network's outputs o
(logits and penultimate features) L is a plain function, L(W, theta) = l(o(W), theta), so that

    dL'(W')/dtheta = -rate d/dtheta <dl/do(o, theta), o_dot>,

where o_dot, the derivative of the outputs along v, is one number an output: a forward pass, and the
only second derivative left is that of l, which holds no W. Where l takes h detached, <dl/dh, h_dot>
is zero by itself. Nothing here knows what theta is, nor what the losses are.

Differences of two passes hold what ReLUs and max poolings chose in the first: in fp32 their error
falls to a tenth, since only rounding is left at a radius where curvature is not yet felt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from napari_noisyseg.meta.passes import Kinks, Part, dual_numbers, full_precision, norm, still

Mode = Literal["exact", "forward", "difference", "decoder"]
Point = Literal["virtual", "present"]
RealStep = Literal["fresh", "lagged"]
Loss = Callable[[Tensor, Tensor], Tensor]
"""A scalar of the logits (B, K, h, w) and the penultimate features (B, channels, h, w)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a `Bilevel` computes; the defaults are the fast approximation."""

    mode: Mode = "decoder"
    """exact: double backpropagation, as in the papers; forward: o_dot by forward-mode derivatives,
    equal to exact up to rounding; difference: the same, but by a one-sided difference up to the
    last decoder blocks; decoder: v restricted to the last decoder blocks, and o_dot
    by a one-sided difference of the outputs"""
    point: Point = "present"
    """where v is taken: at W', as defined, or at W, which is the same thing where the inner
    gradient is zero (weights that start at 0) and an approximation of order `rate` elsewhere"""
    real_step: RealStep = "fresh"
    """lagged: the real step takes the inner gradient of theta before its update, so that one
    backward pass serves the virtual and the real step; theta then acts one step later"""
    blocks: int | None = 2
    """decoder: how many of the last decoder blocks v covers (None: all)"""
    entry: bool = True
    """decoder: v covers the network's first layers too, as far as they act through the first skip
    connection (the layers between are held); before a network has settled they weigh most"""
    forward_blocks: int = 2
    """difference: how many of the last decoder blocks run by forward-mode derivatives"""
    ends: bool = False
    """difference: v of the first layers and of the last `blocks` decoder blocks alone; those
    between pass changes on, but have no part of v (an approximation, for pixel weights)"""
    radius: float = 1e-5
    """difference and decoder: how far W moves for the difference, as a share of its norm"""
    every: int = 1
    """a meta step every so many steps; `Bilevel.due` says when"""


@dataclass(frozen=True, slots=True)
class Inner:
    """The doubtful batch: image (B, channels, h, w), loss with theta in it, and the rate of W'."""

    image: Tensor
    loss: Loss
    rate: float


@dataclass(frozen=True, slots=True)
class Outer:
    """The clean loss and image (B, channels, h, w), or what `Bilevel.encode` made of the image."""

    image: Tensor | Kept
    loss: Loss


class Kept(NamedTuple):
    """An image and what `encode` made of it."""

    image: Tensor
    encoded: Any


@dataclass(slots=True)
class Step:
    """What a step knows: hand `gradients` to theta's optimiser, then call `backward`.

    outputs: (logits, features) of the doubtful batch, with their graph unless the step is lagged;
    gradients: dL'/dtheta, in theta's order (empty: no meta step); inner, outer: losses, detached.
    """

    outputs: tuple[Tensor, Tensor]
    gradients: tuple[Tensor, ...]
    inner: Tensor
    outer: Tensor | None
    _parameters: list[Tensor]
    _lagged: Sequence[Tensor] | None = None

    def backward(self, loss: Loss) -> Tensor:
        """Adds dL/dW of the real step to the network's `.grad`; the loss, detached.

        Fresh: of loss(*outputs), which may differ from the inner loss, through the graph that the
        step kept. Lagged: of the inner loss as it was before theta moved; `loss` is not called.
        """
        if self._lagged is None:
            value = loss(*self.outputs)
            value.backward(inputs=self._parameters)  # type: ignore[no-untyped-call]
            return value.detach()
        for parameter, gradient in zip(self._parameters, self._lagged, strict=True):
            known = parameter.grad
            parameter.grad = gradient if known is None else known.add_(gradient)
        return self.inner


def assign(theta: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
    """Makes the gradients the `.grad` of theta, for an optimiser."""
    for tensor, gradient in zip(theta, gradients, strict=True):
        tensor.grad = gradient


class Bilevel:
    """Bilevel gradients of one network; holds no state between steps.

    The network can be run in two parts: encode(x, blocks) is all but the last `blocks` blocks of
    its decoder (None: all of them) and the head, decode(encode(x, blocks)) gives (logits,
    penultimate features), and tail(blocks) lists the modules that decode runs then. What encode
    gives is a named tuple; the first of its `maps` is first(x), made by the modules entry().

    Every pass runs as the network stands (normalise by batch: put it in train mode), and of all of
    them the one over the doubtful batch alone moves the running statistics, once a step. The
    network must be deterministic (no dropout), as its outputs are compared between passes. A meta
    step computes in full precision, whatever autocast says.
    """

    def __init__(self, net: nn.Module, settings: Settings) -> None:
        self.settings = settings
        self._net: Any = net
        self._parts = {part: Part(net, part) for part in ("encode", "decode", "first")}
        self._names: dict[str, Tensor] = {
            n: p for n, p in net.named_parameters() if p.requires_grad
        }
        taking_part = {id(p) for module in self._taking_part() for p in module.parameters()}
        self._moved = [name for name, p in self._names.items() if id(p) in taking_part]

    def due(self, step: int) -> bool:
        """Whether this step is a meta step (`settings.every`)."""
        return step % self.settings.every == 0

    def encode(self, image: Tensor) -> Kept:
        """What `Outer` may hold instead of the image, to be used again (mode decoder).

        The encoder moves on meanwhile: encode again every few dozen steps.
        """
        with torch.no_grad(), still(self._net):
            return Kept(image, self._net.encode(image, self._split))

    def plain(self, inner: Inner) -> Step:
        """A step without a meta step: `backward` is all that is left to do."""
        outputs = self._net.decode(self._net.encode(inner.image))
        value = inner.loss(*outputs).detach()
        return Step(outputs, (), value, None, list(self._names.values()))

    def step(self, inner: Inner, outer: Outer, theta: Sequence[Tensor]) -> Step:
        """dL'/dtheta of the clean loss after a virtual step, and what the real step needs."""
        with full_precision(inner.image):
            exact = self.settings.mode == "exact"
            return (self._exact if exact else self._fast)(inner, outer, theta)

    def _fast(self, inner: Inner, outer: Outer, theta: Sequence[Tensor]) -> Step:
        """By a directional derivative, as the settings say."""
        if self.settings.point == "present":
            direction, clean = self._direction(outer, self._present())
            pass_ = self._forward(inner)
            gradient = self._inner_gradient(pass_) if self._lagged else None
        else:
            pass_ = self._forward(inner)
            gradient = self._inner_gradient(pass_)
            direction, clean = self._direction(outer, self._virtual(gradient, inner.rate))
        gradients = self._gradients(pass_, self._tangent(inner, pass_, direction), theta)
        scaled = tuple(torch._foreach_mul(gradients, -inner.rate))
        outputs = pass_.outputs
        kept = gradient if self._lagged else None
        return Step(outputs, scaled, pass_.loss.detach(), clean, self._parameters, kept)

    @property
    def _parameters(self) -> list[Tensor]:
        return list(self._names.values())

    @property
    def _lagged(self) -> bool:
        return self.settings.real_step == "lagged"

    def _taking_part(self) -> list[nn.Module]:
        """The modules whose part of v is taken."""
        ends = self.settings.mode == "difference" and self.settings.ends
        if self.settings.mode != "decoder" and not ends:
            return [self._net]
        first = self._net.entry() if ends or self.settings.entry else []
        return [*first, *self._net.tail(self.settings.blocks)]

    def _exact(self, inner: Inner, outer: Outer, theta: Sequence[Tensor]) -> Step:
        """Backpropagation through the virtual step (MMC Eq. 5, MLB-Seg Eq. 6)."""
        outputs = self._net.decode(self._net.encode(inner.image))
        loss = inner.loss(*outputs)
        gradient = torch.autograd.grad(loss, self._parameters, create_graph=True)
        moved = torch._foreach_add(self._parameters, gradient, alpha=-inner.rate)
        virtual = dict(zip(self._names, moved, strict=True))
        with still(self._net):
            clean = outer.loss(*self._run(virtual, outer.image))
        gradients = torch.autograd.grad(
            clean, list(theta), retain_graph=not self._lagged, materialize_grads=True
        )
        kept = [g.detach() for g in gradient] if self._lagged else None
        return Step(outputs, gradients, loss.detach(), clean.detach(), self._parameters, kept)

    def _forward(self, inner: Inner) -> _Pass:
        """The doubtful batch, once, with the graph of W; the loss on a copy of the outputs."""
        with Kinks() as before:
            encoded = self._net.encode(inner.image, self._split)
        with Kinks() as after:
            outputs = self._net.decode(encoded)
        copies = tuple(o.detach().requires_grad_() for o in outputs)
        loss = inner.loss(*copies)
        slopes = torch.autograd.grad(loss, copies, create_graph=True, materialize_grads=True)
        return _Pass(encoded, outputs, loss, slopes, before.taken, after.taken)

    @property
    def _split(self) -> int | None:
        """How many blocks `decode` is left with."""
        return {"decoder": self.settings.blocks, "difference": self.settings.forward_blocks}.get(
            self.settings.mode
        )

    def _inner_gradient(self, pass_: _Pass) -> Sequence[Tensor]:
        """dL/dW of the doubtful batch, (W's order)."""
        return torch.autograd.grad(
            pass_.outputs,
            self._parameters,
            [slope.detach() for slope in pass_.slopes],
            retain_graph=not self._lagged,
        )

    def _present(self) -> dict[str, Tensor]:
        return {name: p.detach() for name, p in self._names.items()}

    def _virtual(self, gradient: Sequence[Tensor], rate: float) -> dict[str, Tensor]:
        """W' = W - rate dL/dW (MMC Eq. 3, MLB-Seg Eq. 4)."""
        with torch.no_grad():
            moved = torch._foreach_add(self._parameters, list(gradient), alpha=-rate)
        return dict(zip(self._names, moved, strict=True))

    def _direction(
        self, outer: Outer, point: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """v, the gradient of the clean loss at `point` (of the last blocks only in `decoder`)."""
        leaves = {name: point[name].requires_grad_() for name in self._moved}
        with still(self._net):
            loss = outer.loss(*self._run({**point, **leaves}, outer.image))
        found = torch.autograd.grad(loss, list(leaves.values()))
        return dict(zip(leaves, found, strict=True)), loss.detach()

    def _run(self, weights: Mapping[str, Tensor], image: Any) -> tuple[Tensor, Tensor]:
        """The outputs at other weights; in `decoder` without a graph of the layers between."""
        if self.settings.mode == "decoder":
            kept = image
            if isinstance(image, Tensor):
                with torch.no_grad():
                    kept = Kept(image, self._part("encode", weights, image, self._split))
            return self._decode(weights, kept)
        if isinstance(image, Kept):
            raise ValueError("encoded clean images hold no gradient: only mode decoder takes them")
        encoded = self._part("encode", weights, image, self._split)
        outputs: tuple[Tensor, Tensor] = self._part("decode", weights, encoded)
        return outputs

    def _decode(
        self, weights: Mapping[str, Tensor], kept: Kept, known: _Pass | None = None
    ) -> tuple[Tensor, Tensor]:
        """The outputs of the first and the last layers again, those between as they were."""
        encoded = kept.encoded
        begin, end = (None, None) if known is None else (known.encoder_kinks, known.decoder_kinks)
        if self.settings.entry and len(encoded.maps) > 1:
            with Kinks(begin):
                first = self._part("first", weights, kept.image)
            encoded = encoded._replace(maps=(first, *encoded.maps[1:]))
        with Kinks(end):
            outputs: tuple[Tensor, Tensor] = self._part("decode", weights, encoded)
        return outputs

    def _part(self, part: str, weights: Mapping[str, Tensor], *inputs: Any) -> Any:
        replaced = {f"net.{name}": value for name, value in weights.items()}
        return functional_call(self._parts[part], replaced, inputs)

    @torch.no_grad()
    def _tangent(
        self, inner: Inner, pass_: _Pass, direction: dict[str, Tensor]
    ) -> Sequence[Tensor]:
        """o_dot: the derivative of the doubtful batch's outputs along v."""
        with still(self._net):
            if self.settings.mode == "forward":
                return self._forward_mode(direction, lambda dual: self._run(dual, inner.image))
            moved, step = self._moved_along(direction)
            if self.settings.mode == "decoder":
                there = self._decode(moved, Kept(inner.image, pass_.encoded), pass_)
                return _slopes(there, pass_.outputs, step)
            with Kinks(pass_.encoder_kinks):
                maps = self._part("encode", moved, inner.image, self._split).maps
        slopes = _slopes(maps, pass_.encoded.maps, step)
        return self._through_last_blocks(pass_, direction, slopes)

    def _through_last_blocks(
        self, pass_: _Pass, direction: dict[str, Tensor], slopes: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Forward mode from the feature maps on, whose derivatives along v are given."""
        make: Any = dual_numbers().make_dual
        maps = pass_.encoded.maps

        def run(dual: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
            both = tuple(make(m.detach(), s) for m, s in zip(maps, slopes, strict=True))
            outputs: tuple[Tensor, Tensor] = self._part(
                "decode", dual, pass_.encoded._replace(maps=both)
            )
            return outputs

        tail = {id(p) for m in self._net.tail(self._split) for p in m.parameters()}
        last = {name: v for name, v in direction.items() if id(self._names[name]) in tail}
        with still(self._net):
            return self._forward_mode(last, run)

    def _moved_along(self, direction: dict[str, Tensor]) -> tuple[dict[str, Tensor], float]:
        """W a little further along `direction`, and by how much of it."""
        here = [self._names[name].detach() for name in direction]
        step = self.settings.radius * norm(here) / max(norm(direction.values()), 1e-30)
        moved = torch._foreach_add(here, list(direction.values()), alpha=step)
        return dict(zip(direction, moved, strict=True)), step

    def _forward_mode(
        self,
        direction: dict[str, Tensor],
        run: Callable[[Mapping[str, Tensor]], tuple[Tensor, Tensor]],
    ) -> Sequence[Tensor]:
        """The derivatives along `direction` of what `run` makes of dual weights."""
        numbers = dual_numbers()
        with numbers.dual_level():
            dual = {
                name: numbers.make_dual(self._names[name].detach(), v)
                for name, v in direction.items()
            }
            tangents = [numbers.unpack_dual(output).tangent for output in run(dual)]
        return [t if t is not None else torch.zeros(()) for t in tangents]

    @staticmethod
    def _gradients(
        pass_: _Pass, tangents: Sequence[Tensor], theta: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """d/dtheta of <dl/do, o_dot>, the sum of both outputs' parts."""
        total = sum((s * t).sum() for s, t in zip(pass_.slopes, tangents, strict=True))
        assert isinstance(total, Tensor)
        return torch.autograd.grad(total, list(theta), materialize_grads=True)


@dataclass(frozen=True, slots=True)
class _Pass:
    """The doubtful batch's pass: `slopes` are dl/do, with the graph of theta."""

    encoded: Any
    outputs: tuple[Tensor, Tensor]
    loss: Tensor
    slopes: tuple[Tensor, ...]
    encoder_kinks: list[Tensor]
    decoder_kinks: list[Tensor]


def _slopes(after: Sequence[Tensor], before: Sequence[Tensor], step: float) -> list[Tensor]:
    return [(a - b.detach()) / step for a, b in zip(after, before, strict=True)]
