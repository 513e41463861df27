"""The size of a pixel as a TIFF file may tell it."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from napari_noisyseg.slides.limits import plausible_mpp

IN_UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "um": 1.0, "micron": 1.0, "nm": 1e-3}
IN_UM |= {
    "\N{GREEK SMALL LETTER MU}m": 1.0,
    "\\u00B5m": 1.0,
    "inch": 25_400.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nanometer": 1e-3,
    "millimeter": 1e3,
}
PER_INCH, PER_CENTIMETRE = 2, 3


def mpp_of(file: Any, page: Any) -> float | None:
    """µm per pixel from OME-XML, ImageJ or the resolution tags; None unless a microscope's."""
    if file.is_ome:
        return _of_ome(file.ome_metadata)
    per_unit = [_ratio(page, name) for name in ("XResolution", "YResolution")]
    if file.is_imagej:
        unit = IN_UM.get(str((file.imagej_metadata or {}).get("unit", "")))
    else:
        tag = page.tags.get("ResolutionUnit")
        unit = {PER_INCH: 25_400.0, PER_CENTIMETRE: 10_000.0}.get(int(tag.value) if tag else 0)
    if unit is None:
        return None
    return plausible_mpp(*(unit / n if n else None for n in per_unit))


def _ratio(page: Any, name: str) -> float | None:
    tag = page.tags.get(name)
    if tag is None or not isinstance(tag.value, tuple) or not tag.value[1]:
        return None
    return float(tag.value[0] / tag.value[1])


def _of_ome(xml: str | None) -> float | None:
    """The first image's physical size; the standard's default unit is µm."""
    if not xml or "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        return None
    try:
        pixels = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        return None
    if pixels is None:
        return None
    return plausible_mpp(_physical(pixels, "X"), _physical(pixels, "Y"))


def _physical(pixels: ElementTree.Element, axis: str) -> float | None:
    size = pixels.get(f"PhysicalSize{axis}")
    unit = IN_UM.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    try:
        return float(size) * unit if size and unit else None
    except ValueError:
        return None
