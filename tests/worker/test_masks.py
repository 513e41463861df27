from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_noisyseg.data.regions import Region, region_of
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import Needs
from napari_noisyseg.worker.masks import MANY_SPECKS, Judge

BOTH = Needs(rough=True, clean=True)
SIDE = 100


def region(rough: np.ndarray, clean: np.ndarray | None = None) -> Region:
    rgb = np.full((SIDE, SIDE, 3), 200, np.uint8)
    given = {} if clean is None else {"clean": clean}
    return region_of(rgb, 0.25, "slide", rough=rough, **given)


def nucleus(at: int = 10, side: int = 12) -> np.ndarray:
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[at : at + side, at : at + side] = 1
    return labels


def around(mask: np.ndarray) -> np.ndarray:
    known = np.zeros(mask.shape, bool)
    known[8:26, 8:26] = True
    return known


def judged(one: Region, needs: Needs = BOTH) -> None:
    judge = Judge(needs)
    assert judge.looked_at(one) is one
    judge.verdict()


def test_masks_with_a_few_clean_nuclei_pass() -> None:
    one = region(nucleus(40), nucleus())
    judged(replace(one, clean_known=around(one.clean)))


def test_a_blob_over_everything_is_refused() -> None:
    with pytest.raises(NoisySegError, match="slide: one rough mask covers 81%"):
        judged(region(nucleus(5, 90), nucleus()))
    judged(region(nucleus(5, 90), nucleus()), Needs())


def test_thousands_of_specks_are_refused() -> None:
    specks = np.zeros((SIDE, SIDE), np.int32)
    specks[::2, ::2] = np.arange(1, 2501).reshape(50, 50)
    assert specks.max() > MANY_SPECKS
    with pytest.raises(NoisySegError, match="2500 of 2500 rough masks are specks"):
        judged(region(specks, nucleus()))


def test_without_a_clean_nucleus_the_way_out_is_told() -> None:
    with pytest.raises(NoisySegError, match=r"no clean nucleus.*Review.*--clean.*'supervised'"):
        judged(region(nucleus(40)))


def test_without_clean_background_the_way_out_is_told() -> None:
    full = region(nucleus(40), np.ones((SIDE, SIDE), np.int32))
    with pytest.raises(NoisySegError, match="no clean background"):
        judged(full)


def test_where_all_is_clean_there_is_nothing_to_correct() -> None:
    with pytest.raises(NoisySegError, match="nothing to correct"):
        judged(region(nucleus(40), nucleus()))
