"""`overhead`: share of a training step outside the networks' forward, backward and optimiser."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn

from .. import registry
from ..data.loader import TrainingData
from ..data.prepare import training_image
from ..data.regions import region_of
from ..method import Method, MethodConfig, Preset, Progress, TrainingImage
from .report import Report, Row
from .tissue import fields, inner_points
from .trainings import CPU_THREADS

WARM_UP, STEPS = 5, 40
ENTRIES = ("forward", "encode", "decode")
"""ways into a network: some are run in two parts, past `forward`"""


class Clock:
    """Seconds spent inside the networks, their backward and their optimiser."""

    def __init__(self, device: str) -> None:
        self.seconds, self._device, self._depth, self._since = 0.0, device, 0, 0.0

    def start(self, *_: object) -> None:
        """Enter; what is inside already counts once."""
        if not self._depth:
            self.wait()
            self._since = time.perf_counter()
        self._depth += 1

    def stop(self, *_: object) -> None:
        """Leave."""
        self._depth -= 1
        if not self._depth:
            self.wait()
            self.seconds += time.perf_counter() - self._since

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self._device == "cuda":
            torch.cuda.synchronize()

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with its time counted."""

        def timed(*words: Any, **more: Any) -> Any:
            self.start()
            try:
                return function(*words, **more)
            finally:
                self.stop()

        return timed


def run(data: Path, full: bool) -> Report:
    """SC-Net on one field of MoNuSeg: `small` on the CPU, `paper` on a GPU where there is one."""
    torch.set_num_threads(CPU_THREADS)
    cases: list[tuple[Preset, str]] = [("small", "cpu")]
    if torch.cuda.is_available():
        cases.append(("paper", "cuda"))
    rows = [_measure(data, preset, device) for preset, device in cases]
    figures = {"outside_share": float(str(rows[0]["outside_share"]))}
    if len(rows) > 1:
        figures["outside_share_gpu"] = float(str(rows[1]["outside_share"]))
    return Report("overhead", figures, rows)


def _measure(data: Path, preset: Preset, device: str) -> Row:
    kind = registry.load("scnet")
    config = kind.Config.from_preset(preset)
    method: Any = kind(config, device, 0)
    loader = TrainingData([_image(data, config, kind)], config, kind.needs, device)
    clock = Clock(device)
    shares, seconds = [], []
    with _counted(method.pair, clock):
        for step in range(WARM_UP + STEPS):
            clock.seconds, began = 0.0, time.perf_counter()
            batch = loader.batch(0, step, config.batch_size)
            method.step(batch, Progress(0, 1, step, step / (WARM_UP + STEPS)))
            clock.wait()
            seconds.append(time.perf_counter() - began)
            shares.append(1 - clock.seconds / seconds[-1])
    return {
        "preset": preset,
        "device": device,
        "step_seconds": statistics.median(seconds[WARM_UP:]),
        "outside_share": statistics.median(shares[WARM_UP:]),
    }


def _image(data: Path, config: MethodConfig, kind: type[Method]) -> TrainingImage:
    field = fields(data, "monuseg")[0]
    region = region_of(field.rgb(), field.mpp, points=inner_points(field.truth()))
    return training_image(region, config, kind.needs.labels)


@contextmanager
def _counted(method: Any, clock: Clock) -> Iterator[None]:
    """Every network of the method, `backward` and the optimiser's step report to the clock."""
    tops = [net for value in vars(method).values() for net in _networks(value)]
    entries = [(net, name) for net in tops for name in ENTRIES if hasattr(net, name)]
    backward = clock.wrap(torch.Tensor.backward)
    optimise = clock.wrap(method.optimizer.step)
    with ExitStack() as patches:
        for net, name in entries:
            timed = clock.wrap(getattr(net, name))
            patches.enter_context(mock.patch.object(net, name, timed))
        patches.enter_context(
            mock.patch.object(torch.Tensor, "backward", lambda *a, **k: backward(*a, **k))
        )
        patches.enter_context(mock.patch.object(method.optimizer, "step", optimise))
        yield


def _networks(value: object) -> list[nn.Module]:
    if isinstance(value, nn.ModuleDict):
        return list(value.values())
    return [value] if isinstance(value, nn.Module) else []
