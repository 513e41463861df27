"""Whole slides: the same nuclei whatever the tiles, their order, and where it was broken off."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_noisyseg.coarse.readers import Readers
from napari_noisyseg.coarse.starter import OUTLINE, Network, at_click, model_weights
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Slide, from_array
from napari_noisyseg.store.arrays import open_array
from napari_noisyseg.whole import (
    Lattice,
    Plan,
    Stitched,
    TileNuclei,
    load_model,
    load_trained,
    make_plan,
    nuclei_of_tile,
    predicted,
)
from napari_noisyseg.whole.stitch import discard
from napari_noisyseg.whole.tissue import find_tissue

RGB = NDArray[np.uint8]
MODEL = load_model("starter")


@pytest.fixture(scope="module")
def slide(tnbc: tuple[RGB, NDArray[np.int32]]) -> Slide:
    """Real tissue, mirrored to 700 x 900 px, with glass on its right."""
    wide = np.pad(tnbc[0], ((0, 188), (0, 388), (0, 0)), mode="symmetric")
    wide[:, 760:] = 243
    return from_array(wide, 0.25, "tissue")


@pytest.fixture(scope="module")
def found(slide: Slide) -> tuple[Plan, list[TileNuclei]]:
    """Its plan of 256 px tiles, and what is in each."""
    plan = make_plan(slide, 0.25, "sha", MODEL, 256)
    return plan, list(predicted(slide, MODEL, plan, plan.tiles()))


def _labels(folder: Path) -> NDArray[np.int32]:
    return np.asarray(open_array(folder, 0, "r")[:])


def _outlines(stitched: Stitched) -> set[tuple[tuple[int, ...], bytes]]:
    return {
        (tuple(nuclei.box(k)), nuclei.masks[k])
        for _, nuclei in stitched.nuclei()
        for k in range(len(nuclei))
    }


@pytest.mark.long
def test_nuclei_do_not_depend_on_the_size_of_tiles(
    slide: Slide, found: tuple[Plan, list[TileNuclei]], tmp_path: Path
) -> None:
    plan, results = found
    small = Stitched(tmp_path / "a", tmp_path / "a.ome.zarr", plan, "a")
    for result in results:
        small.add(result)
    large_plan = make_plan(slide, 0.25, "sha", MODEL, 1024)
    large = Stitched(tmp_path / "b", tmp_path / "b.ome.zarr", large_plan, "b")
    large.add(nuclei_of_tile(slide, MODEL, large_plan, large_plan.tile(0)))
    first, second = _outlines(small), _outlines(large)
    assert len(first) > 60
    assert len(first ^ second) <= 0.01 * len(first)
    same = (_labels(tmp_path / "a.ome.zarr") > 0) == (_labels(tmp_path / "b.ome.zarr") > 0)
    assert same.mean() > 0.9995


def test_tiles_in_any_order_give_the_same_labels(
    found: tuple[Plan, list[TileNuclei]], tmp_path: Path
) -> None:
    plan, results = found
    made = []
    for seed in range(3):
        folder = tmp_path / str(seed)
        stitched = Stitched(folder / "t", folder / "o.ome.zarr", plan, "o")
        shown = []
        for result in random.Random(seed).sample(results, len(results)):
            shown += stitched.add(result)
        assert sorted(t.index for t in shown) == sorted(stitched.done)
        made.append(_labels(folder / "o.ome.zarr"))
    assert (made[0] == made[1]).all()
    assert (made[0] == made[2]).all()


def test_what_is_in_the_table_is_in_the_labels_once(
    found: tuple[Plan, list[TileNuclei]], tmp_path: Path
) -> None:
    plan, results = found
    stitched = Stitched(tmp_path / "t", tmp_path / "o.ome.zarr", plan, "o")
    for result in results:
        stitched.add(result)
    labels = _labels(tmp_path / "o.ome.zarr")
    ids = np.concatenate([settled.ids for settled in stitched.nuclei()])
    assert sorted(ids.tolist()) == np.unique(labels)[1:].tolist()
    sizes = np.bincount(labels.ravel(), minlength=int(ids.max()) + 1)
    for settled in stitched.nuclei():
        for k, id in enumerate(settled.ids.tolist()):
            assert settled.nuclei.mask(k).sum() == sizes[id]


def test_the_same_nucleus_found_by_two_tiles_is_kept_once(
    found: tuple[Plan, list[TileNuclei]], tmp_path: Path
) -> None:
    plan, results = found
    stitched = Stitched(tmp_path / "t", tmp_path / "o.ome.zarr", plan, "o")
    first, second = results[0], results[1]
    assert second.index in (first.index + 1, first.index + plan.grid[1])
    again = TileNuclei(
        second.index,
        np.concatenate([second.boxes, first.boxes]),
        second.masks + first.masks,
        np.concatenate([second.places, first.places]),
        np.concatenate([second.scores, first.scores]),
        second.reasons + first.reasons,
    )
    stitched.add(again)
    stitched.add(first)
    assert len(stitched.settled(second.index).ids) == len(second)


class _Killed(BaseException):
    pass


def test_broken_off_anywhere_and_resumed_the_labels_are_the_same(
    found: tuple[Plan, list[TileNuclei]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, results = found
    whole = Stitched(tmp_path / "w", tmp_path / "w.ome.zarr", plan, "w")
    for result in results:
        whole.add(result)
    draw, done = random.Random(7), False
    made: dict[str, int] = {}
    original = {name: getattr(module, attribute) for name, (module, attribute) in _WRITERS.items()}
    while not done:
        left = draw.randrange(1, 12)

        def dying(write: Callable[..., object]) -> Callable[..., object]:
            def step(*args: object, **more: object) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    raise _Killed
                return write(*args, **more)

            return step

        for name, (module, attribute) in _WRITERS.items():
            monkeypatch.setattr(module, attribute, dying(original[name]))
        try:
            again = Stitched(tmp_path / "k", tmp_path / "k.ome.zarr", plan, "k")
            again.lay()
            for result in results:
                if result.index not in again.done:
                    again.add(result)
            done = True
        except _Killed:
            pass
        for file in (tmp_path / "k" / "tiles").glob("*.npz"):
            assert made.setdefault(file.name, file.stat().st_mtime_ns) == file.stat().st_mtime_ns
    assert len(made) == len(results)
    assert (_labels(tmp_path / "k.ome.zarr") == _labels(tmp_path / "w.ome.zarr")).all()


def _writers() -> dict[str, tuple[object, str]]:
    from napari_noisyseg.store import pyramid
    from napari_noisyseg.whole import stitch, tile

    return {
        "labels": (pyramid, "write_labels"),
        "sync": (pyramid, "sync_box"),
        "tile": (tile, "write_atomically"),
        "plan": (stitch, "write_atomically"),
    }


_WRITERS = _writers()


def test_another_model_or_slide_is_refused_and_nothing_is_lost(
    found: tuple[Plan, list[TileNuclei]], tmp_path: Path
) -> None:
    plan, results = found
    Stitched(tmp_path / "t", tmp_path / "o.ome.zarr", plan, "o").add(results[0])
    changes = ({"sha": "other"}, {"model": "m"}, {"mpp": 0.5}, {"channel": 2}, {"icc": True})
    for other in (replace(plan, **change) for change in changes):
        with pytest.raises(NoisySegError, match="folder"):
            Stitched(tmp_path / "t", tmp_path / "o.ome.zarr", other, "o")
    assert Stitched(tmp_path / "t", tmp_path / "o.ome.zarr", plan, "o").done == {results[0].index}


def test_labels_of_an_earlier_plan_do_not_stay_among_new_ones(
    found: tuple[Plan, list[TileNuclei]], tmp_path: Path
) -> None:
    plan, results = found
    for result in results:
        Stitched(tmp_path / "t", tmp_path / "o.ome.zarr", plan, "o").add(result)
    assert _labels(tmp_path / "o.ome.zarr").any()
    shutil.rmtree(tmp_path / "t")
    Stitched(tmp_path / "t", tmp_path / "o.ome.zarr", replace(plan, model="m"), "o")
    assert not _labels(tmp_path / "o.ome.zarr").any()


def test_a_folder_of_somebody_else_is_never_replaced(
    found: tuple[Plan, list[TileNuclei]], tmp_path: Path
) -> None:
    labels = tmp_path / "o.ome.zarr"
    labels.mkdir()
    (labels / ".zattrs").write_text('{"multiscales": []}')
    with pytest.raises(NoisySegError, match="not made by an earlier prediction"):
        Stitched(tmp_path / "t", labels, found[0], "o")
    with pytest.raises(NoisySegError, match="not made by an earlier prediction"):
        discard(tmp_path / "t", labels)
    assert (labels / ".zattrs").is_file()


def test_glass_is_not_predicted(slide: Slide) -> None:
    plan = make_plan(slide, 0.25, "sha", MODEL, 256)
    cores = [tile.core for tile in plan.tiles()]
    assert any(core.x0 <= 512 < core.x1 for core in cores)
    blank = from_array(np.full((700, 900, 3), 243, np.uint8), 0.25, "glass")
    assert not find_tissue(blank, 0.25).mask.any()


def test_a_plan_and_a_tile_come_back_from_their_files(
    found: tuple[Plan, list[TileNuclei]], tmp_path: Path
) -> None:
    plan, results = found
    (tmp_path / "plan.json").write_text(plan.text())
    again = Plan.read(tmp_path / "plan.json")
    assert again.text() == plan.text()
    results[0].write(tmp_path / "0.npz")
    back = TileNuclei.read(tmp_path / "0.npz")
    assert back.to_bytes() == results[0].to_bytes()
    (tmp_path / "0.npz").write_bytes(results[0].to_bytes()[:-40])
    with pytest.raises(NoisySegError):
        TileNuclei.read(tmp_path / "0.npz")


@settings(max_examples=25, deadline=None)
@given(
    step=st.floats(0.45, 2.5), y=st.integers(0, 200), x=st.integers(0, 200), side=st.integers(1, 90)
)
def test_a_window_has_the_pixels_that_the_whole_lattice_has(
    slide: Slide, step: float, y: int, x: int, side: int
) -> None:
    lattice = Lattice(*slide.shape, step)
    whole = lattice.read(slide, Box(0, 0, *lattice.shape))
    window = Box(y, x, y + side, x + side).clip(lattice.shape)
    if window.empty:
        return
    part = lattice.read(slide, window)
    # resampling counts in hundredths of a grey level
    assert np.abs(part.astype(int) - whole[window.slices]).max() <= 1


@settings(max_examples=50, deadline=None)
@given(step=st.floats(0.3, 3), cut=st.integers(1, 200))
def test_every_level_0_row_is_of_one_row_of_the_lattice(step: float, cut: int) -> None:
    lattice = Lattice(300, 300, step)
    last = lattice.shape[0]
    middle = min(cut, last)
    rows = np.concatenate([lattice.rows(0, middle, 300), lattice.rows(middle, last, 300)])
    assert (np.diff(rows) == 1).all()
    assert rows[0] == 0
    assert len(rows) > 300 - step - 1


@pytest.mark.parametrize("splitting", ["watershed", "centres"])
@pytest.mark.long
def test_a_trained_network_finds_the_same_whatever_the_tiles(
    slide: Slide, tnbc: tuple[RGB, NDArray[np.int32]], tmp_path: Path, splitting: str
) -> None:
    from toy_network import trained_file

    model = load_model(trained_file(tmp_path, tnbc, splitting), "cpu")
    made = []
    for side in (256, 1024):
        plan = make_plan(slide, 0.25, "sha", model, side)
        stitched = Stitched(tmp_path / str(side), tmp_path / f"{side}.ome.zarr", plan, "o")
        for result in predicted(slide, model, plan, plan.tiles()):
            stitched.add(result)
        made.append(_outlines(stitched))
    assert len(made[1]) > 40
    assert len(made[0] ^ made[1]) <= 0.02 * len(made[1])


@pytest.mark.long
def test_what_the_starter_learned_draws_the_nuclei_of_a_trained_network(
    slide: Slide, tnbc: tuple[RGB, NDArray[np.int32]], tmp_path: Path
) -> None:
    from toy_network import trained_file

    weights = dict(model_weights(OUTLINE))
    weights["head.bias"] = weights["head.bias"] + np.float32(1.5)
    readers = Readers(at_click(Network(OUTLINE, weights)))
    file, areas = trained_file(tmp_path, tnbc, "centres"), []
    for model in (load_model(file, "cpu"), load_trained(file, "cpu", readers, "taught")):
        plan = make_plan(slide, 0.25, "sha", model, 512)
        found = nuclei_of_tile(slide, model, plan, plan.tile(0))
        areas.append(sum(int(found.mask(k).sum()) for k in range(len(found))))
    assert model.key == plan.model == "taught"
    assert areas[1] > 1.05 * areas[0]
