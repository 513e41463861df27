"""What is a nucleus among the finds: learned from clicked nuclei and rejected finds, kept, used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass
from scipy.spatial import KDTree

from napari_noisyseg.coarse import belief
from napari_noisyseg.coarse.appearance import appearance
from napari_noisyseg.coarse.centres import believed, centres
from napari_noisyseg.coarse.outline import seen_at
from napari_noisyseg.coarse.starter import OUTLINE, Network, at_click, model_weights
from napari_noisyseg.whole.model import Seen
from napari_noisyseg.whole.model import believed as of_tile

Known = tuple[NDArray[np.float64], NDArray[np.bool_]]


@pytest.fixture(scope="module")
def measured(tnbc: Any) -> Known:
    """Figures at the bundled field's nuclei, and where the starter finds what is none."""
    rgb, truth = tnbc
    nuclei = np.array(center_of_mass(truth > 0, truth, np.unique(truth)[1:]))
    found = centres(rgb, 0.25, least=0.1).points
    places = np.concatenate([nuclei, found[KDTree(nuclei).query(found)[0] > 8]])
    planes = appearance(rgb, 0.25)
    squares = seen_at(planes, places, at_click(Network(OUTLINE)))
    return belief.figures(planes, places, squares), np.arange(len(places)) < len(nuclei)


def test_finds_that_are_none_are_told_from_nuclei(measured: Known) -> None:
    figures, standing = measured
    first = np.arange(len(standing)) % 2 == 0
    made = belief.learned(figures[first], standing[first])
    assert made is not None
    chance = made.chance(figures[~first])
    assert chance[standing[~first]].mean() > chance[~standing[~first]].mean() + 0.2
    surer = belief.learned(figures[first], standing[first], right=0.8)
    assert surer is not None
    assert (surer.chance(figures) > made.chance(figures)).all()


def test_few_or_mixed_decisions_teach_nothing(measured: Known) -> None:
    figures, standing = measured
    none = np.flatnonzero(~standing)[: belief.FEWEST - 1]
    few = np.concatenate([np.flatnonzero(standing), none])
    assert belief.learned(figures[few], standing[few]) is None
    assert belief.learned(figures, np.random.default_rng(0).permutation(standing)) is None


def test_it_lies_beside_the_weights_and_changes_no_outline(measured: Known, tnbc: Any) -> None:
    made = belief.learned(*measured)
    assert made is not None
    weights = model_weights(OUTLINE)
    network = Network(OUTLINE, weights | made.tensors())
    assert network.belief is not None
    np.testing.assert_array_equal(network.belief.weight, made.weight)
    assert belief.without(weights | made.tensors()).keys() == weights.keys()
    assert Network(OUTLINE, weights).belief is None
    shaped = {**made.tensors(), belief.PREFIX + "weight": np.zeros(3, np.float32)}
    assert belief.of_tensors(shaped) is None
    every = centres(tnbc[0], 0.25)
    assert len(believed(every, tnbc[0], 0.25, at_click(network)).points) < len(every.points)
    assert believed(every, tnbc[0], 0.25, at_click(Network(OUTLINE))) is every


def test_tiles_of_slides_are_without_them_too(measured: Known, tnbc: Any) -> None:
    made = belief.learned(*measured)
    assert made is not None
    taught = at_click(Network(OUTLINE, made.tensors()))
    planes, places = appearance(tnbc[0], 0.25), centres(tnbc[0], 0.25).points.astype(np.intp)
    squares = seen_at(planes, places.astype(np.float64), taught)
    nothing: Any = None
    seen = Seen(
        nothing, nothing, nothing, nothing, tnbc[0], planes,
        places=places, middles=places, squares=squares,
    )  # fmt: skip
    left = of_tile(seen, taught)
    assert left.places is not None
    assert left.middles is not None
    assert left.squares is not None
    assert 0 < len(left.places) < len(places)
    assert len(left.middles) == len(left.squares) == len(left.places)
    assert of_tile(seen, at_click(Network(OUTLINE))) is seen
