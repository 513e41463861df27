"""The straight way, every nucleus on the full frame, comes to the same labels."""

from __future__ import annotations

import numpy as np

from napari_noisyseg.benchmarks.straight import Straight, seconds
from napari_noisyseg.benchmarks.tissue import inner_points
from napari_noisyseg.coarse import CoarseLabels


def test_same_labels_as_on_crops(tnbc) -> None:
    rgb, truth = (np.ascontiguousarray(a[90:250, 40:230]) for a in tnbc)
    points = {s: (float(y), float(x)) for s, (y, x) in enumerate(inner_points(truth), 1)}
    labels = CoarseLabels(rgb, points, np.ones(truth.shape, bool), 0.25)
    straight = Straight(rgb, points, labels.fit)
    for serial in points:
        straight.nearest(serial)
    straight.whole()
    for serial in points:
        straight.nucleus(serial)
    np.testing.assert_array_equal(straight.cells.owner, labels.cells)
    for plane in ("voronoi", "cluster", "local", "instances"):
        np.testing.assert_array_equal(getattr(straight, plane), getattr(labels, plane), plane)
    assert 0 < seconds(rgb, points, labels, 3) < 60
