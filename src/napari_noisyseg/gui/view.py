"""What is shown, as one frozen value: the canvas and the panel are functions of it.

`View` knows no Qt and no napari. Whoever wants something else shown asks the session, which makes
another `View` and tells everybody once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from napari_noisyseg.gui.kinds import AFAR, KINDS, RESULTS

NOTHING: Mapping[tuple[bool, str], bool] = MappingProxyType({})
NEAR: Mapping[str, str] = MappingProxyType({})
WRITES = {"points": "points", "field": "fields", "paint": "rough", "erase": "rough"}
"""the kind of layer that each tool writes to: it is always seen what a tool does"""
OURS_ALONE = frozenset({"edited", "judged"})
"""what a review draws of itself: nobody switches it off"""


@dataclass(frozen=True, slots=True)
class View:
    """One state of the window.

    `toggles` are what a person has switched on or off,
    apart for the steps that mark and those that look at results. `bare`: the hide key is held.
    `found`: there are nuclei of a run in the image. `blind`: nobody sees what was decided, but the
    nucleus under review alone. `by_class`: outlines have the colours of the nuclei's classes.
    `afar` says of kinds whose nuclei are too small now for outlines or rings what stands for them
    ("dots" or "density"); of these, the layers in `replaced` are not drawn. `overview`: whether a
    person wants the small map of the whole image; None: where the image is large.
    """

    image: str | None = None
    step: str = "annotate"
    tool: str = "points"
    toggles: Mapping[tuple[bool, str], bool] = field(default_factory=lambda: NOTHING)
    bare: bool = False
    found: bool = False
    blind: bool = False
    by_class: bool = False
    afar: Mapping[str, str] = field(default_factory=lambda: NEAR)
    replaced: frozenset[str] = frozenset()
    overview: bool | None = None

    def shows(self, kind: str) -> bool:
        """Whether layers of a kind, of the active image, are to be seen."""
        known = KINDS[kind]
        if self.bare and known.covers:
            return False
        if self.blind and known.name != "image" and kind not in OURS_ALONE:
            return False
        if self.step == "annotate" and WRITES.get(self.tool) == kind:
            return True
        usual = self.step in known.steps or (self.step in known.until_found and not self.found)
        if kind in OURS_ALONE:
            return usual
        return self.toggles.get((self.step in RESULTS, kind), usual)

    def shows_layer(self, image: str, kind: str) -> bool:
        """Whether the layer of that image and kind is to be seen."""
        if image != self.image or kind in self.replaced:
            return False
        return self.shows(kind) and (kind != AFAR or bool(self.afar))

    def toggled(self, kind: str, shown: bool) -> View:
        """The same view with a kind switched on or off, in the present steps."""
        toggles = {**self.toggles, (self.step in RESULTS, kind): shown}
        return replace(self, toggles=MappingProxyType(toggles))

    def of(self, image: str | None) -> View:
        """The same view with another image in front."""
        return replace(self, image=image, found=False, afar=NEAR, replaced=frozenset())
