"""Bilevel gradients without double backpropagation: see `bilevel`."""

from .bilevel import (
    Bilevel,
    Inner,
    Loss,
    Mode,
    Outer,
    Point,
    RealStep,
    Settings,
    Step,
    assign,
)
from .passes import full_precision, still

__all__ = [
    "Bilevel",
    "Inner",
    "Loss",
    "Mode",
    "Outer",
    "Point",
    "RealStep",
    "Settings",
    "Step",
    "assign",
    "full_precision",
    "still",
]
