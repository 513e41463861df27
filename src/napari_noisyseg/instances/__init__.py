"""From evidence to separate nuclei: with the points people placed, or without."""

from napari_noisyseg.instances.masks import Shapes, shapes_of
from napari_noisyseg.instances.measure import Measured, measure, middles, touching
from napari_noisyseg.instances.points import from_points
from napari_noisyseg.instances.probability import components, from_probability
from napari_noisyseg.instances.reading import Given, at_points, in_masks, nuclei
from napari_noisyseg.instances.suggest import Suggested, suggest

__all__ = [
    "Given",
    "Measured",
    "Shapes",
    "Suggested",
    "at_points",
    "components",
    "from_points",
    "from_probability",
    "in_masks",
    "measure",
    "middles",
    "nuclei",
    "shapes_of",
    "suggest",
    "touching",
]
