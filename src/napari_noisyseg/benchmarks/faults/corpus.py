"""Sound files of every kind that is read, small, from the bundled field of real tissue."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image

from ...exchange.importing import import_points, import_rough
from ...slides import Box
from ...store import Project
from .runs import write_checkpoint, write_model, write_run

SIDE = 96
Rgb = NDArray[np.uint8]
Ids = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sound file or folder, and what reads it (a name in `readers.READERS`)."""

    reader: str
    path: Path


def build(folder: Path, readers: Sequence[str] = ()) -> list[Sample]:
    """Write the corpus into a new folder; of it what some readers need, or all."""
    folder.mkdir(parents=True)
    rgb, ids = tissue()
    parts: tuple[tuple[tuple[str, ...], Callable[[], list[Sample]]], ...] = (
        (("image",), lambda: [*_images(folder, rgb), *_tiffs(folder, rgb)]),
        (("image",), lambda: [*_slides(folder, rgb), *_zarrs(folder, rgb)]),
        (("labels", "simulate", "project", "adopting"), lambda: _labels(folder, ids)),
        (("points", "masks", "settings", "project", "adopting"), lambda: _texts(folder, ids)),
        (("model", "weights", "checkpoint", "run"), lambda: _trained(folder, rgb, ids)),
        (("project", "adopting"), lambda: _projects(folder, rgb, ids)),
    )
    wanted = [make for kinds, make in parts if not readers or set(kinds) & set(readers)]
    made = [sample for make in wanted for sample in make()]
    return [sample for sample in made if not readers or sample.reader in readers]


def tissue() -> tuple[Rgb, Ids]:
    """RGB (SIDE, SIDE, 3) and its nuclei, int32 (SIDE, SIDE)."""
    samples = Path(__file__).parents[2] / "samples"
    rgb = np.asarray(Image.open(samples / "tnbc_08_1.png").convert("RGB"))
    ids = tifffile.imread(samples / "tnbc_08_1_nuclei.tif")
    return rgb[:SIDE, :SIDE].copy(), ids[:SIDE, :SIDE].astype(np.int32)


def _images(folder: Path, rgb: Rgb) -> list[Sample]:
    whole = Image.fromarray(rgb)
    alpha = whole.convert("RGBA")
    alpha.putalpha(128)
    kinds = {
        "rgb.png": whole, "alpha.png": alpha, "palette.png": whole.convert("P"),
        "bits.png": whole.convert("1"), "grey.png": whole.convert("L"),
        "deep.png": Image.fromarray(rgb[..., 0].astype(np.uint16) * 200),
        "a.jpg": whole, "cmyk.jpg": whole.convert("CMYK"), "a.bmp": whole, "a.webp": whole,
    }  # fmt: skip
    for name, image in kinds.items():
        image.save(folder / name)
    return [Sample("image", folder / name) for name in kinds]


def _tiffs(folder: Path, rgb: Rgb) -> list[Sample]:
    def write(name: str, pixels: NDArray[Any] = rgb, **options: Any) -> Path:
        tifffile.imwrite(folder / name, pixels, **{"photometric": "rgb", **options})
        return folder / name

    deep = rgb.astype(np.uint16) * 257
    paths = [
        write("strips.tif", rowsperstrip=16),
        write("zlib.tif", compression="zlib"),
        write("lzw.tif", compression="lzw", predictor=True),
        write("jpeg.tif", compression="jpeg", tile=(32, 32)),
        write("big.tif", bigtiff=True, tile=(32, 32)),
        write("deep.tif", deep),
        write("planar.tif", np.moveaxis(rgb, -1, 0), planarconfig="separate"),
        write("a.ome.tif", metadata={"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}),
        write("imagej.tif", imagej=True),
        write("motorola.tif", byteorder=">"),
        _pyramid(folder / "pyramid.tif", rgb),
    ]
    return [Sample("image", path) for path in paths]


def _pyramid(path: Path, rgb: Rgb, **options: Any) -> Path:
    with tifffile.TiffWriter(path) as writer:
        common = {"tile": (32, 32), "photometric": "rgb", "metadata": None}
        writer.write(rgb, subifds=1, **common, **options)
        writer.write(rgb[::2, ::2], subfiletype=1, **common)
    return path


def _slides(folder: Path, rgb: Rgb) -> list[Sample]:
    """What claims to be of a scanner; OpenSlide and tiffslide read it."""
    path = folder / "a.svs"
    about = f"Aperio Image Library v1\r\n{SIDE}x{SIDE} [0,0 {SIDE}x{SIDE}] (32x32)|MPP = 0.25"
    with tifffile.TiffWriter(path) as writer:
        common = {"photometric": "rgb", "metadata": None, "tile": (32, 32), "compression": "jpeg"}
        writer.write(rgb, description=about, **common)
        writer.write(rgb[::2, ::2], description=about, **common)
    index = folder / "a.vms"
    index.write_text("[Virtual Microscope Specimen]\nNoLayers=1\nImageFile=a.jpg\nNoJpegRows=1\n")
    return [Sample("image", path), Sample("image", index)]


def _labels(folder: Path, ids: Ids) -> list[Sample]:
    tifffile.imwrite(folder / "ids.tif", ids.astype(np.uint16))
    tifffile.imwrite(folder / "ids32.tif", ids, compression="zlib")
    tifffile.imwrite(folder / "ids.float.tif", ids.astype(np.float32))
    Image.fromarray((ids % 256).astype(np.uint8)).save(folder / "ids.png")
    Image.fromarray(ids.astype(np.uint16)).save(folder / "ids16.png")
    names = ("ids.tif", "ids32.tif", "ids.float.tif", "ids.png", "ids16.png")
    return [Sample("labels", folder / name) for name in names] + [
        Sample("simulate", folder / "ids.tif")
    ]


def _texts(folder: Path, ids: Ids) -> list[Sample]:
    places = [np.argwhere(ids == n).mean(axis=0) for n in np.unique(ids)[1:]]
    rows = "".join(f"{x:.1f},{y:.1f},Tumor\n" for y, x in places)
    (folder / "points.csv").write_text("x,y,class\n" + rows)
    (folder / "points.geojson").write_text(json.dumps(_points(places)))
    (folder / "nuclei.geojson").write_text(json.dumps(_nuclei(places)))
    settings = {"preset": "small", "epochs": 3, "tile": 64, "lr": 1e-3, "stains": None}
    (folder / "settings.json").write_text(json.dumps(settings))
    return [
        Sample("points", folder / "points.csv"),
        Sample("points", folder / "points.geojson"),
        Sample("masks", folder / "nuclei.geojson"),
        Sample("settings", folder / "settings.json"),
    ]


def _points(places: list[NDArray[Any]]) -> dict[str, Any]:
    geometry = {"type": "MultiPoint", "coordinates": [[float(x), float(y)] for y, x in places]}
    return {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": geometry}]}


def _nuclei(places: list[NDArray[Any]]) -> dict[str, Any]:
    features = []
    for y, x in places:
        ring = [[x - 4, y - 4], [x + 4, y - 4], [x + 4, y + 4], [x - 4, y + 4], [x - 4, y - 4]]
        properties = {
            "objectType": "annotation",
            "classification": {"name": "Tumor", "color": [200, 0, 0]},
            "measurements": {"Area µm^2": 12.5},
        }
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _zarrs(folder: Path, rgb: Rgb) -> list[Sample]:
    return [
        Sample("image", write_zarr(folder / f"v{version}.ome.zarr", rgb, version))
        for version in (2, 3)
    ]


def write_zarr(path: Path, rgb: Rgb, version: int) -> Path:
    """A pyramid of two levels, by the third or the second version of Zarr."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == 2 else 3)
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"]
    datasets = []
    for level in range(2):
        plane = np.moveaxis(rgb[:: 2**level, :: 2**level], -1, 0)
        array = group.create_array(str(level), shape=plane.shape, dtype="u1", chunks=(3, 32, 32))
        array[:] = plane
        scale = {"type": "scale", "scale": [1.0, 0.25 * 2**level, 0.25 * 2**level]}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    ome: dict[str, Any] = {"multiscales": [{"axes": axes, "datasets": datasets, "version": "0.5"}]}
    group.attrs.update(ome if version == 2 else {"ome": {"version": "0.5", **ome}})
    return path


def _trained(folder: Path, rgb: Rgb, ids: Ids) -> list[Sample]:
    made: dict[str, Callable[[Path], Any]] = {
        "model": lambda path: write_model(path.with_suffix(".safetensors")),
        "weights": lambda path: _weights(path.with_suffix(".safetensors")),
        "checkpoint": write_checkpoint,
        "run": lambda path: write_run(path, "tissue", rgb, ids),
    }
    return [Sample(name, make(folder / name)) for name, make in made.items()]


def _weights(path: Path) -> Path:
    from ...coarse.starter import OUTLINE, model_weights, packed

    path.write_bytes(packed(model_weights(OUTLINE), {"nuclei": 7, "gain": 0.1}))
    return path


def _projects(folder: Path, rgb: Rgb, ids: Ids) -> list[Sample]:
    path = folder / "a.noisyseg"
    with Project.create(path) as project:
        project.add_array(rgb, "tissue", 0.25)
        import_points(project, "tissue", folder / "points.csv")
        import_rough(project, "tissue", folder / "ids.tif")
        project.nuclei.add_field("tissue", Box(0, 0, SIDE, SIDE))
        first = project.nuclei.of("tissue")[0]
        project.nuclei.set_class([first.id], "Stroma")
        project.nuclei.remove([first.id])
        project.labels.set_fit("tissue", {"clusters": [[0.1, 0.2, 0.3]]})
        run = project.runs.new()
        write_run(run.dir, "tissue", rgb, ids)
    return [Sample(name, path) for name in ("project", "project", "adopting")]


def changed_run(folder: Path, change: Callable[[Path], object]) -> Sample:
    """A run's folder in which something was changed."""
    rgb, ids = tissue()
    change(write_run(folder / "run", "tissue", rgb, ids))
    return Sample("run", folder / "run")
