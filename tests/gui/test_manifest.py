"""What napari calls: the manifest, readers, samples, writers, menus."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import npe2
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.plugins.utils import get_preferred_reader
from napari.settings import get_settings
from npe2 import PluginManifest

from napari_noisyseg import samples
from napari_noisyseg.exchange import csv_points, geojson
from napari_noisyseg.gui import readers, writers
from napari_noisyseg.gui.samples import field, slide
from napari_noisyseg.gui.session import session_of
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.store.project import Project

MANIFEST = Path(samples.FOLDER).parent / "napari.yaml"


def test_npe2_finds_nothing_wrong() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", "--imports", str(MANIFEST)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_property_has_a_title() -> None:
    """Without, napari 0.9 skips the whole plugin with no more than a line in the log."""
    manifest = PluginManifest.from_file(MANIFEST)
    configurations = manifest.contributions.configurations
    assert configurations
    for configuration in configurations.values():
        for key, found in configuration.properties.items():
            assert found.title, key


def test_slide_is_read_in_micrometres() -> None:
    reader = readers.get_reader(str(samples.SLIDE))
    assert reader is not None
    ((data, keywords, kind),) = reader(str(samples.SLIDE))
    assert kind == "image"
    assert keywords["scale"][0] == pytest.approx(0.499, abs=1e-3)
    assert np.asarray(data[0] if keywords.get("multiscale") else data).shape == (2967, 2220, 3)


def test_pyramid_is_lazy(data_dir: Path) -> None:
    path = data_dir / "slides" / "CMU-1-Small-Region_pyramid_DERIVED.ome.tif"
    ((levels, keywords, _),) = readers.read_slide(str(path))
    assert keywords["multiscale"]
    assert len(levels) > 1
    assert not any(isinstance(level, np.ndarray) for level in levels)
    viewer = ViewerModel()
    layer = viewer.add_image(levels, **keywords)
    assert layer.multiscale


def ome_tiff(path: Path, shape: tuple[int, ...], dtype: type, axes: str, photometric: str) -> Path:
    pixels = np.random.default_rng(0).integers(0, 4000 if dtype == np.uint16 else 256, shape)
    tifffile.imwrite(path, pixels.astype(dtype), photometric=photometric, metadata={"axes": axes})
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
    return path


def test_fluorescence_in_ome_tiff_is_left_to_napari(
    tmp_path: Path, make_napari_viewer: Callable[..., Any]
) -> None:
    path = ome_tiff(tmp_path / "cells.ome.tif", (4, 64, 48), np.uint16, "CYX", "minisblack")
    assert readers.get_reader(str(path)) is None
    viewer = make_napari_viewer()
    readers.prefer_us_for_slides()
    assert get_preferred_reader(str(path)) is None
    (layer,) = viewer.open(str(path), plugin="napari")
    assert layer.data.shape == (4, 64, 48)
    # with us asked first or not, the one that takes it is napari's own
    ((pixels, *_),) = npe2.read([str(path)], stack=False)
    assert np.asarray(pixels).shape == (4, 64, 48)


@pytest.mark.parametrize(
    ("shape", "dtype", "axes", "photometric", "ours"),
    [
        ((32, 32, 3), np.uint8, "YXS", "rgb", True),
        ((32, 32), np.uint8, "YX", "minisblack", False),
        ((3, 32, 32), np.uint8, "CYX", "minisblack", False),
        ((5, 32, 32, 3), np.uint8, "ZYXS", "rgb", False),
    ],
)
def test_only_pictures_in_colours_are_taken_from_ome_tiff(
    tmp_path: Path, shape: Any, dtype: type, axes: str, photometric: str, ours: bool
) -> None:
    path = ome_tiff(tmp_path / "Cells.OME.TIFF", shape, dtype, axes, photometric)
    assert (readers.get_reader(str(path)) is not None) == ours


def test_a_damaged_or_missing_ome_tiff_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "a.ome.tif").write_bytes(b"II*\0 no tiff")
    assert readers.get_reader(str(tmp_path / "a.ome.tif")) is None
    assert readers.get_reader(str(tmp_path / "b.ome.tif")) is None


def test_ome_tiff_is_never_taken_over_and_given_back() -> None:
    plugins = get_settings().plugins
    mine = {"*.ome.tiff": "another", "*.svs": "another", "*.png": readers.PLUGIN}
    plugins.extension2reader = {**mine, "*.ome.tif": readers.PLUGIN}
    try:
        readers.prefer_us_for_slides()
        found = dict(plugins.extension2reader)
    finally:
        plugins.extension2reader = {}
    assert "*.ome.tif" not in found
    assert {key: found[key] for key in mine} == mine
    assert found["*.ndpi"] == readers.PLUGIN


def test_sample_points_lie_in_the_sample_s_nuclei(own_home: Path) -> None:
    layers = field()
    viewer = ViewerModel()
    for data, keywords, kind in layers:
        getattr(viewer, f"add_{kind}")(data, **keywords)
    nuclei = np.asarray(layers[1][0])
    places = np.asarray(layers[2][0]).astype(int)
    assert (nuclei[tuple(places.T)] > 0).all()
    session = session_of(viewer)
    kit_of(session).take_layer(viewer.layers["TNBC points"])
    assert session.project is not None
    assert own_home in session.project.path.parents
    assert len(kit_of(session).points.nuclei) == len(places)
    session.shut()


def test_slide_sample_opens() -> None:
    ((_, keywords, kind),) = slide()
    assert kind == "image"
    assert keywords["units"] == ("um", "um")


def test_labels_are_written_as_tiff_and_geojson(tmp_path: Path, tnbc: Any) -> None:
    labels = tnbc[1]
    about = {"scale": (0.25, 0.25), "units": ("micrometer", "micrometer")}
    writers.write_labels(str(tmp_path / "n.tif"), labels, about)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "n.tif"), labels)
    writers.write_labels(str(tmp_path / "n.geojson"), labels, about)
    assert len(geojson.read(tmp_path / "n.geojson")) == len(np.unique(labels)) - 1


def test_points_are_written_as_csv(tmp_path: Path) -> None:
    import pandas as pd

    features = pd.DataFrame({"class": ["tumour", ""]})
    writers.write_points(str(tmp_path / "p.csv"), [[1.5, 2], [3, 4]], {"features": features})
    read = csv_points.read(tmp_path / "p.csv")
    np.testing.assert_allclose(read.points, [[1.5, 2], [3, 4]])
    assert read.classes == ["tumour", None]


def test_menus_and_widgets_are_there(make_napari_viewer: Callable[..., Any]) -> None:
    from app_model import Application

    viewer = make_napari_viewer()
    assert viewer.open_sample("napari-noisyseg", "slide")
    app = Application.get_app("test_app") or next(iter(Application._instances.values()))
    titles = {
        item.command.title
        for menu in ("napari/layers/annotate", "napari/file/io_utilities")
        for item in app.menus.get_menu(menu)
        if hasattr(item, "command")
    }
    assert any("Use points as nuclei" in title for title in titles)
    assert "Open project… (NoisySeg)" in titles
    assert not [title for title in titles if title.count("NoisySeg") > 1]


def test_endings_of_others_are_ours_only_where_a_picture_is_inside(
    tmp_path: Path, tnbc: tuple[Any, Any]
) -> None:
    import zarr

    radiology = tmp_path / "scan.dcm"
    radiology.write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 64)
    stack = tmp_path / "stack.zarr"
    zarr.create_array(stack, shape=(4, 8, 8), dtype="uint8", zarr_format=3)
    assert readers.get_reader(str(radiology)) is None
    assert readers.get_reader(str(stack)) is None
    with Project.create(tmp_path / "p.noisyseg") as project:
        project.add_array(tnbc[0][:64, :64], "i", 0.25)
    picture = tmp_path / "picture.zarr"
    (found,) = (tmp_path / "p.noisyseg" / "images").iterdir()
    found.rename(picture)
    assert readers.get_reader(str(picture)) is readers.read_slide
