import numpy as np
import pytest

from napari_noisyseg.instances import measure


def test_a_square_and_a_line_at_half_a_micrometre():
    labels = np.zeros((30, 30), np.int32)
    labels[2:12, 3:13] = 70000
    labels[20, 5:25] = 3
    density = np.where(labels == 3, 0.2, 0.7) + np.zeros(labels.shape)
    line, square = measure(labels, density, mpp=0.5)
    assert (line.label, square.label) == (3, 70000)
    assert square.area_um2 == pytest.approx(25)
    assert square.perimeter_um == pytest.approx(18)
    assert square.eccentricity == pytest.approx(0)
    assert line.eccentricity == pytest.approx(1)
    assert line.mean_hematoxylin == pytest.approx(0.2)


def test_one_pixel_and_none():
    labels = np.zeros((5, 5), np.int32)
    assert measure(labels, np.ones((5, 5)), 0.25) == []
    labels[2, 2] = 1
    (pixel,) = measure(labels, np.ones((5, 5)), 0.25)
    assert (pixel.area_um2, pixel.perimeter_um, pixel.eccentricity) == (0.0625, 0, 0)
