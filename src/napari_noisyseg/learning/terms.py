"""The terms that a loss is summed up from, as numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from napari_noisyseg.method import Losses


def numbers(terms: Mapping[str, Tensor]) -> Losses:
    """The value of each term, (), by name; fetched from the device all at once."""
    values = torch.stack([term.detach().float() for term in terms.values()]).tolist()
    return dict(zip(terms, values, strict=True))
