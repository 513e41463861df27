"""derive and export: outlines at clicks, rough masks, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_noisyseg.cli import projects
from napari_noisyseg.exchange.formats import FORMATS
from napari_noisyseg.exchange.layers import LAYERS
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project


@pytest.fixture
def clicked(noisyseg, field: Path) -> Path:
    """A project of the field and its points."""
    project = field / "case.noisyseg"
    images = ("--images", field / "field.png", "--mpp", 0.25)
    assert noisyseg("create", project, *images, "--points", field / "field.csv").code == 0
    return project


def test_derive_makes_outlines_unasked_and_asked(noisyseg, clicked: Path) -> None:
    done = noisyseg("derive", clicked, "--kind", "outline")
    assert (done.code, done.out) == (0, "")
    assert "untrained" not in done.err
    with Project.open(clicked) as opened:
        assert opened.labels.kinds("field") == ["outline"]
        alone = opened.labels.read("field", "outline")
        assert set(np.unique(alone)) == {0, 1, 2}
    assert noisyseg("derive", clicked).code == 0
    with Project.open(clicked) as opened:
        assert opened.labels.kinds("field") == ["cluster", "local", "outline", "voronoi"]
        assert np.array_equal(opened.labels.read("field", "outline"), alone)


def test_a_doubt_is_one_plain_line_for_each_image(noisyseg, field: Path) -> None:
    for name, factor in (("dark", 8), ("night", 9), ("day", 1)):
        pixels = np.asarray(Image.open(field / "field.png")) // factor
        Image.fromarray(pixels).save(field / f"{name}.png")
        (field / f"{name}.csv").write_text((field / "field.csv").read_text())
    project = field / "three.noisyseg"
    names = ("dark", "night", "day")
    words = [w for n in names for w in ("--images", field / f"{n}.png")]
    words += [w for n in names for w in ("--points", field / f"{n}.csv")]
    assert noisyseg("create", project, *words, "--mpp", 0.25).code == 0
    for command in (("derive", project, "--kind", "outline"), export(project, "outline")):
        done = noisyseg(*command)
        assert done.code == 0, done.err
        doubts = [line for line in done.err.splitlines() if "untrained outlines" in line]
        assert [line.split(":")[0] for line in doubts] == ["dark", "night"]
    for command in (("derive", project, "--kind", "local"), export(project, "local")):
        assert "untrained" not in noisyseg(*command).err


def export(project: Path, layer: str, form: str = "labels") -> tuple[object, ...]:
    out = project.with_name(f"out {layer} {form}")
    return "export", project, out, "--format", form, "--layer", layer


def test_from_points_to_outlines_where_torch_cannot_be_imported(field: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from napari_noisyseg.cli import run\n"
        "image, points, project, out = sys.argv[1:]\n"
        "made = ['create', project, '--images', image, '--points', points, '--mpp', '0.25']\n"
        "sent = ['export', project, out, '--format', 'labels', '--layer', 'outline']\n"
        "for words in (made, ['derive', project], sent):\n"
        "    assert run(words) == 0, words\n"
        "assert not any(m.startswith(('qtpy', 'napari.')) for m in sys.modules)"
    )
    paths = [field / "field.png", field / "field.csv", field / "case.noisyseg", field / "out"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "untrained" not in done.stderr
    clicks = len((field / "field.csv").read_text().splitlines()) - 1
    labels = tifffile.imread(field / "out" / "field.tif")
    assert len(np.unique(labels)) - 1 == clicks


@pytest.mark.parametrize("form", FORMATS)
def test_every_layer_in_every_format(noisyseg, clicked: Path, form: str) -> None:
    blobs = np.zeros((256, 256), np.int32)
    blobs[10:30, 10:26], blobs[60:80, 40:66] = 4, 9
    drawn = Box(100, 100, 120, 118)
    with Project.open(clicked, write=True) as opened:
        nucleus = opened.nuclei.of("field")[0]
        opened.nuclei.set_outline(nucleus.id, drawn, np.ones(drawn.shape, bool), "edit")
        opened.nuclei.decide([nucleus.id], "accepted")
        opened.nuclei.paint("field", Box(0, 0, 256, 256), np.zeros_like(blobs), blobs)
        opened.labels.write("field", "corrected", blobs)
    for layer in LAYERS if form in ("labels", "geojson", "csv") else ("outline",):
        done = noisyseg(*export(clicked, layer, form))
        assert done.code == 0, done.err
        path = Path(done.out.strip())
        assert path.name == (FORMATS[form].one_file or f"field{FORMATS[form].ending}")
        assert [p.name for p in path.parent.iterdir()] == [path.name]
        assert noisyseg(*export(clicked, layer, form)).code == 0  # our own may be replaced


def test_an_unknown_layer_is_refused_with_the_list(noisyseg, clicked: Path) -> None:
    done = noisyseg(*export(clicked, "everything"))
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert ", ".join(LAYERS) in done.err
    assert not list(clicked.parent.glob("out*"))
    assert all(layer in noisyseg("export", "--help").out for layer in LAYERS)


@pytest.mark.parametrize(
    ("layer", "how"),
    [
        ("outline", "click nuclei first"),
        ("local", "click nuclei first"),
        ("rough", "paint or import rough masks first"),
        ("corrected", "train mmc or superpixel"),
        ("refined", "train first"),
        ("accepted", "accept some"),
    ],
)
def test_nothing_of_a_layer_is_said_with_the_way_to_it(
    noisyseg, field: Path, layer: str, how: str
) -> None:
    project = field / "bare.noisyseg"
    assert noisyseg("create", project, "--images", field / "field.png", "--mpp", 0.25).code == 0
    done = noisyseg(*export(project, layer))
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert how in done.err
    assert not list(field.glob("out*"))


def test_rough_masks_come_back_as_they_were_imported(noisyseg, clicked: Path) -> None:
    masks = np.zeros((256, 256), np.uint16)
    masks[10:20, 10:30], masks[40:60, 40:55] = 1, 2
    tifffile.imwrite(clicked.parent / "field.tif", masks)
    assert noisyseg("import", clicked, clicked.parent / "field.tif", "--as", "rough").code == 0
    done = noisyseg(*export(clicked, "rough"))
    assert np.array_equal(tifffile.imread(done.out.strip()), masks)


def test_only_images_with_clicks_are_written(noisyseg, clicked: Path) -> None:
    other = clicked.parent / "other.png"
    other.write_bytes((clicked.parent / "field.png").read_bytes())
    assert noisyseg("add", clicked, other).code == 0
    done = noisyseg(*export(clicked, "outline", "geojson"))
    assert [Path(line).name for line in done.out.split("\n") if line] == ["field.geojson"]
    assert json.loads(Path(done.out.strip()).read_text("utf-8"))["features"]


def test_kinds_that_are_unknown_are_refused_with_the_list(noisyseg, clicked: Path) -> None:
    done = noisyseg("derive", clicked, "--kind", "halo")
    assert done.code == 2
    assert ", ".join(projects.EVERY) in done.err


@pytest.mark.parametrize("format", ["labels", "geojson", "csv", "coco"])
def test_a_file_and_stdout_hold_what_a_folder_would(
    noisyseg, clicked: Path, tmp_path: Path, format: str
) -> None:
    ending = FORMATS[format].endings[0]
    outlines = ("--layer", "outline", "--format", format)
    assert noisyseg("export", clicked, tmp_path / "folder", *outlines).code == 0
    name = FORMATS[format].one_file or f"field{ending}"
    expected = (tmp_path / "folder" / name).read_bytes()
    # several formats end in .json
    told = outlines if ending == ".json" else outlines[:2]
    done = noisyseg("export", clicked, tmp_path / f"mine{ending}", *told)
    assert done.code == 0, done.err
    assert (tmp_path / f"mine{ending}").read_bytes() == expected
    assert done.out.split("\n") == [str(tmp_path / f"mine{ending}"), ""]
    # a program of its own, as bytes go past what stands for stdout here
    words = [sys.executable, "-m", "napari_noisyseg", "export", str(clicked), "-", *outlines]
    sent = subprocess.run(words, capture_output=True, check=False)
    assert (sent.returncode, sent.stdout) == (0, expected)
    assert sorted(p.name for p in tmp_path.iterdir() if "mine" in p.name) == [f"mine{ending}"]


def test_a_file_of_another_format_or_of_somebody_else_is_refused(
    noisyseg, clicked: Path, tmp_path: Path
) -> None:
    for words, said in (
        ([tmp_path / "a.csv", "--format", "geojson"], "--format says geojson"),
        ([tmp_path / "folder"], "--format"),
        (["-"], "--format"),
        ([tmp_path / "a.json"], "fits several formats"),
        ([tmp_path / "a.xml"], "give --format (asap or imagescope)"),
        ([tmp_path / "none" / "a.csv"], "there is no folder"),
        ([tmp_path / "a.csv", "--image", "other"], "no image 'other'"),
    ):
        done = noisyseg("export", clicked, *words, "--layer", "outline")
        assert done.code == 2
        assert said in done.err
    (tmp_path / "a.csv").write_text("somebody's own")
    assert noisyseg("export", clicked, tmp_path / "a.csv", "--layer", "outline").code == 2
    assert (tmp_path / "a.csv").read_text() == "somebody's own"


def test_nothing_is_exported_into_a_project(noisyseg, clicked: Path) -> None:
    before = sorted(clicked.rglob("*"))
    for out, form in ((clicked, "csv"), (clicked / "images" / "field", "csv"),
                      (clicked / "a.csv", "csv"), (clicked, "ome-zarr")):  # fmt: skip
        for dry in ((), ("--dry-run",)):
            words = ("--format", form, "--layer", "outline", *dry)
            done = noisyseg("export", clicked, out, *words)
            assert done.code == 2
            assert "the folder of a project" in done.err
            assert f"such as {clicked.parent / 'nuclei'}\n" in done.err
    assert sorted(clicked.rglob("*")) == before


def test_a_file_takes_one_image_of_several(noisyseg, field: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        Image.open(field / "field.png").rotate(90 * len(name)).save(field / f"{name}.png")
        (field / f"{name}.csv").write_text((field / "field.csv").read_text())
    Image.open(field / "field.png").transpose(0).save(field / "two.png")
    project = field / "both.noisyseg"
    words = [w for n in ("one", "two") for w in ("--images", field / f"{n}.png")]
    words += [w for n in ("one", "two") for w in ("--points", field / f"{n}.csv")]
    assert noisyseg("create", project, *words, "--mpp", 0.25).code == 0
    done = noisyseg("export", project, tmp_path / "a.geojson", "--layer", "outline")
    assert done.code == 2
    assert "--image" in done.err
    word = ("--layer", "outline", "--image", "two")
    assert noisyseg("export", project, tmp_path / "a.geojson", *word).code == 0
    assert '"image": "two"' in (tmp_path / "a.geojson").read_text()


def test_a_coco_file_goes_to_each_image_that_it_names(noisyseg, clicked: Path) -> None:
    other = clicked.parent / "zweites Bild.png"
    other.write_bytes((clicked.parent / "field.png").read_bytes())
    assert noisyseg("add", clicked, other).code == 0
    with Project.open(clicked, write=True) as opened:
        opened.nuclei.add_many(opened.images()[1].name, [(40, 40)])
    file = clicked.parent / "annotations.json"
    done = noisyseg("export", clicked, file, "--format", "coco", "--layer", "outline")
    assert done.code == 0, done.err
    bare = clicked.parent / "bare.noisyseg"
    images = ("--images", clicked.parent / "field.png", "--images", other)
    assert noisyseg("create", bare, *images, "--mpp", 0.25).code == 0
    done = noisyseg("import", bare, file, "--as", "clean")
    assert done.code == 0, done.err
    with Project.open(bare, write=True) as opened:
        assert all(opened.nuclei.of(record.name) for record in opened.images())
        opened.nuclei.undo()
        assert not any(opened.nuclei.of(record.name) for record in opened.images())
    done = noisyseg("import", bare, file, "--format", "hovernet")
    assert (done.code, done.err.count("\n")) == (2, 1)
    done = noisyseg("import", bare, file, "--format", "pdf")
    assert done.code == 2
    assert "choose one of geojson" in done.err


def test_xml_masks_make_a_project(noisyseg, clicked: Path) -> None:
    done = noisyseg("export", clicked, clicked.parent / "field.xml", "--format", "imagescope",
                    "--layer", "outline")  # fmt: skip
    assert done.code == 0, done.err
    again = clicked.parent / "again.noisyseg"
    done = noisyseg("create", again, "--images", clicked.parent / "field.png", "--mpp", 0.25,
                    "--masks", clicked.parent / "field.xml")  # fmt: skip
    assert done.code == 0, done.err
    clicks = len((clicked.parent / "field.csv").read_text().splitlines()) - 1
    with Project.open(again) as opened:
        assert len(np.unique(opened.nuclei.painted("field"))) == clicks + 1
