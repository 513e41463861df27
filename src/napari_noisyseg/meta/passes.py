"""Passes of a network beside those that train it: statistics that stay, ReLUs that hold."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode


class Kinks(TorchFunctionMode):
    """Which side of every ReLU, and which pixel of every max pooling, a pass took.

    Given what an earlier pass took, this one takes the same: between two passes near each other
    the network is then smooth, so that their difference is its derivative up to the step's size,
    not to the square root of it.
    """

    def __init__(self, again: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self.taken: list[Tensor] = []
        self._again = None if again is None else iter(again)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """ReLU and max pooling, recorded or as recorded; every other function as it is."""
        words = kwargs or {}
        if func in _RELUS:
            return self._relu(func, args, words)
        if func is F.max_pool2d:
            return self._pool(args, words)
        return func(*args, **words)

    def _relu(self, func: Any, args: Sequence[Any], words: Mapping[str, Any]) -> Tensor:
        if self._again is not None:
            return args[0] * next(self._again)  # type: ignore[no-any-return]
        result: Tensor = func(*args, **words)
        self.taken.append(result.detach() > 0)
        return result

    def _pool(self, args: Sequence[Any], words: Mapping[str, Any]) -> Tensor:
        if self._again is not None:
            index = next(self._again)
            taken = args[0].flatten(2).gather(2, index.flatten(2)).view(index.shape)
            # in the memory order of the first pass, so that both round alike
            return torch.empty_like(index, dtype=taken.dtype).copy_(taken)
        result: tuple[Tensor, Tensor] = F.max_pool2d(*args, **{**words, "return_indices": True})
        self.taken.append(result[1])
        return result[0]


_RELUS = (F.relu, torch.relu, torch.relu_)


class Part(nn.Module):
    """One part of a network as a module, which is what `functional_call` can call."""

    def __init__(self, net: nn.Module, part: str) -> None:
        super().__init__()
        self.net, self.part = net, part

    def forward(self, *inputs: Any) -> Any:
        """The part's own result."""
        return getattr(self.net, self.part)(*inputs)


def norm(tensors: Iterable[Tensor]) -> float:
    """The norm of all of them together."""
    return float(torch.stack(torch._foreach_norm(list(tensors))).norm())


def dual_numbers() -> Any:
    """Forward-mode derivatives; their first use imports what torch itself calls deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._decomp.decompositions_for_jvp")
    return forward_ad


def full_precision(x: Tensor) -> torch.autocast:
    """Whatever reads x here computes as x is stored: half precision would drown a difference."""
    return torch.autocast(x.device.type, enabled=False)


@contextmanager
def still(net: nn.Module) -> Iterator[None]:
    """Normalisation goes on as it was, but its running statistics do not move."""
    tracking: list[Any] = [
        m for m in net.modules() if m.training and getattr(m, "track_running_stats", False)
    ]
    for module in tracking:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True
