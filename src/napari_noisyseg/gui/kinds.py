"""Every kind of layer that we make: one table for its place, its look, its steps and its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["image", "labels", "map", "points", "shapes"]
AFAR = "afar"
"""what stands for nuclei that are too small on the screen for outlines"""
CALLED = {
    "weights_pseudo": "weights (pseudo label)", "judged": "under review", "edited": "brush",
    AFAR: "nuclei from afar",
}  # fmt: skip
"""kinds whose layers are not called by the kind's own name"""
STEPS = ("annotate", "coarse", "train", "review")
MARKING = frozenset({"annotate", "coarse"})
RESULTS = frozenset({"train", "review"})
NEVER: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of layer.

    `steps` show it unless a person has switched it off; elsewhere it is shown once switched on.
    In `until_found` it is shown as well until a run has found something better.
    `covers`: it lies over the tissue and goes while the hide key is held. `pen` draws
    its nuclei as lines (`canvas.outlines.PENS`). `toggle` are the words
    of its box, `tip` what that box explains.
    """

    name: str
    form: Form
    steps: frozenset[str] = NEVER
    until_found: frozenset[str] = NEVER
    covers: bool = True
    of_run: bool = False
    pen: str = ""
    toggle: str = ""
    tip: str = ""


_TABLE = (
    Kind("image", "image", frozenset(STEPS), covers=False),
    Kind("probability", "map", of_run=True, toggle="probability",
         tip="How likely each pixel is nucleus"),
    Kind("uncertainty", "map", of_run=True, toggle="uncertainty",
         tip="Where the networks disagree"),
    Kind("weights", "map", of_run=True, toggle="weights",
         tip="How much the training trusts the rough mask (dark: little)"),
    Kind("weights_pseudo", "map", of_run=True, toggle="weights (pseudo)",
         tip="How much the training trusts its own pseudo label (dark: little)"),
    Kind("density", "map"),
    Kind("superpixel", "labels"),
    Kind("voronoi", "labels", tip="Cell borders are background, the marked spot is nucleus"),
    Kind("cluster", "labels", tip="Pixels grouped by colour and distance to the points"),
    Kind("rough", "labels", MARKING, until_found=frozenset({"train"}), pen="rough",
         toggle="rough masks", tip="What was painted or imported"),
    Kind("local", "labels", pen="local", toggle="untrained outlines",
         tip="An outline grown around each point from the colours alone, without any training"),
    Kind("outline", "labels", MARKING, until_found=frozenset({"train"}), pen="outline",
         toggle="outlines",
         tip="An outline at each click, by a network that was trained on nuclei"),
    Kind("corrected", "labels", of_run=True, pen="corrected", toggle="corrected",
         tip="The rough mask as the method has corrected it"),
    Kind("changes", "labels", of_run=True, toggle="changes",
         tip="What was kept of the rough mask, added to it and removed from it"),
    Kind("refined", "labels", RESULTS, of_run=True, pen="untouched", toggle="outlines",
         tip="Nuclei from the network's prediction"),
    Kind(AFAR, "labels", frozenset(STEPS)),
    Kind("fields", "shapes", frozenset({"annotate", "coarse", "train"}), covers=False,
         toggle="fields", tip="Where every nucleus is marked"),
    Kind("suggested", "points", frozenset({"annotate"}), covers=False),
    Kind("points", "points", frozenset({"annotate", "coarse", "train"}), covers=False,
         toggle="points", tip="A ring for each nucleus that was clicked"),
    Kind("judged", "labels", frozenset({"review"})),
    Kind("edited", "labels", frozenset({"review"}), covers=False),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}
"""By name, from the bottom of an image's group to its top."""
RANK = {name: rank for rank, name in enumerate(KINDS)}
COARSE = ("voronoi", "cluster", "local", "outline")
"""coarse labels that are made from points"""
OF_RUN = tuple(name for name, kind in KINDS.items() if kind.of_run)
"""what a run leaves behind"""
TOGGLES = tuple(name for name in reversed(OF_RUN) if KINDS[name].toggle)
"""results with a box of their own, the outlines first"""
MARKS = ("points", "outline", "fields", "rough", "local")
"""what a person made and what came of it at once, each with a box of its own"""


def is_labels(name: str) -> bool:
    """Whether a kind is a label image (else a map in 0..1)."""
    return KINDS[name].form == "labels"
