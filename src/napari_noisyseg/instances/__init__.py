"""From evidence to separate nuclei: with the points people placed, or without."""

from napari_noisyseg.instances.measure import Measured, measure, middles, touching
from napari_noisyseg.instances.points import from_points
from napari_noisyseg.instances.probability import SPLITTINGS, from_probability
from napari_noisyseg.instances.suggest import Suggested, suggest

__all__ = [
    "SPLITTINGS",
    "Measured",
    "Suggested",
    "from_points",
    "from_probability",
    "measure",
    "middles",
    "suggest",
    "touching",
]
