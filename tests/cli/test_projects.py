"""create, add, info, derive."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_noisyseg.api.files import import_file
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project


def create(noisyseg, field: Path, *words: object):
    project = field / "case.noisyseg"
    return project, noisyseg("create", project, "--images", field / "field.png", *words)


def document(noisyseg, project: Path) -> dict:
    done = noisyseg("info", project, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_points_without_a_field_declare_the_whole_image(noisyseg, field: Path) -> None:
    project, done = create(noisyseg, field, "--points", field / "field.csv", "--mpp", 0.25)
    assert done.code == 0, done.err
    image = document(noisyseg, project)["images"][0]
    assert image["points"] == len((field / "field.csv").read_text().splitlines()) - 1
    assert (image["fields"], image["mpp"], image["mpp_assumed"]) == (1, 0.25, False)


def test_a_field_given_holds_instead(noisyseg, field: Path) -> None:
    words = ("--points", field / "field.csv", "--field", "10,20,100,50", "--field", "0,100,50,50")
    project, done = create(noisyseg, field, *words)
    assert done.code == 0, done.err
    assert document(noisyseg, project)["images"][0]["fields"] == 2


def test_no_mpp_is_assumed_with_a_word(noisyseg, field: Path) -> None:
    project, done = create(noisyseg, field)
    assert "0.25 is assumed" in done.err
    image = document(noisyseg, project)["images"][0]
    assert image["mpp_assumed"] is True
    assert image["fields"] == 0


def test_rough_masks_declare_nothing(noisyseg, field: Path) -> None:
    masks = np.zeros((256, 256), np.uint16)
    masks[10:20, 10:30] = 1
    tifffile.imwrite(field / "rough.tif", masks)
    project, done = create(noisyseg, field, "--masks", field / "rough.tif")
    assert done.code == 0, done.err
    assert document(noisyseg, project)["images"][0]["fields"] == 0


def test_clean_masks_are_accepted_nuclei(noisyseg, field: Path) -> None:
    masks = np.zeros((256, 256), np.uint16)
    masks[10:20, 10:30], masks[40:60, 40:55] = 1, 2
    tifffile.imwrite(field / "clean.tif", masks)
    project, done = create(noisyseg, field, "--clean", field / "clean.tif", "--clean-complete")
    assert done.code == 0, done.err
    image = document(noisyseg, project)["images"][0]
    assert (image["accepted"], image["fields"]) == (2, 1)


def test_derive_writes_the_labels(noisyseg, field: Path) -> None:
    project, _ = create(noisyseg, field, "--points", field / "field.csv")
    done = noisyseg("derive", project)
    assert done.code == 0, done.err
    kinds = document(noisyseg, project)["images"][0]["labels"]
    assert {"outline", "voronoi", "cluster", "local"} <= set(kinds.split(", "))


WRONG = {
    "no such image": (("--images", "{f}/none.png"), "no such file"),
    "not an image": (("--images", "{f}/field.csv"), ""),
    "points outside": (("--images", "{f}/field.png", "--points", "{f}/outside.csv"), "outside"),
    "other columns": (("--images", "{f}/field.png", "--points", "{f}/columns.csv"), "col"),
    "nan": (("--images", "{f}/field.png", "--points", "{f}/nan.csv"), ""),
    "no points": (("--images", "{f}/field.png", "--points", "{f}/empty.csv"), "no points"),
    "broken json": (("--images", "{f}/field.png", "--points", "{f}/broken.geojson"), "JSON"),
    "field not numbers": (("--images", "{f}/field.png", "--field", "1,2,x"), "four numbers"),
    "field outside": (("--images", "{f}/field.png", "--field", "900,900,5,5"), "outside"),
    "mask of another size": (("--images", "{f}/field.png", "--masks", "{f}/small.tif"), "256"),
    "complete without clean": (("--images", "{f}/field.png", "--clean-complete"), "--clean"),
    "mpp of zero": (("--images", "{f}/field.png", "--mpp", "0"), "µm per pixel"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_writes_nothing(noisyseg, field: Path, case: str) -> None:
    (field / "outside.csv").write_text("x,y\n5,5\n900,3\n")
    (field / "columns.csv").write_text("left,top\n5,5\n")
    (field / "nan.csv").write_text("x,y\nnan,5\n")
    (field / "empty.csv").write_text("x,y\n")
    (field / "broken.geojson").write_text('{"type": "FeatureCollection", "features": [')
    tifffile.imwrite(field / "small.tif", np.ones((20, 20), np.uint8))
    words, expected = WRONG[case]
    before = sorted(p.name for p in field.iterdir())
    project = field / "wrong.noisyseg"
    done = noisyseg("create", project, *(word.format(f=field) for word in words))
    assert done.code == 2, done
    lines = done.err.strip().splitlines()
    assert lines[-1].startswith("noisyseg: error: ")
    assert expected in lines[-1]
    assert "Traceback" not in done.err
    assert sorted(p.name for p in field.iterdir()) == before


def test_create_never_overwrites(noisyseg, field: Path) -> None:
    project, _ = create(noisyseg, field, "--points", field / "field.csv")
    before = document(noisyseg, project)
    _, again = create(noisyseg, field)
    assert again.code == 2
    assert "exists already" in again.err
    assert document(noisyseg, project) == before


def test_add_more_images(noisyseg, field: Path) -> None:
    project, _ = create(noisyseg, field)
    (field / "second.png").write_bytes((field / "field.png").read_bytes())
    done = noisyseg("add", project, field / "second.png")
    assert done.code == 0, done.err
    assert [i["name"] for i in document(noisyseg, project)["images"]] == ["field", "second"]


def test_add_takes_all_images_or_none(noisyseg, field: Path) -> None:
    project, _ = create(noisyseg, field)
    (field / "second.png").write_bytes((field / "field.png").read_bytes())
    done = noisyseg("add", project, field / "second.png", field / "field.csv")
    assert done.code == 2
    assert done.out == ""
    assert [i["name"] for i in document(noisyseg, project)["images"]] == ["field"]
    done = noisyseg("add", project, field / "second.png", field / "field.png")
    assert "in the project already" in done.err
    assert [i["name"] for i in document(noisyseg, project)["images"]] == ["field"]


def test_add_checks_every_colour_profile_first(noisyseg, field, tmp_path) -> None:
    """None of the images comes in where a later one cannot be read as asked."""
    rgb = Image.open(field / "field.png")
    rgb.crop((0, 0, 128, 128)).save(field / "second.png")
    rgb.crop((0, 0, 64, 64)).save(field / "third.png", icc_profile=b"no profile" * 20)
    project = tmp_path / "p.noisyseg"
    assert noisyseg("create", project, "--images", field / "field.png").code == 0
    words = ("add", project, field / "second.png", field / "third.png", "--icc")
    for more in ((), ("--dry-run",), ("--channel", 1)):
        done = noisyseg(*words, *more)
        assert done.code == 2
        assert "--icc" in done.err
    with Project.open(project, write=False) as opened:
        assert [record.name for record in opened.images()] == ["field"]


def masks_of(path: Path, shape: tuple[int, int] = (256, 256)) -> Path:
    masks = np.zeros(shape, np.uint16)
    masks[10:20, 10:30] = 1
    tifffile.imwrite(path, masks)
    return path


@pytest.mark.parametrize("other", ["field.csv", "small.tif"])
def test_import_takes_all_files_or_none(noisyseg, field: Path, other: str) -> None:
    project, _ = create(noisyseg, field)
    masks_of(field / "small.tif", (64, 64))
    before = document(noisyseg, project)
    files = masks_of(field / "field.tif"), field / other
    done = noisyseg("import", project, *files, "--as", "clean")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert other in done.err
    assert document(noisyseg, project) == before


def test_import_of_several_files_is_undone_at_once(noisyseg, field: Path) -> None:
    project, _ = create(noisyseg, field)
    done = noisyseg("import", project, masks_of(field / "field.tif"), field / "field.csv")
    assert done.code == 0, done.err
    assert done.err.count("\n") == 2
    with Project.open(project) as opened:
        assert opened.nuclei.undo() == "import 2 files"
        assert not opened.nuclei.of("field")
        assert not opened.nuclei.painted("field").any()


def test_import_takes_no_file_of_another_format(noisyseg, field: Path) -> None:
    project, _ = create(noisyseg, field)
    file = masks_of(field / "field.tif")
    done = noisyseg("import", project, file, "--format", "geojson")
    assert done.code == 2
    assert ".geojson, .json" in done.err
    assert noisyseg("import", project, file, "--format", "labels").code == 0


def test_a_mask_of_another_name_is_said_to_be_taken(noisyseg, field: Path) -> None:
    _, done = create(noisyseg, field, "--masks", masks_of(field / "rough.tif"))
    assert done.code == 0, done.err
    assert "rough.tif is used for field.png" in done.err


def test_a_refusal_stands_alone(noisyseg, field: Path) -> None:
    tifffile.imwrite(field / "small.tif", np.eye(9, dtype=np.uint16))
    project, done = create(noisyseg, field, "--masks", field / "small.tif")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("noisyseg: error: ")
    assert not project.exists()
    _, done = create(noisyseg, field)
    assert "assumed" in done.err


def test_no_project_is_named_after_a_folder_above(noisyseg, field: Path, monkeypatch) -> None:
    below = field / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    done = noisyseg("create", "..", "--images", field / "field.png")
    assert done.code == 2
    assert "exists already" in done.err
    assert not list(below.iterdir())


def test_a_number_beyond_all_serials_is_no_nucleus(noisyseg, field: Path) -> None:
    project, _ = create(noisyseg, field)
    done = noisyseg("info", project, "--nucleus", "9" * 25)
    assert done.code == 2
    assert "there is no nucleus" in done.err


def test_endings_of_ome_files_are_no_part_of_a_name(noisyseg, field: Path) -> None:
    rgb = np.asarray(Image.open(field / "field.png"))
    scans = field / "scans"
    scans.mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(scans / f"{name}.ome.tif", rgb, photometric="rgb")
        (scans / f"{name}.csv").write_text("x,y\n5,5\n")
        masks_of(field / f"{name}.ome.tif")
    project = field / "case.noisyseg"
    done = noisyseg("create", project, "--images", scans, "--points", scans)
    assert done.code == 0, done.err
    assert [(i["name"], i["points"]) for i in document(noisyseg, project)["images"]] == [
        ("a", 1), ("b", 1)
    ]  # fmt: skip
    done = noisyseg("import", project, field / "a.ome.tif", field / "b.ome.tif", "--as", "rough")
    assert done.code == 0, done.err


def test_two_files_for_one_image_are_not_chosen_from(noisyseg, field: Path) -> None:
    (field / "field.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    project, done = create(noisyseg, field, "--points", field)
    assert done.code == 2
    assert "field.csv and " in done.err
    assert not project.exists()


def test_a_folder_may_hold_images_and_their_masks(noisyseg, field: Path) -> None:
    masks_of(field / "field.tif")
    _, done = create(noisyseg, field, "--masks", field)
    assert done.code == 0, done.err


def test_annotation_that_goes_with_no_image_is_named(noisyseg, field: Path) -> None:
    clicks = field / "clicks"
    clicks.mkdir()
    for name in ("field", "field_points"):
        (clicks / f"{name}.csv").write_text("x,y\n5,5\n")
    (field / "other.png").write_bytes((field / "field.png").read_bytes())
    words = ("--images", field, "--points", clicks)
    done = noisyseg("create", field / "case", *words)
    assert done.code == 0, done.err
    assert "left out, as no image has their name" in done.err
    assert "field_points.csv" in done.err


def test_letters_are_the_same_however_a_system_writes_them(noisyseg, field: Path) -> None:
    """As macOS writes them, and as others do."""
    apart, whole = (unicodedata.normalize(form, "Köln") for form in ("NFD", "NFC"))
    (field / "field.png").rename(field / f"{whole}.png")
    (field / "other.png").write_bytes((field / f"{whole}.png").read_bytes())
    (field / f"{apart}.csv").write_text("x,y\n5,5\n")
    masks_of(field / f"{apart}.tif")
    project = field / "case.noisyseg"
    images = [field / f"{name}.png" for name in (whole, "other")]
    done = noisyseg("create", project, "--images", *images, "--points", field / f"{apart}.csv")
    assert done.code == 0, done.err
    assert {i["name"]: i["points"] for i in document(noisyseg, project)["images"]} == {
        whole: 1, "other": 0
    }  # fmt: skip
    assert noisyseg("import", project, field / f"{apart}.tif", "--as", "rough").code == 0
    assert noisyseg("field", project, "0,0,9,9", "--image", apart).code == 0
    with Project.open(project) as opened:
        (field / "more.csv").write_text("x,y\n50,5\n")
        assert import_file(opened, field / "more.csv", image=apart).count == 1
        assert opened.image(apart).name == whole


def test_a_short_name_is_the_project_beside_a_folder_of_that_name(noisyseg, field: Path) -> None:
    (field / "case").mkdir()
    done = noisyseg("create", field / "case", "--images", field / "field.png")
    assert done.code == 0, done.err
    assert noisyseg("info", field / "case").code == 0


def test_fields_are_declared_of_a_project_that_is_there(noisyseg, field: Path) -> None:
    project, _ = create(noisyseg, field)
    assert noisyseg("field", project, "0,0,100,50", "--dry-run").code == 0
    assert document(noisyseg, project)["images"][0]["fields"] == 0
    for _ in range(2):  # a second time changes nothing
        done = noisyseg("field", project, "0,0,100,50", "200,200,500,500")
        assert done.code == 0, done.err
        assert done.out == "field: 2 fields\n"
    with Project.open(project) as opened:
        assert [(f.box, f.complete) for f in opened.nuclei.fields("field")] == [
            (Box(0, 0, 50, 100), True), (Box(200, 200, 256, 256), True)
        ]  # fmt: skip
    for words, said in ((("900,900,5,5",), "outside"), (("1,2,x",), "four numbers"),
                        (("--image", "b"), "b")):  # fmt: skip
        done = noisyseg("field", project, *words)
        assert done.code == 2
        assert said in done.err
    assert noisyseg("field", project, "--whole").out == "field: 3 fields\n"
    listed = noisyseg("field", project).out.splitlines()
    assert [line.split() for line in listed[:2]] == [
        ["image", "field", "complete", "nuclei"], ["field", "0,0,100,50", "yes", "0"]
    ]  # fmt: skip
    assert noisyseg("field", project, "0,0,9,9", "--whole").code == 2
    with Project.open(project) as opened:
        for one in opened.nuclei.fields("field"):
            opened.nuclei.change_field(one.id, complete=False)
    done = noisyseg("field", project, "0,0,100,50", "0,0,100,50")
    assert done.out == "field: 3 fields\n"
    with Project.open(project) as opened:
        assert [f.complete for f in opened.nuclei.fields("field")] == [True, False, False]
    (field / "second.png").write_bytes((field / "field.png").read_bytes())
    noisyseg("add", project, field / "second.png")
    assert "which image" in noisyseg("field", project, "--whole").err
    assert noisyseg("field", project, "--image", "second").err.startswith("no field yet")
    done = noisyseg("field", project, "--whole", "--image", "second")
    assert done.out == "second: 1 field\n"
    assert "holds no nucleus yet" in done.err


def test_a_field_that_reaches_beyond_the_image_is_cut_with_a_word(noisyseg, field: Path) -> None:
    project, done = create(noisyseg, field, "--field=-5,0,100,100", "--mpp", 0.25)
    assert done.code == 0, done.err
    said = "the field -5,0,100,100 reaches beyond field (256x256): 0,0,95,100 of it is taken"
    assert done.err == f"{said}\n"
    done = noisyseg("field", project, "0,0,1000,1000")
    assert "0,0,256,256 of it is taken" in done.err
    assert "beyond" not in noisyseg("field", project, "0,0,256,256").err


@pytest.mark.parametrize("mpp", [0.009, 10.1, 20, "nan"])
def test_a_resolution_of_no_slide_is_refused_with_the_limits(noisyseg, field: Path, mpp) -> None:
    project, done = create(noisyseg, field, "--mpp", mpp)
    predicted = noisyseg("predict", field / "field.png", "--mpp", mpp, "--model", "starter",
                         "--output", field / "found")  # fmt: skip
    for refused in (done, predicted):
        assert refused.code == 2
        assert refused.err.endswith("is no resolution of a slide: it is 0.01 to 10\n")
    assert not project.exists()
    assert not (field / "found").exists()


def test_a_resolution_within_the_limits_is_taken(noisyseg, field: Path) -> None:
    project, done = create(noisyseg, field, "--mpp", 10)
    assert done.code == 0
    assert document(noisyseg, project)["images"][0]["mpp"] == 10


def test_runs_tell_with_which_weights_they_began(noisyseg, field: Path) -> None:
    project, _ = create(noisyseg, field)
    with Project.open(project) as opened:
        for spec in ({"config": {"first_weights": "none"}}, {"config": {}}, {"init": "earlier"},
                     {"config": {"first_weights": "none"}, "resume": "earlier"},
                     {"config": "damaged"}):  # fmt: skip
            opened.runs.new().write_spec({"method": "scnet", **spec})
        settled = opened.runs.new()
        settled.write_spec({"method": "scnet", "config": {}})
        (settled.dir / "settings.json").write_text('{"first_weights": "starter"}')
    found = json.loads(noisyseg("runs", project, "--json").out)
    assert sorted(str(row["init"]) for row in found) == [
        "None", "None", "None", "earlier", "none", "starter"
    ]  # fmt: skip


def test_hidden_files_are_no_images(noisyseg, field: Path) -> None:
    (field / "._field.png").write_bytes(b"\0\5\x16\7 of macOS")
    done = noisyseg("create", field / "case", "--images", field)
    assert done.code == 0, done.err


def test_not_a_project(noisyseg, field: Path) -> None:
    done = noisyseg("info", field)
    assert done.code == 2
    assert done.err.startswith("noisyseg: error: ")
