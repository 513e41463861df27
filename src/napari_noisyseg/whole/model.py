"""What predicts a tile: the starter, the starter with what a project taught it, or a run's model.

A model works in steps, so that they can go on side by side: `prepare` reads and measures pixels,
`gather` finds places and `split` makes nuclei; `look` and `draw` are the networks between them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import stains
from napari_noisyseg.coarse import belief, centres
from napari_noisyseg.coarse.appearance import MPP, Tone, tone_of, toned, unlike
from napari_noisyseg.coarse.evidence import Gauge
from napari_noisyseg.coarse.outline import Look, OutlinePlane, seen_at
from napari_noisyseg.coarse.readers import AS_SHIPPED, Readers
from napari_noisyseg.coarse.starter import CENTRES, OUTLINE, model
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Slide
from napari_noisyseg.training.refine import Evidence, Found, judge
from napari_noisyseg.whole.lattice import Lattice
from napari_noisyseg.whole.plan import Plan, Tile

F32 = NDArray[np.float32]
Labels = NDArray[np.int32]
Shapes = tuple[Labels, dict[int, tuple[int, int]]]

STARTER = "starter"
AROUND_UM = 40.0
"""What is looked at around a tile; far more than a nucleus, its neighbours and theirs."""
OUTLINED = 112
"""Px of 0.25 µm around a tile in which centres are outlined: those that may take pixels from its
own, and those that these see."""
SIDE = 2048


@dataclass(frozen=True)
class Nuclei:
    """Of one tile: labels int32 (h, w) of a window of a lattice; places (y, x) there, by label.

    A nucleus belongs to the tile in whose core its place lies. found: confidence and reason.
    """

    lattice: Lattice
    window: Box
    labels: Labels
    places: Mapping[int, tuple[int, int]]
    found: list[Found]


class Model(Protocol):
    """Predicts tiles."""

    @property
    def key(self) -> str:
        """A digest of its weights."""

    @property
    def side(self) -> int:
        """Of a tile in its own pixels, as is best for speed."""

    def mpp(self, slide_mpp: float) -> float:
        """µm per pixel at which it makes nuclei, of a slide with pixels of `slide_mpp` µm."""

    def measure(self, sample: NDArray[np.uint8], mpp: float) -> dict[str, Any]:
        """What holds for the whole slide, from a sample at 0.25 µm, in plain values.

        mpp: of the slide. Raises NoisySegError for a slide that it cannot judge.
        """

    def prepare(self, slide: Slide, plan: Plan, tile: Tile) -> Any:
        """Read what `look` needs; runs beside it."""

    def look(self, prepared: Any) -> Any:
        """Run the networks that see the tile as a whole; one tile at a time."""

    def gather(self, looked: Any) -> Any:
        """Find the places of nuclei; runs beside it."""

    def draw(self, gathered: Any) -> Any:
        """Run the network that outlines nuclei, where there is one; one tile at a time."""

    def split(self, drawn: Any) -> Nuclei:
        """Make nuclei; runs beside it."""


class Seen(NamedTuple):
    """A window that the starter's networks see. maps: once they did."""

    plan: Plan
    tile: Tile
    lattice: Lattice
    window: Box
    rgb: NDArray[np.uint8]
    planes: F32
    maps: centres.Maps | None = None
    probability: F32 | None = None
    """of nucleus by a trained network, where one has a say"""
    places: NDArray[np.intp] | None = None
    """(n, 2) of the nuclei, in the order of their labels"""
    middles: NDArray[np.intp] | None = None
    """(n, 2): pixels that outlines are drawn at"""
    squares: F32 | None = None
    """what the outlining network sees at each"""


class Starter:
    """The starter's networks, as they come or as a project taught them."""

    side = SIDE

    def __init__(self, readers: Readers = AS_SHIPPED, key: str = "") -> None:
        self._network, self._look = readers.finding(), readers.drawing()
        self.key = key or starter_key()

    def mpp(self, slide_mpp: float) -> float:
        """0.25, whatever the slide's."""
        return MPP

    def measure(self, sample: NDArray[np.uint8], mpp: float) -> dict[str, Any]:
        """How dark and of which stains the slide is."""
        doubt = unlike(sample)
        if doubt:
            raise NoisySegError(f"{doubt}, and the starter knows only stained tissue in colour")
        return tone_document(tone_of(sample))

    def prepare(self, slide: Slide, plan: Plan, tile: Tile) -> Seen:
        """The tile and what is around it, as the networks see it."""
        lattice = plan.lattice(MPP)
        window = lattice.window(tile.core, AROUND_UM / plan.mpp)
        return seen_of(lattice.read(slide, window), plan, tile, lattice, window)

    def look(self, prepared: Seen) -> Seen:
        """Where nuclei lie."""
        return prepared._replace(maps=centres.probabilities(prepared.planes, self._network))

    def gather(self, looked: Seen) -> Seen:
        """The centres."""
        return gathered(looked)

    def draw(self, gathered: Seen) -> Seen:
        """The outline at each by itself."""
        return believed(drawn(gathered, self._look), self._look)

    def split(self, drawn: Seen) -> Nuclei:
        """The outlines, settled between all of them."""
        return outlined(drawn, self._look)


def seen_of(rgb: NDArray[np.uint8], plan: Plan, tile: Tile, lattice: Lattice, window: Box) -> Seen:
    """A window's pixels, uint8 (h, w, 3), in the tone of the slide."""
    planes = toned(rgb, tone_in(plan.tone))
    return Seen(plan, tile, lattice, window, rgb, planes)


def gathered(seen: Seen) -> Seen:
    """The centres in the tile's core and as far around as they may take pixels from its own."""
    assert seen.maps is not None
    maps = seen.maps
    if seen.probability is not None:
        both = (maps.nucleus + seen.probability) / 2
        maps = maps._replace(nucleus=both.astype(np.float32))
    found = centres.peaks(maps)
    wide = _core(seen).grow(OUTLINED)
    # numbered by place: which of two neighbours comes first must not depend on the tile
    order = [n for n in np.lexsort(found.places.T[::-1]) if wide.contains(*found.places[n])]
    last = np.array(seen.window.shape) - 1
    middles = np.clip(np.floor(found.points[order] + 0.5), 0, last).astype(np.intp)
    return seen._replace(maps=maps, places=found.places[order], middles=middles)


def drawn(seen: Seen, look: Look) -> Seen:
    """What the outlining network sees at each of them."""
    assert seen.middles is not None
    return seen._replace(squares=seen_at(seen.planes, seen.middles.astype(np.float64), look))


def believed(seen: Seen, look: Look) -> Seen:
    """Without the centres that look like rejected finds, if the project learned these."""
    known = belief.of_look(look)
    if known is None:
        return seen
    assert seen.places is not None
    assert seen.middles is not None
    assert seen.squares is not None
    clicks = seen.middles.astype(np.float64)
    kept = known.weights_of(belief.figures(seen.planes, clicks, seen.squares)) > 0
    return seen._replace(
        places=seen.places[kept], middles=seen.middles[kept], squares=seen.squares[kept]
    )


def outlined(seen: Seen, look: Look) -> Nuclei:
    """The nuclei, settled between all of them, each with its confidence."""
    assert seen.maps is not None
    assert seen.places is not None
    assert seen.middles is not None
    plane = OutlinePlane(
        seen.planes, seen.window.shape, look,
        beside=seen.probability, share=centres.SHARE, seen=seen.squares,
    )  # fmt: skip
    plane.bring_to(_numbered(seen.middles))
    density = stains.densities(seen.rgb, stains.FIXED)[0]
    unsure = np.zeros_like(seen.maps.nucleus)
    evidence = Evidence(seen.maps.nucleus, unsure, density, seen.rgb, MPP)
    judged = judge(evidence, plane.instances, certainty=plane.certainty())
    return Nuclei(seen.lattice, seen.window, plane.instances, _numbered(seen.places), judged)


def _numbered(places: NDArray[np.intp]) -> dict[int, tuple[int, int]]:
    return {k: (int(y), int(x)) for k, (y, x) in enumerate(places, start=1)}


def _core(seen: Seen) -> Box:
    """The tile's core in pixels of its window."""
    y0, x0, y1, x1 = (int(v / seen.lattice.step) for v in seen.tile.core)
    return Box(y0, x0, y1 + 1, x1 + 1).shift(-seen.window.y0, -seen.window.x0)


def tone_document(tone: Tone) -> dict[str, Any]:
    """A tone in plain values."""
    return {
        "mean": list(tone.mean), "spread": list(tone.spread), "weights": list(tone.gauge.weights),
        "middle": tone.gauge.mean, "deviation": tone.gauge.deviation,
    }  # fmt: skip


def tone_in(document: Mapping[str, Any]) -> Tone:
    """Undo of `tone_document`. Raises NoisySegError for what is none."""
    try:
        numbers = {key: tuple(map(float, document[key])) for key in ("mean", "spread", "weights")}
        gauge = Gauge(numbers["weights"], float(document["middle"]), float(document["deviation"]))
        return Tone(numbers["mean"], numbers["spread"], gauge)
    except (KeyError, TypeError, ValueError) as error:
        raise NoisySegError(f"what was measured on the slide is damaged ({error})") from error


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def load_model(source: str | Path, device: str = "auto") -> Model:
    """The model of a run's folder or its model file; `starter`; or a project, for what it learned.

    device: for a run's. Raises NoisySegError when it is missing, damaged or needs torch.
    """
    from napari_noisyseg.store import SUFFIX, Project

    path = Path(source)
    if str(source) == STARTER:
        return Starter()
    if path.suffix == SUFFIX:
        with Project.open(path, write=False) as project:
            return of_project(project)
    from napari_noisyseg.whole.trained import Trained

    return Trained.load(path, device)


def load_trained(path: Path, device: str, readers: Readers, key: str) -> Model:
    """A run's model file, read with networks that a project taught. Raises NoisySegError.

    key: of both together (`taught_key`); "" where nothing was learned.
    """
    from napari_noisyseg.whole.trained import Trained

    return Trained.load(path, device, readers, key)


def of_project(project: Any) -> Model:
    """The starter with what it learned in a project that is open."""
    from napari_noisyseg.coarse.project import centres_of, look_of

    return Starter(Readers(look_of(project), centres_of(project)), learned_key(project))


def learned_key(project: Any) -> str:
    """Digest of the starter's weights in a project; "" if nothing was learned there."""
    learned = [project.learned.of(name) for name in (CENTRES, OUTLINE)]
    parts = [b"" if found is None else found.path.read_bytes() for found in learned]
    return _digest(model(CENTRES), model(OUTLINE), *parts) if any(parts) else ""


def taught_key(model: str, learned: str) -> str:
    """Digest of a run's model and of what the starter learned; the model's where that is ""."""
    return _digest(model.encode(), learned.encode()) if learned else model


def starter_key() -> str:
    """Digest of the starter's weights as they are shipped."""
    return _digest(model(CENTRES), model(OUTLINE))
