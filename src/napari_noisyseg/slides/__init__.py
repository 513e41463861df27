"""Reading pixels: plain images, slides, OME-TIFF and OME-Zarr become one lazy pyramid."""

from napari_noisyseg.slides.box import Box
from napari_noisyseg.slides.colour import to_rgb
from napari_noisyseg.slides.fingerprint import content_hash
from napari_noisyseg.slides.label_images import read_labels, windows_of, without_gaps
from napari_noisyseg.slides.level import Level
from napari_noisyseg.slides.opening import IMAGE_SUFFIXES, open_image
from napari_noisyseg.slides.openslides import of_each_slide
from napari_noisyseg.slides.slide import Slide, from_array, name_of
from napari_noisyseg.slides.tiff import is_colour

__all__ = [
    "IMAGE_SUFFIXES",
    "Box",
    "Level",
    "Slide",
    "content_hash",
    "from_array",
    "is_colour",
    "name_of",
    "of_each_slide",
    "open_image",
    "read_labels",
    "to_rgb",
    "windows_of",
    "without_gaps",
]
