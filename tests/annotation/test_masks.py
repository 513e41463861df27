from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_noisyseg import registry
from napari_noisyseg.annotation.masks import MANY_SPECKS, Judge
from napari_noisyseg.data.regions import Region, region_of
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import Needs

BOTH = Needs(rough=True, clean=True, labels=("rough", "clean"))
SIDE = 100
RGB = np.random.default_rng(2).integers(90, 220, (SIDE, SIDE, 3), dtype=np.uint8)


def needs_of(method: str) -> Needs:
    return registry.describe(method).needs


def region(rough: np.ndarray, clean: np.ndarray | None = None) -> Region:
    given = {} if clean is None else {"clean": clean}
    return region_of(RGB, 0.25, "slide", rough=rough, **given)


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


FROM_ROUGH = ("mmc", "mlbseg", "supervised", "superpixel", "jocor", "coteaching", "finetune")


@pytest.mark.parametrize("method", FROM_ROUGH)
def test_a_blob_over_everything_is_refused(method: str) -> None:
    with pytest.raises(NoisySegError, match="slide: one rough mask covers 81%"):
        judged(region(nucleus(5, 90), nucleus()), needs_of(method))


@pytest.mark.parametrize("method", FROM_ROUGH)
def test_thousands_of_specks_are_refused(method: str) -> None:
    specks = np.zeros((SIDE, SIDE), np.int32)
    specks[::2, ::2] = np.arange(1, 2501).reshape(50, 50)
    assert specks.max() > MANY_SPECKS
    with pytest.raises(NoisySegError, match="2500 of 2500 rough masks are specks"):
        judged(region(specks, nucleus()), needs_of(method))


@pytest.mark.parametrize("method", ["scnet", "igtt"])
def test_what_learns_from_no_mask_minds_none(method: str) -> None:
    judged(region(nucleus(5, 90), nucleus()), needs_of(method))


@pytest.mark.parametrize("method", ["supervised", "superpixel", "jocor"])
def test_masks_must_hold_nucleus_and_background(method: str) -> None:
    full = np.repeat(np.repeat(np.arange(1, 101).reshape(10, 10), 10, 0), 10, 1).astype(np.int32)
    with pytest.raises(NoisySegError, match=r"no background.*leave out what is no nucleus"):
        judged(region(full), needs_of(method))
    with pytest.raises(NoisySegError, match="no nucleus"):
        judged(region(np.zeros_like(full)), needs_of(method))
    judged(region(nucleus()), needs_of(method))


@pytest.mark.parametrize("method", ["scnet", *FROM_ROUGH])
@pytest.mark.parametrize("colour", [0, 255])
def test_blank_images_are_refused_where_all_are(method: str, colour: int) -> None:
    good = region(nucleus(40), nucleus())
    good = replace(good, clean_known=around(good.clean))
    blank = replace(good, rgb=np.full_like(RGB, colour))
    with pytest.raises(NoisySegError, match=f"nothing to train on: slide is blank.*{colour}"):
        judged(blank, needs_of(method))
    judge = Judge(needs_of(method))
    for one in (blank, good):
        judge.looked_at(one)
    judge.verdict()


def test_without_a_clean_nucleus_the_way_out_is_told() -> None:
    with pytest.raises(NoisySegError, match=r"no clean nucleus.*Review.*--as clean.*'supervised'"):
        judged(region(nucleus(40)))


def test_without_clean_background_the_way_out_is_told() -> None:
    full = region(nucleus(40), np.ones((SIDE, SIDE), np.int32))
    with pytest.raises(NoisySegError, match="no clean background"):
        judged(full)


def test_where_all_is_clean_there_is_nothing_to_correct() -> None:
    with pytest.raises(NoisySegError, match="nothing to correct"):
        judged(region(nucleus(40), nucleus()))
    with pytest.raises(NoisySegError, match=r"every pixel of the images.*nothing to correct"):
        judged(region(nucleus(40), nucleus()), needs_of("mlbseg"))


def test_bare_tissue_is_enough_for_what_learns_from_it() -> None:
    one = region(nucleus(), nucleus())
    bare = replace(one, clean_known=around(one.clean), rough_known=around(one.clean))
    judged(bare, needs_of("mlbseg"))
    with pytest.raises(NoisySegError, match="every pixel of the rough masks is clean"):
        judged(bare, needs_of("mmc"))
