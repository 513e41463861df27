import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from napari_noisyseg.instances import from_points


def check_every_point_has_one_whole_nucleus(labels, points):
    for k, (y, x) in enumerate(np.floor(np.asarray(points) + 0.5).astype(int)):
        mask = labels == k + 1
        if not (0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]):
            assert not mask.any()
            continue
        assert ndi.label(mask)[1] == 1
        assert (ndi.binary_fill_holes(mask) == mask).all()
    assert labels.max() <= len(points)


coordinates = st.tuples(st.floats(-8, 50), st.floats(-8, 60))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(coordinates, max_size=12, unique_by=lambda p: tuple(np.floor(np.add(p, 0.5)))),
    st.integers(0, 9),
)
def test_any_points_on_any_evidence(points, seed):
    rng = np.random.default_rng(seed)
    blur = ndi.gaussian_filter(rng.random((42, 52)), seed / 3)
    probability = np.clip((blur - blur.mean()) / max(blur.std(), 1e-6) + 0.5, 0, 1)
    points = np.array(points, float).reshape(-1, 2)
    labels = from_points(probability, points, rng.random((42, 52)), 0.25)
    check_every_point_has_one_whole_nucleus(labels, points)
