"""From evidence to separate nuclei: with the points people placed, or without."""

from napari_noisyseg.instances.measure import Measured, measure
from napari_noisyseg.instances.points import from_points
from napari_noisyseg.instances.probability import from_probability

__all__ = ["Measured", "from_points", "from_probability", "measure"]
