"""Label noise: what careless, hurried or random annotation makes of true label images."""

from napari_noisyseg.noise.draws import Strength, chosen
from napari_noisyseg.noise.images import CORRELATED, Correlated, resized, strike_images
from napari_noisyseg.noise.outlines import boxed, dilated, eroded, moved
from napari_noisyseg.noise.points import points
from napari_noisyseg.noise.redraw import ids_of
from napari_noisyseg.noise.search import Found, Setting, foreground_dice, setting_for_dice
from napari_noisyseg.noise.simulate import (
    KINDS,
    RANGES,
    SHARE,
    NoiseKind,
    affine,
    box,
    check,
    dilate,
    erode,
    flip,
    partial,
    random,
    simulate,
    simulate_patches,
)

__all__ = [
    "CORRELATED",
    "KINDS",
    "RANGES",
    "SHARE",
    "Correlated",
    "Found",
    "NoiseKind",
    "Setting",
    "Strength",
    "affine",
    "box",
    "boxed",
    "check",
    "chosen",
    "dilate",
    "dilated",
    "erode",
    "eroded",
    "flip",
    "foreground_dice",
    "ids_of",
    "moved",
    "partial",
    "points",
    "random",
    "resized",
    "setting_for_dice",
    "simulate",
    "simulate_patches",
    "strike_images",
]
