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
from .passes import still

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
    "still",
]
