"""A run's model on tiles: its network, and the starter's where nuclei are read with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg import instances, stains
from napari_noisyseg.coarse import centres
from napari_noisyseg.coarse.appearance import MPP, tone_of, unlike
from napari_noisyseg.coarse.readers import AS_SHIPPED, Readers
from napari_noisyseg.coarse.starter import Network
from napari_noisyseg.data.prepare import planes_of_pixels, stain_matrix
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.plans import Tiling
from napari_noisyseg.slides import Box, Slide
from napari_noisyseg.training.predict import Maps, predict_maps
from napari_noisyseg.training.predict import Model as RunModel
from napari_noisyseg.training.predict import load_model as load_run
from napari_noisyseg.training.refine import Evidence, judge
from napari_noisyseg.whole.lattice import Lattice
from napari_noisyseg.whole.model import (
    AROUND_UM,
    Nuclei,
    Seen,
    believed,
    drawn,
    gathered,
    outlined,
    seen_of,
    tone_document,
)
from napari_noisyseg.whole.plan import Plan, Tile

NUCLEI, STAINS = "starter", "stains"
"""In the slide's tone: what the starter measures, absent where it has no say; the stain matrix."""
SIDE, ON_GPU = 1024, 2048
ONE_PASS = Tiling(side=2**30, overlap=0)


class Windows(NamedTuple):
    """What the run's network sees, and the window in which nuclei are made of it."""

    lattice: Lattice
    window: Box
    image: NDArray[np.float32]
    component: NDArray[np.float32]
    seen: Seen
    maps: Maps | None = None


@dataclass(frozen=True)
class Trained:
    """A run's model; nuclei are read as its settings say, with the starter if they say so."""

    run: RunModel
    key: str
    side: int
    network: Network | None = None

    @classmethod
    def load(
        cls, path: Path, device: str = "auto", readers: Readers = AS_SHIPPED, key: str = ""
    ) -> Trained:
        """From a run's folder, which has readers of its own, or a model file.

        key: of the model and the readers; "" for the digest of the model. Raises NoisySegError.
        """
        run = load_run(path, device)
        if not path.is_dir():
            run = replace(run, readers=readers)
        file = path / "model.safetensors" if path.is_dir() else path
        return cls.of(run, key or hashlib.sha256(file.read_bytes()).hexdigest())

    @classmethod
    def of(cls, run: RunModel, digest: str) -> Trained:
        """Of a model that is loaded."""
        side = ON_GPU if run.device != "cpu" else SIDE
        network = None
        if run.config.prediction().splitting == "centres":
            try:
                run.readers.drawing()
                network = run.readers.finding()
            except NoisySegError:  # the networks are missing, which `doctor` tells
                pass
        return cls(run, digest, side, network)

    def mpp(self, slide_mpp: float) -> float:
        """0.25 where the starter reads the nuclei, else the slide's own."""
        return MPP if self.network is not None else slide_mpp

    def measure(self, sample: NDArray[np.uint8], mpp: float) -> dict[str, Any]:
        """One stain matrix for the slide, and the starter's tone where it can judge the slide."""
        matrix = stain_matrix(sample, self.run.config.pixels())
        tone: dict[str, Any] = {STAINS: {
            "W": matrix.W.tolist(), "x0": matrix.x0.tolist(),
            "source": matrix.source, "strength": matrix.strength,
        }}  # fmt: skip
        if self.network is not None and not unlike(sample):
            tone[NUCLEI] = tone_document(tone_of(sample))
        return tone

    def prepare(self, slide: Slide, plan: Plan, tile: Tile) -> Windows:
        """Read the tile once, for both networks."""
        starts = NUCLEI in plan.tone
        own = plan.lattice(self.run.config.working_mpp)
        nuclei = plan.lattice(MPP if starts else plan.mpp)
        there = nuclei.window(tile.core, AROUND_UM / plan.mpp)
        window = own.window(nuclei.source(there), 0)
        source = Box.around([own.source(window), nuclei.source(there)])
        pixels = slide.read(source)
        image, component = planes_of_pixels(
            own.sample(pixels, source, window), _matrix(plan.tone[STAINS])
        )
        rgb = np.ascontiguousarray(nuclei.sample(pixels, source, there))
        if starts:
            seen = seen_of(rgb, replace(plan, tone=plan.tone[NUCLEI]), tile, nuclei, there)
        else:
            seen = Seen(plan, tile, nuclei, there, rgb, np.zeros((0, 0, 0), np.float32))
        return Windows(own, window, image, component, seen)

    def look(self, prepared: Windows) -> Windows:
        """The run's network in one pass, in bfloat16 on a GPU; then the starter's."""
        maps = predict_maps(
            self.run.method, prepared.image, prepared.component, self.run.device, ONE_PASS
        )
        seen = prepared.seen
        if seen.planes.size:
            seen = seen._replace(maps=centres.probabilities(seen.planes, self.network))
        return prepared._replace(seen=seen, maps=maps)

    def gather(self, looked: Windows) -> Windows:
        """The network's probability where nuclei are made, and the starter's centres in it."""
        seen = looked.seen
        assert looked.maps is not None
        maps = {
            name: looked.lattice.onto(values, looked.window, seen.lattice, seen.window)
            for name, values in looked.maps.items()
            if name in ("probability", "uncertainty")
        }
        probability = np.ascontiguousarray(maps["probability"], np.float32)
        seen = seen._replace(probability=probability)
        return looked._replace(seen=seen if seen.maps is None else gathered(seen), maps=maps)

    def draw(self, gathered: Windows) -> Windows:
        """The starter's outlines, where nuclei are read with them."""
        if gathered.seen.maps is None:
            return gathered
        look = self.run.readers.drawing()
        return gathered._replace(seen=believed(drawn(gathered.seen, look), look))

    def split(self, drawn: Windows) -> Nuclei:
        """Nuclei of what the networks saw."""
        seen = drawn.seen
        assert drawn.maps is not None
        assert seen.probability is not None
        if seen.maps is not None:
            return outlined(seen, self.run.readers.drawing())
        return self._parted(seen, seen.probability, drawn.maps.get("uncertainty"))

    def _parted(
        self, seen: Seen, probability: NDArray[np.float32], doubt: NDArray[np.float32] | None
    ) -> Nuclei:
        """By the network's probability alone."""
        mpp = seen.plan.mpp
        if self.run.config.prediction().splitting == "components":
            labels = instances.components(probability, mpp)
        else:
            labels = instances.from_probability(probability, mpp)
        density = stains.densities(seen.rgb, _matrix(seen.plan.tone[STAINS]))[0]
        unsure = np.zeros_like(probability) if doubt is None else doubt
        evidence = Evidence(probability, unsure, density, seen.rgb, mpp)
        places = {
            label: ((w[0].start + w[0].stop - 1) // 2, (w[1].start + w[1].stop - 1) // 2)
            for label, w in enumerate(ndi.find_objects(labels), start=1)
            if w is not None
        }
        return Nuclei(seen.lattice, seen.window, labels, places, judge(evidence, labels))


def _matrix(document: Any) -> stains.StainMatrix:
    return stains.StainMatrix(
        np.array(document["W"], np.float64),
        np.array(document["x0"], np.float64),
        "estimated" if document["source"] == "estimated" else "fixed",
        float(document["strength"]),
    )
