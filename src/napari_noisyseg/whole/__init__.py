"""Whole slides: which tiles hold tissue, the nuclei of each tile, and how they are put together."""

from napari_noisyseg.whole.lattice import Lattice
from napari_noisyseg.whole.model import Model, load_model, load_trained
from napari_noisyseg.whole.pipeline import predicted
from napari_noisyseg.whole.plan import Plan, Tile, make_plan
from napari_noisyseg.whole.stitch import Stitched, Tiles
from napari_noisyseg.whole.tile import TileNuclei, nuclei_of_tile

__all__ = [
    "Lattice",
    "Model",
    "Plan",
    "Stitched",
    "Tile",
    "TileNuclei",
    "Tiles",
    "load_model",
    "load_trained",
    "make_plan",
    "nuclei_of_tile",
    "predicted",
]
