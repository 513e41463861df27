"""How layers look on H&E: thin outlines, and colours that differ in lightness as well as in hue.

Hues are of Okabe and Ito's set (safe for the colour-blind); on the pinks and violets of H&E light
yellow, cyan and near-black stand out. Unknown is always left clear: the tissue itself shows.
"""

from __future__ import annotations

from typing import Any

from napari.utils.colormaps import DirectLabelColormap

from napari_noisyseg.method import ADDED, KEPT, REMOVED

NUCLEUS = "#ffe14d"
BACKGROUND = "#14213d"
CLEAR = "#00000000"
FILL = "55"
"""how strong a tint is: the tissue is seen through it"""
CHOSEN = "#ffffff"
EDITED = "#35d0ff"
RING = 0.22
"""width of a point's ring, as a share of its diameter"""
OUTLINE = {
    "outline": NUCLEUS,
    "local": "#ffffff",
    "refined": "#35d0ff",
    "corrected": "#b7ff5a",
    "rough": "#ff9f1c",
    "superpixel": "#ffffff",
}
POINT = {"points": "#ffe14d", "suggested": "#ffffff"}
CHANGES = {"kept": "#35d0ff50", "added": "#b7ff5a", "removed": "#d55e00"}
"""of a rough mask, by a method"""
MANY = "#ffff66"
"""the last colour of densities"""
FIELD = "#1e88e5"
OPEN_FIELD = "#d55e00"
FIELD_WORDS = "#10131a"
FIELD_TEXT = {
    "string": "{words}", "anchor": "upper_left", "size": 11, "color": FIELD_WORDS,
}  # fmt: skip
STATES = frozenset({"voronoi", "cluster"})


def labels(kind: str) -> dict[str, Any]:
    """Keywords of `napari.layers.Labels` for a kind of label image."""
    if kind in STATES:
        return {"opacity": 0.6 if kind == "voronoi" else 0.9, **states(kind, contour=True)}
    if kind == "changes":
        by_value: dict[int | None, str] = {
            KEPT: CHANGES["kept"],
            ADDED: CHANGES["added"],
            REMOVED: CHANGES["removed"],
        }
        colours: dict[int | None, str] = {**by_value, 0: CLEAR, None: CLEAR}
        colormap = DirectLabelColormap(color_dict=colours)
        return {"colormap": colormap, "opacity": 0.6}
    if kind == "superpixel":
        return {"colormap": pixels(kind), "contour": 1, "opacity": 0.9}
    return {"opacity": 0.9, **objects(kind, filled=kind == "rough")}


def field(complete: bool) -> str:
    """Colour of a field's edge; what is written at an incomplete one says it as well."""
    return FIELD if complete else OPEN_FIELD


def drawn(kind: str, contour: bool) -> dict[str, Any]:
    """Colours and contour of a coarse label, as thin contours or filled."""
    return states(kind, contour) if kind in STATES else objects(kind, filled=not contour)


def pixels(kind: str) -> Any:
    """Colours of nuclei whose contours are drawn as pixels."""
    return DirectLabelColormap(color_dict={0: CLEAR, None: OUTLINE.get(kind, "#ffffff")})


def objects(kind: str, filled: bool) -> dict[str, Any]:
    """Nuclei whose outlines are lines of their own: their pixels stay clear, or are tinted."""
    tint = f"{OUTLINE.get(kind, '#ffffff')}{FILL}" if filled else CLEAR
    return {"colormap": DirectLabelColormap(color_dict={0: CLEAR, None: tint}), "contour": 0}


def is_clear(layer: Any) -> bool:
    """Whether nothing of a label layer's pixels is seen: its outlines are lines of their own."""
    if layer.contour or not isinstance(layer.colormap, DirectLabelColormap):
        return False
    return not any(color[3] for color in layer.colormap.color_dict.values())


def states(kind: str, contour: bool) -> dict[str, Any]:
    """Colours of nucleus, background and unknown; `contour` leaves the tissue inside visible.

    The Voronoi label is lines and spots by nature, so it is drawn as it is either way.
    """
    outlined = contour and kind != "voronoi"
    ground = CLEAR if outlined else BACKGROUND
    colours = {0: ground, 1: NUCLEUS, 2: CLEAR, None: CLEAR}
    return {"colormap": DirectLabelColormap(color_dict=colours), "contour": int(outlined)}


def heat(kind: str) -> dict[str, Any]:
    """Keywords of `napari.layers.Image` for a map in 0..1."""
    colormap = {"probability": "viridis", "uncertainty": "magma", "density": "inferno"}.get(
        kind, "cividis"
    )
    return {
        "colormap": colormap, "opacity": 0.5, "contrast_limits": (0.0, 1.0),
        "interpolation2d": "linear",
    }  # fmt: skip
