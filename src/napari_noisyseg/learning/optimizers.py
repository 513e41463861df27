"""Optimisers as settings name them: their learning rates, and their state for checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from napari_noisyseg import losses


def of_settings(settings: Any, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The rule that `optimizer`, `lr`, `momentum` and `weight_decay` of the settings name."""
    c = settings
    if c.optimizer == "adam":
        return torch.optim.Adam(weights, c.lr, weight_decay=c.weight_decay)
    return torch.optim.SGD(weights, c.lr, c.momentum, weight_decay=c.weight_decay)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of every group, in place."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def rate_of(settings: Any, fraction: float, every: float = 0.3) -> float:
    """The learning rate that `lr` and `lr_schedule` of the settings say at N / N_max.

    every: share of the schedule after which "steps" divides it by ten; else a cosine.
    """
    if settings.lr_schedule == "steps":
        return losses.stepped_rate(fraction, settings.lr, every)
    return losses.cosine_rate(fraction, settings.lr)


def state_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """`optimizer.state_dict()` with text for keys, as checkpoints hold it."""
    state = optimizer.state_dict()
    return {
        "state": {str(key): dict(value) for key, value in state["state"].items()},
        "param_groups": [
            {k: list(v) if isinstance(v, tuple) else v for k, v in group.items()}
            for group in state["param_groups"]
        ],
    }


def load_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Undo of `state_of`; copies, in the memory order of the parameters."""
    restored = {int(key): dict(value) for key, value in state["state"].items()}
    optimizer.load_state_dict(
        {"state": restored, "param_groups": [dict(group) for group in state["param_groups"]]}
    )
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if torch.is_tensor(value):
                like = parameter if value.shape == parameter.shape else value
                values[key] = torch.empty_like(like, requires_grad=False).copy_(value)
