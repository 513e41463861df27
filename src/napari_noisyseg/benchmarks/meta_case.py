"""The network, batches and steps that `meta-step` times."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..meta import Bilevel, Inner, Loss, Outer, Settings, assign
from ..nets import build
from ..noise.simulate import dilate
from .tissue import fields
from .trainings import CPU_THREADS

BATCH, SIDE, IMAGES = 8, 128, 4
RATE = 1e-3
"""of the network's Adam and of the virtual step (MMC: the main learning rate)"""
META_RATE = 1e-4
HIDDEN = 16
"""channels of the correction network, a 3x3 and a 1x1 convolution (MMC Table IV)"""


@dataclass(frozen=True, slots=True)
class Figures:
    """One whole step over a plain one, by the clock and by the processor; its gradient's error."""

    ratio: float
    cpu_ratio: float
    error: float
    cosine: float


class Tiles:
    """Random tiles of real tissue: standardised RGB, rough mask, true mask."""

    def __init__(self, data: Path) -> None:
        self._random = np.random.default_rng(0)
        self._images = []
        for number, field in enumerate(fields(data, "monuseg")[:IMAGES]):
            rgb, truth = field.rgb().astype(np.float32), field.truth()
            rgb = (rgb - rgb.mean((0, 1))) / rgb.std((0, 1))
            rough = dilate(truth, seed=number)
            self._images.append((rgb, (rough > 0), truth > 0))

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Image (B, 3, h, w), rough and true labels, int64 (B, h, w)."""
        tiles = [self._tile() for _ in range(BATCH)]
        image, rough, true = (torch.from_numpy(np.stack(part)) for part in zip(*tiles, strict=True))
        return build.channels_last(image.permute(0, 3, 1, 2)), rough.long(), true.long()

    def _tile(self) -> tuple[np.ndarray, ...]:
        planes = self._images[self._random.integers(len(self._images))]
        y, x = (int(self._random.integers(side - SIDE)) for side in planes[1].shape)
        return tuple(plane[y : y + SIDE, x : x + SIDE] for plane in planes)


class Case:
    """A network in training, the present batches, and steps that leave its weights alone."""

    def __init__(self, data: Path) -> None:
        torch.set_num_threads(min(CPU_THREADS, torch.get_num_threads()))
        self._tiles = Tiles(data)
        net = build.seeded(lambda: build.resunet(3, 64, "3-4-6-3", "stride4"), "cpu", 0)
        self.net: nn.Module = net.train()
        inputs = net.head.in_channels + 2 + 2
        self.correction = build.seeded(lambda: _correction(inputs), "cpu", 1)
        self._optimizer = torch.optim.Adam(self.net.parameters(), RATE)
        self._meta_optimizer = torch.optim.Adam(self.correction.parameters(), META_RATE)
        # the same work, nothing moved: every case starts from the same weights
        self._idle = torch.optim.Adam(self.net.parameters(), 0.0)
        self._meta_idle = torch.optim.Adam(self.correction.parameters(), 0.0)
        self.draw()

    def draw(self) -> None:
        """New batches, doubtful and clean."""
        self.image, self.rough, _ = self._tiles.draw()
        self.clean, _, self.true = self._tiles.draw()

    def train(self, bilevel: Bilevel | None = None) -> None:
        """One step of training: plain on new batches, or bilevel on the present ones."""
        if bilevel is None:
            self.draw()
            self.plain(self._optimizer)
        else:
            self.corrected(bilevel, False, BATCH, self._optimizer, self._meta_optimizer)

    def plain(self, optimizer: torch.optim.Optimizer | None = None) -> Tensor:
        """The yardstick: rough masks as they are."""
        optimizer = optimizer or self._idle
        optimizer.zero_grad()
        F.cross_entropy(self.net(self.image), self.rough).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return torch.zeros(1)

    def corrected(
        self,
        bilevel: Bilevel,
        live: bool,
        size: int,
        optimizer: torch.optim.Optimizer | None = None,
        meta_optimizer: torch.optim.Optimizer | None = None,
    ) -> Tensor:
        """A step of Meta Mask Correction, meta batches of `size`; dL'/dtheta, flat."""
        optimizer = optimizer or self._idle
        loss, theta = self._corrected_loss(live), list(self.correction.parameters())
        step = bilevel.step(Inner(self.image, loss, RATE), self._outer(size), theta)
        assign(theta, step.gradients)
        (meta_optimizer or self._meta_idle).step()
        optimizer.zero_grad()
        step.backward(loss)
        optimizer.step()
        return torch.cat([gradient.flatten() for gradient in step.gradients])

    def weighted(self, bilevel: Bilevel) -> Tensor:
        """A step of MLB-Seg on labels and pseudo labels; dL'/dw at 0, flat."""
        weights = torch.zeros(2, *self.rough.shape, requires_grad=True)
        inner = Inner(self.image, lambda z, _: self._weighted_loss(z, weights), RATE)
        step = bilevel.step(inner, self._outer(BATCH), [weights])
        found = (-step.gradients[0]).clamp(min=0)
        found = found / (found.sum((1, 2, 3), keepdim=True) + 1e-12)
        self._idle.zero_grad()
        step.backward(lambda z, _: self._weighted_loss(z, found))
        self._idle.step()
        return step.gradients[0].flatten()

    def measure(
        self, kind: str, cases: Mapping[str, Settings], size: int = BATCH
    ) -> dict[str, Figures]:
        """Every case in turn on the present batches, each after a plain step of its own.

        Errors are against the first of the cases.
        """
        exact = torch.empty(0)
        found: dict[str, Figures] = {}
        for name, settings in cases.items():
            plain = _clocked(self.plain)[0]
            own, gradient = _clocked(self._step(kind, settings, size))
            exact = exact if found else gradient.double()
            error, cosine = _error(gradient.double(), exact), _cosine(gradient, exact)
            found[name] = Figures(own[0] / plain[0], own[1] / plain[1], error, cosine)
        return found

    def settle(self) -> None:
        """What the first use of each kind of step sets up, before any clock runs."""
        self.plain()
        self.measure("h live", {"forward": Settings("forward"), "default": Settings()})

    def _step(self, kind: str, settings: Settings, size: int) -> Callable[[], Tensor]:
        bilevel = Bilevel(self.net, settings)
        if kind == "weights":
            return lambda: self.weighted(bilevel)
        return lambda: self.corrected(bilevel, kind == "h live", size)

    def _corrected_loss(self, live: bool) -> Loss:
        onehot = F.one_hot(self.rough, 2).permute(0, 3, 1, 2).float()

        def loss(logits: Tensor, features: Tensor) -> Tensor:
            h = torch.cat([features, logits], dim=1)
            h = h if live else h.detach()
            target = self.correction(torch.cat([h, onehot], dim=1)).softmax(dim=1)
            total: Tensor = (target * logits.log_softmax(dim=1)).sum()
            return -total / self.rough.numel()

        return loss

    def _weighted_loss(self, logits: Tensor, weights: Tensor) -> Tensor:
        labels = (self.rough, logits.detach().argmax(dim=1))
        both = [F.cross_entropy(logits, label, reduction="none") for label in labels]
        return (weights * torch.stack(both)).sum()

    def _outer(self, size: int) -> Outer:
        return Outer(self.clean[:size], lambda z, _: F.cross_entropy(z, self.true[:size]))


def _correction(inputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, HIDDEN, 3, padding=1), nn.Tanh(), nn.Conv2d(HIDDEN, 2, 1)
    )


def _clocked(step: Callable[[], Tensor]) -> tuple[tuple[float, float], Tensor]:
    clock, processor = time.perf_counter(), time.process_time()
    result = step()
    return (time.perf_counter() - clock, time.process_time() - processor), result


def _error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def _cosine(found: Tensor, exact: Tensor) -> float:
    return float(F.cosine_similarity(found.double(), exact, dim=0))


def memory_ratio(data: Path, settings: Settings) -> float:
    """Peak memory of training with bilevel steps over that with plain ones, each in a child."""
    plain, meta = (_peak_of_child(data, chosen) for chosen in (None, settings))
    return meta / plain


def _peak_of_child(data: Path, settings: Settings | None) -> float:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (data, settings))


def _peak(data: Path, settings: Settings | None) -> float:
    """Bytes that networks, optimisers and three steps add to a process that knows torch."""
    before = psutil.Process().memory_info().rss
    case = Case(data)
    bilevel = None if settings is None else Bilevel(case.net, settings)
    with _watched() as peak:
        for _ in range(3):
            case.draw()
            case.train(bilevel)
    return peak[0] - before


@contextmanager
def _watched() -> Iterator[list[float]]:
    """The largest memory of this process so far, looked at every few milliseconds."""
    process, peak, done = psutil.Process(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.003):
            peak[0] = max(peak[0], process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
