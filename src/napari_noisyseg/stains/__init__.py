"""Colour to stain densities."""

from napari_noisyseg.stains.deconvolution import (
    FIXED,
    StainMatrix,
    densities,
    estimate,
    hematoxylin,
    levelled,
    tissue,
)

__all__ = ["FIXED", "StainMatrix", "densities", "estimate", "hematoxylin", "levelled", "tissue"]
