from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from toy_method import Toy, config

from napari_noisyseg.data.prepare import training_image
from napari_noisyseg.data.regions import region_of
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN, Batch, TrainingImage
from napari_noisyseg.training.explain import changes, explain, window

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


class Doubting(Toy):
    """Believes that a rough nucleus is one where it is dark."""

    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"corrected": (batch.labels["rough"] == NUCLEUS) * (1 - batch.hematoxylin[:, 0])}


def image_of(tnbc: Tissue) -> TrainingImage:
    rgb, nuclei = tnbc[0][:200, :240], tnbc[1][:200, :240]
    region = region_of(rgb, 0.25, rough=nuclei, points=np.array([[100.0, 120.0]]))
    return training_image(region, config(working_mpp=0.5), ("rough",))


def test_maps_are_of_the_whole_image(tnbc: Tissue) -> None:
    image = image_of(tnbc)
    corrected = explain(Doubting(config()), image, "cpu")["corrected"]
    assert corrected.shape == (100, 120)
    expected = np.where(image.labels["rough"] == NUCLEUS, 1 - image.hematoxylin[0], 0)
    np.testing.assert_allclose(corrected, expected, atol=1e-6)
    assert explain(Toy(config()), image, "cpu") == {}


def test_a_window_is_cut_alike_from_every_plane(tnbc: Tissue) -> None:
    image = image_of(tnbc)
    part = window(image, (90, 30), (40, 50))
    assert np.array_equal(part.image, image.image[:, 60:100, 30:80])
    assert np.array_equal(part.labels["rough"], image.labels["rough"][60:100, 30:80])
    np.testing.assert_allclose(part.points, image.points - (60, 30))


def test_changes_against_the_rough_mask() -> None:
    rough = np.array([[NUCLEUS, NUCLEUS, BACKGROUND, BACKGROUND, UNKNOWN, UNKNOWN]], np.uint8)
    corrected = np.array([[True, False, True, False, True, False]])
    assert changes(corrected, rough).tolist() == [[1, 3, 2, 0, 2, 0]]
    clean = np.array([[UNKNOWN] * 4 + [NUCLEUS, BACKGROUND]], np.uint8)
    assert changes(corrected, rough, clean).tolist() == [[1, 3, 2, 0, 1, 0]]
