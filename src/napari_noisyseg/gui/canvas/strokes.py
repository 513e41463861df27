"""The outlines on the graphics card: one strip of triangles, as wide on screen at every zoom.

The corners are moved apart in the vertex shader, in logical pixels of the screen, and the edges
made soft in the fragment shader by distance: the width of OpenGL's own lines is 1 on many drivers.
The strip is drawn twice, first all dark casings and then all lines, so that no casing lies on the
line of the nucleus beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from napari._vispy.overlays.base import LayerOverlayMixin, VispySceneOverlay
from napari._vispy.utils.visual import overlay_to_visual
from napari._vispy.visuals.labels import LabelNode
from vispy.color import Color
from vispy.gloo import VertexBuffer
from vispy.scene.visuals import create_visual_node
from vispy.visuals import Visual

from napari_noisyseg.gui.canvas import looks
from napari_noisyseg.gui.canvas.strips import COLUMNS, Strip
from napari_noisyseg.gui.widgets.pens import CASING, CASING_OPACITY, Pen

PENS_AT_MOST = 16
"""as `outlines.STEP`"""
GROUPS_AT_MOST = 15
"""colours that nuclei may have by their class"""
SMALL = 44.0
"""screen pixels round a nucleus below which its line gets thinner, not to paint it shut"""
THINNEST = 0.4
DASHES = 6.0
"""dashes that an outline has at least: they get shorter on a small nucleus"""
UNBROKEN = 56.0
"""screen pixels round a nucleus below which no dashes could be told from each other"""

VERTEX = f"""#version 120
attribute vec2 a_at;      // x, y in the layer's pixels
attribute vec2 a_mitre;   // towards the outside
attribute vec2 a_along;   // way from the path's start, and the path's length
attribute float a_pen;    // pen, from 1, and {PENS_AT_MOST} times the group; negative inside
uniform vec4 u_color[{PENS_AT_MOST}];
uniform vec4 u_form[{PENS_AT_MOST}];  // width, length of dash, of gap, width of casing
uniform vec4 u_group[{GROUPS_AT_MOST}];  // colours
uniform float u_by_group;
uniform vec4 u_casing;
uniform float u_is_casing;
uniform float u_level;    // level-0 pixels of one pixel on the canvas
uniform float u_opacity;  // of the whole layer
varying vec4 v_color;
varying float v_half;     // half the line's width; this and all below in screen pixels
varying float v_across;   // distance from the line's middle
varying float v_turn;     // in lengths of a dash with its gap
varying vec2 v_dash;      // length of a dash with its gap, and of the dash

void main() {{
    int both = int(abs(a_pen) - 0.5);
    int group = both / {PENS_AT_MOST};
    int pen = both - {PENS_AT_MOST} * group;
    vec4 form = u_form[pen];
    vec4 color = u_color[pen];
    if (u_by_group > 0.5 && group > 0) color.rgb = u_group[group - 1].rgb;
    vec2 at = (a_at + 0.5) / u_level - 0.5;
    vec4 here = $to_canvas(vec4(at, 0.0, 1.0));
    vec4 there = $to_canvas(vec4(at + a_mitre / u_level, 0.0, 1.0));
    here /= here.w;
    there /= there.w;
    float scale = length(there.xy - here.xy) / length(a_mitre);
    vec2 mitre = (there.xy - here.xy) / max(scale, 1e-6);

    float ring = a_along.y * scale;
    float thin = clamp(ring / {SMALL}, {THINNEST}, 1.0);
    float width = form.x * thin;
    v_half = width / 2.0 + u_is_casing * form.w * thin;
    v_across = sign(a_pen) * (v_half + 1.0);
    // inside its outline, so that the lines of two nuclei that touch lie side by side
    here.xy += mitre * (v_across - width / 2.0);

    float step = form.y + form.z;
    float steps = max(floor(ring / max(step, 1e-6) + 0.5), {DASHES});
    bool broken = form.z > 0.0 && ring > {UNBROKEN};
    v_dash = broken ? vec2(ring / steps, form.y / step * ring / steps) : vec2(0.0);
    v_turn = a_along.x / max(a_along.y, 1e-6) * steps;
    v_color = u_is_casing > 0.5 ? vec4(u_casing.rgb, u_casing.a * color.a) : color;
    v_color.a *= u_opacity;
    gl_Position = $to_render(vec4(here.xyz, 1.0));
}}
"""
FRAGMENT = """#version 120
uniform float u_density;  // physical pixels of the screen in a logical one
varying vec4 v_color;
varying float v_half;
varying float v_across;
varying float v_turn;
varying vec2 v_dash;

void main() {
    float away = abs(v_across);
    if (v_dash.x > 0.0) {
        float along = abs(fract(v_turn) - 0.5) * v_dash.x;
        away = length(vec2(max(along - max(v_dash.y / 2.0 - v_half, 0.0), 0.0), v_across));
    }
    float cover = clamp((v_half - away) * u_density + 0.5, 0.0, 1.0);
    if (cover <= 0.0) discard;
    gl_FragColor = vec4(v_color.rgb, v_color.a * cover);
}
"""


class StrokesVisual(Visual):  # type: ignore[misc]
    """Strips of corners, each with the number of its pen (from 1, negative inside)."""

    def __init__(self) -> None:
        super().__init__(vcode=VERTEX, fcode=FRAGMENT)
        self.unfreeze()
        self._buffer = VertexBuffer(np.zeros((0, COLUMNS), np.float32))
        self._count = 0
        self._draw_mode = "triangle_strip"
        dark = Color(CASING)
        dark.alpha = CASING_OPACITY
        self.shared_program["u_casing"] = dark.rgba
        self.shared_program["u_is_casing"] = 0.0
        self.freeze()
        self.set_level(1.0)
        self.set_opacity(1.0)
        self.set_pens(())
        self.set_groups((), False)

    def set_pens(self, pens: Sequence[Pen]) -> None:
        """The looks that numbers stand for; the first is number 1."""
        if len(pens) > PENS_AT_MOST:
            raise ValueError(f"{len(pens)} pens; the shader knows {PENS_AT_MOST}")
        for at in range(PENS_AT_MOST):
            pen = pens[at] if at < len(pens) else Pen("#000000", 0.0)
            # one by one: vispy cannot set a whole array again when it rebuilds the program
            self.shared_program[f"u_color[{at}]"] = (*Color(pen.color).rgb, pen.opacity)
            self.shared_program[f"u_form[{at}]"] = (pen.width, pen.on, pen.off, pen.casing)
        self.update()

    def set_groups(self, colors: Sequence[str], shown: bool) -> None:
        """The colours of groups 1, 2 and so on; whether they are drawn in place of the pens'."""
        for at in range(GROUPS_AT_MOST):
            color = colors[at] if at < len(colors) else "#000000"
            self.shared_program[f"u_group[{at}]"] = tuple(Color(color).rgba)
        self.shared_program["u_by_group"] = float(shown)
        self.update()

    def set_strips(self, rows: Strip) -> None:
        """Give everything there is to draw; the array must not be changed afterwards."""
        self._count = len(rows)
        if self._count:
            fields = [
                ("a_at", "f4", 2),
                ("a_mitre", "f4", 2),
                ("a_along", "f4", 2),
                ("a_pen", "f4"),
            ]
            self._buffer = VertexBuffer(np.ascontiguousarray(rows).view(fields).ravel())
            self.shared_program.bind(self._buffer)
        self.update()

    def set_level(self, level: float) -> None:
        """How many of the paths' pixels are one pixel of the level of a pyramid now shown."""
        self.shared_program["u_level"] = level
        self.update()

    def set_opacity(self, opacity: float) -> None:
        """How strong all lines are, 0..1."""
        self.shared_program["u_opacity"] = opacity
        self.update()

    def draw(self) -> None:
        """Draw the casings and then the lines."""
        if not self.visible or not self._count:
            return
        self._configure_gl_state()
        for casing in (1.0, 0.0):
            self._program["u_is_casing"] = casing
            self._program.draw(self._vshare.draw_mode, None)

    def _prepare_transforms(self, view: Any) -> None:
        to_canvas = view.get_transform("visual", "canvas")
        view.view_program.vert["to_canvas"] = to_canvas
        view.view_program.vert["to_render"] = view.get_transform("canvas", "render")
        view.view_program["u_density"] = float(view.transforms.pixel_scale)


Strokes = create_visual_node(StrokesVisual)


class VispyOutlines(LayerOverlayMixin, VispySceneOverlay):  # type: ignore[misc]
    """Draws the outlines of one layer in one window; napari makes it and closes it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(node=Strokes(), **kwargs)
        self.overlay.events.revision.connect(self._on_change)
        self.overlay.events.by_group.connect(self._on_groups)
        self.layer.events.set_data.connect(self._on_level_change)
        self.layer.events.opacity.connect(self._on_layer_opacity)
        self.reset()
        # napari moves what lies on a layer by half a pixel, but not what comes to it later
        self.layer.events.scale()
        self._spare()

    def _spare(self) -> None:
        """Pixels that are all clear are not drawn: a quarter of a frame without a graphics card."""
        pixels = self.node.parent
        if not isinstance(pixels, LabelNode):
            return
        draw: Callable[[], object] = pixels.draw
        layer = self.layer

        def drawn() -> None:
            if not looks.is_clear(layer):
                draw()

        pixels.unfreeze()
        pixels.draw = drawn
        pixels.freeze()

    def _on_change(self) -> None:
        self.node.set_strips(self.overlay.strips())

    def _on_groups(self) -> None:
        self.node.set_groups(self.overlay.colors, self.overlay.by_group)

    def _on_level_change(self) -> None:
        # a pyramid's tiles are drawn in the pixels of their level, the outlines in those of level 0
        displayed = list(self.layer._slice_input.displayed)
        scale = np.atleast_1d(self.layer._transforms[0].scale)
        self.node.set_level(float(scale[displayed[-1]]) if self.layer.multiscale else 1.0)

    def _on_layer_opacity(self) -> None:
        self.node.set_opacity(float(self.layer.opacity))

    def reset(self) -> None:
        """Take everything from the model again."""
        super().reset()
        self._on_layer_opacity()
        self.node.set_pens(self.overlay.pens())
        self._on_groups()
        self._on_level_change()
        self._on_change()

    def close(self) -> None:
        """Let go of the model, which may live on."""
        self.overlay.events.revision.disconnect(self._on_change)
        self.overlay.events.by_group.disconnect(self._on_groups)
        super().close()


def register(model: type) -> None:
    """Tell napari to draw overlays of this class so."""
    overlay_to_visual[model] = VispyOutlines
