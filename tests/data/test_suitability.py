"""What cannot teach a method that has rough labels alone is said before training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_images import image_of

from napari_noisyseg.data.loader import TrainingData
from napari_noisyseg.data.suitability import check
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import MethodConfig, Needs, TrainingImage

ROUGH = Needs(rough=True)


def rough_image(shape: tuple[int, int], **changes: Any) -> TrainingImage:
    image = image_of(shape)
    return replace(image, labels={"rough": image.labels["local"]}, **changes)


def refused(*images: TrainingImage) -> str:
    with pytest.raises(NoisySegError) as error:
        TrainingData(images, MethodConfig(), ROUGH)
    return str(error.value)


@pytest.mark.parametrize(("state", "word"), [(0, "no nucleus"), (1, "no background")])
def test_labels_of_one_class(state: int, word: str) -> None:
    images = [rough_image((64, 64)) for _ in range(2)]
    flat = [replace(i, labels={"rough": np.full((64, 64), state, np.uint8)}) for i in images]
    assert word in refused(*flat)
    check([flat[0], images[1]], MethodConfig(), ROUGH)


def test_images_too_small_for_a_tile() -> None:
    assert "20x60 px" in refused(rough_image((60, 20)), rough_image((16, 50)))
    check([rough_image((60, 20)), rough_image((40, 32))], MethodConfig(), ROUGH)


def test_one_giant_superpixel() -> None:
    giant = np.ones((64, 64), np.int32)
    giant[:8] = 2
    small = np.arange(64 * 64, dtype=np.int32).reshape(64, 64) // 16 + 1
    images = [rough_image((64, 64), superpixels=ids) for ids in (giant, small)]
    assert "88 % of an image" in refused(images[0])
    check(images, MethodConfig(), ROUGH)


def test_methods_with_other_labels_are_not_asked() -> None:
    tiny = rough_image((16, 16))
    check([tiny], MethodConfig(), Needs(rough=True, clean=True))
    check([tiny], MethodConfig(), Needs(points=True))
