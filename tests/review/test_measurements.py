from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import regionprops

from napari_noisyseg import stains
from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.review import ReviewQueue, measurements
from napari_noisyseg.review.before import clicked_outlines, most_overlapped, old_outline
from napari_noisyseg.review.measurements import measure_image
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Outline

MPP = 0.5


@pytest.mark.parametrize("tile", [2048, 100])
def test_every_nucleus_is_measured_as_if_alone(project, tnbc, monkeypatch, tile):
    monkeypatch.setattr(measurements, "TILE", tile)
    items = ReviewQueue(project).items
    found = measure_image(project, items)
    assert len(found) == len(items)
    density = stains.densities(tnbc[0])[0]
    for item in items[::7]:
        outline, row = item.candidate.outline, found[item.id]
        assert row.area_um2 == pytest.approx(outline.mask.sum() * MPP**2)
        inside = density[outline.box.slices][outline.mask]
        assert row.mean_hematoxylin == pytest.approx(inside.mean(), rel=1e-5)
        (alone,) = regionprops(outline.mask.astype(int))
        assert row.eccentricity == pytest.approx(alone.eccentricity)
    assert measure_image(project, []) == {}


def test_old_outline_is_the_painted_mask_that_it_covers_most(project):
    item = ReviewQueue(project).items[0]
    assert old_outline(project, item) is None
    y, x = (round(v) for v in (item.candidate.y, item.candidate.x))
    box = Box(y - 3, x - 3, y + 4, x + 4)
    project.nuclei.paint("tnbc", box, np.zeros((7, 7), np.int32), np.full((7, 7), 8, np.int32))
    old = old_outline(project, item)
    assert old == Outline(box, np.ones((7, 7), bool))


def test_old_outline_is_else_the_piece_of_the_coarse_label(project):
    item = ReviewQueue(project).items[0]
    label = np.full((512, 512), 2, np.uint8)
    box = item.candidate.outline.box
    label[box.slices] = item.candidate.outline.mask
    project.labels.write("tnbc", "local", label, {})
    assert old_outline(project, item) is not None
    overlap = old_outline(project, item).mask.sum() / item.candidate.outline.mask.sum()
    assert 0.5 < overlap <= 1
    label[box.y0 : box.y1, (box.x0 + box.x1) // 2 :] = 0
    project.labels.write("tnbc", "outline", label, {})
    half = old_outline(project, item).mask.sum() / item.candidate.outline.mask.sum()
    assert 0.2 < half < 0.8


def test_what_a_click_alone_gives_are_the_networks_outlines(project):
    assert clicked_outlines(project, "tnbc") is None
    project.nuclei.add_many("tnbc", [(226.6, 84.5), (228.9, 68.9)])
    nuclei = project.nuclei.of("tnbc")
    found = clicked_outlines(project, "tnbc")
    assert found.shape == (512, 512)
    assert set(np.unique(found)) == {0, *(n.serial for n in nuclei)}
    points = {n.serial: (n.y, n.x) for n in nuclei}
    record = project.image("tnbc")
    with project.pixels("tnbc") as slide:
        rgb = slide.read(Box(0, 0, 512, 512))
    known = np.ones((512, 512), bool)
    np.testing.assert_array_equal(found, CoarseLabels(rgb, points, known, record.mpp).outlines)


def test_most_overlapped():
    pieces = np.array([[1, 1, 0], [2, 2, 2], [0, 0, 0]], np.int32)
    inside = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    assert most_overlapped(pieces, inside).tolist() == (pieces == 2).tolist()
    assert most_overlapped(pieces * 0, inside) is None
