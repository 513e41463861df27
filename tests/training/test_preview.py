from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from toy_method import Toy, config

from napari_noisyseg.data.regions import Region, region_of
from napari_noisyseg.training import preview
from napari_noisyseg.training.preview import Preview

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


def region(tnbc: Tissue, name: str = "field") -> Region:
    rgb, labels = tnbc[0][:200, :300], tnbc[1][:200, :300]
    points = ndimage.center_of_mass(labels > 0, labels, np.unique(labels)[1:])
    return region_of(rgb, 0.25, name, points=np.array(points))


def test_a_picture_has_maps_and_outlines_at_working_resolution(
    tmp_path: Path, tnbc: Tissue
) -> None:
    shown = Preview(region(tnbc), config(working_mpp=0.5), tmp_path, "cpu")
    event = shown.take(Toy(config()), 7)
    assert (event.image, event.epoch, event.scale) == ("field", 7, 2.0)
    # where the centre of the first map pixel lies
    assert event.origin == (0.5, 0.5)
    with np.load(tmp_path / event.path) as maps:
        assert sorted(maps.files) == ["probability", "refined", "uncertainty"]
        assert maps["refined"].shape == maps["probability"].shape == (100, 150)
        assert set(np.unique(maps["refined"])) <= {0, *region(tnbc).serials}
    assert shown.predict_seconds > 0
    assert shown.refine_seconds > 0


def test_of_a_large_region_the_annotated_middle_is_shown(
    tmp_path: Path, tnbc: Tissue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "MAX_SIDE", 40)
    whole = region(tnbc)
    shown = Preview(whole, config(working_mpp=0.5), tmp_path, "cpu")
    event = shown.take(Toy(config()), 0)
    y, x = np.median(whole.points, axis=0)
    assert abs(event.origin[0] + 40 - y) < 42
    assert abs(event.origin[1] + 40 - x) < 42
    with np.load(tmp_path / event.path) as maps:
        assert maps["probability"].shape == (40, 40)
        inside = set(np.unique(maps["refined"])) - {0}
    box = shown.box
    marked = {
        int(s)
        for s, (py, px) in zip(whole.serials, whole.points, strict=True)
        if box.contains(py, px)
    }
    assert inside <= marked
    assert inside


def test_few_pictures_stay_on_the_disk(tmp_path: Path, tnbc: Tissue) -> None:
    shown = Preview(region(tnbc), config(working_mpp=1.0), tmp_path, "cpu")
    paths = [shown.take(Toy(config()), i).path for i in range(5)]
    other = shown.of(region(tnbc, "other"))
    event = other.take(Toy(config()), 5)
    assert event.image == "other"
    assert event.path not in paths
    kept = sorted(p.name for p in (tmp_path / "previews").iterdir())
    assert kept == ["000004.npz", "000005.npz", "000006.npz"]
