import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.measure import regionprops

from napari_noisyseg.instances import shapes_of

masks = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(lambda s: arrays(bool, s))


def check(found: list[np.ndarray]) -> None:
    height, width = np.max([m.shape for m in found], axis=0) + 2
    stack = np.zeros((len(found), height, width), np.uint8)
    for place, mask in zip(stack, found, strict=True):
        place[1 : mask.shape[0] + 1, 1 : mask.shape[1] + 1] = mask
    shapes = shapes_of(stack)
    for k, mask in enumerate(found):
        (alone,) = regionprops(mask.astype(np.uint8))
        assert shapes.areas[k] == alone.area
        np.testing.assert_allclose(shapes.perimeters[k], alone.perimeter, rtol=1e-12)
        np.testing.assert_allclose(shapes.eccentricities[k], alone.eccentricity, atol=2e-7)


@settings(deadline=None)
@given(st.lists(masks.filter(np.any), min_size=1, max_size=5))
def test_shapes_of_many_masks_are_those_of_each(found: list[np.ndarray]) -> None:
    check(found)


def test_shapes_of_real_nuclei(tnbc: tuple[np.ndarray, np.ndarray]) -> None:
    labels = tnbc[1]
    boxes = ndimage.find_objects(labels)
    check([labels[box] == k for k, box in enumerate(boxes, start=1) if box is not None])


def test_a_very_wide_mask_is_measured_exactly() -> None:
    check([np.ones((300, 900), bool), np.tri(400, 400, dtype=bool)])
