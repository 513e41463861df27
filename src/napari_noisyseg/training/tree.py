"""Nested state as tensors and JSON: nothing is ever pickled.

A state is dicts, lists, tuples, numbers, texts, None and tensors. `flatten` takes the tensors out
and leaves a JSON document that says where they belong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

MAX_DEPTH = 32


def flatten(state: Any, prefix: str = "") -> tuple[Any, dict[str, Tensor]]:
    """(JSON document, name to tensor on the CPU) of a nested state."""
    tensors: dict[str, Tensor] = {}
    return _take_out(state, prefix, tensors), tensors


def _take_out(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    match value:
        case Tensor():
            tensors[path] = value.detach().to("cpu", copy=True).contiguous()
            return {"tensor": path}
        case Mapping():
            items = [[k, _take_out(v, f"{path}/{k}", tensors)] for k, v in value.items()]
            return {"dict": items}
        case list() | tuple():
            items = [_take_out(v, f"{path}/{i}", tensors) for i, v in enumerate(value)]
            return {"tuple" if isinstance(value, tuple) else "list": items}
        case None | bool() | int() | float() | str():
            return {"value": value}
    raise TypeError(f"{path}: a state may not hold {type(value).__name__}")


def unflatten(document: Any, tensors: Mapping[str, Tensor], depth: int = 0) -> Any:
    """Undo of `flatten`; raises ValueError or KeyError for a document it did not write."""
    if not isinstance(document, dict) or len(document) != 1 or depth > MAX_DEPTH:
        raise ValueError("not a state that this program wrote")
    ((kind, value),) = document.items()
    match kind:
        case "tensor":
            return tensors[value]
        case "dict":
            return {key: unflatten(v, tensors, depth + 1) for key, v in value}
        case "list":
            return [unflatten(v, tensors, depth + 1) for v in value]
        case "tuple":
            return tuple(unflatten(v, tensors, depth + 1) for v in value)
        case "value" if value is None or isinstance(value, bool | int | float | str):
            return value
    raise ValueError("not a state that this program wrote")


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values, detached, on the CPU and apart from what they were copied from."""
    with torch.no_grad():
        return {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}
