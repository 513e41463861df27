from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import spec

from napari_noisyseg import registry
from napari_noisyseg.annotation import check
from napari_noisyseg.annotation.advice import recommend
from napari_noisyseg.annotation.check import check_needs, check_settings, check_tiles
from napari_noisyseg.errors import NoisySegError, in_window, names_command
from napari_noisyseg.method import MethodConfig, Needs
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline
from napari_noisyseg.store.spec import RunSpec, read_spec
from napari_noisyseg.worker.parent import client


@pytest.fixture
def bare(tmp_path: Path) -> Project:
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_array(np.full((64, 64, 3), 200, np.uint8), "a", 0.25)
        yield made


def test_points_without_a_complete_field_are_refused_with_a_way_out(bare: Project) -> None:
    with pytest.raises(NoisySegError, match="there are none: click"):
        client.check(bare, spec())
    bare.nuclei.add("a", 10, 10)
    with pytest.raises(
        NoisySegError, match=r"no field is declared complete.*noisyseg field.*Annotate"
    ):
        client.check(bare, spec())
    bare.nuclei.add_field("a", Box(0, 0, 30, 30), complete=False)
    with pytest.raises(NoisySegError, match="no field is declared complete"):
        client.check(bare, spec())
    bare.nuclei.add_field("a", Box(32, 32, 64, 64))
    with pytest.raises(NoisySegError, match="no point lies in a complete field"):
        client.check(bare, spec())
    bare.nuclei.add("a", 40, 40)
    client.check(bare, spec())


def test_a_refused_run_leaves_nothing_behind(bare: Project) -> None:
    with pytest.raises(NoisySegError):
        client.start(bare, spec())
    with pytest.raises(NoisySegError):
        client.start(bare, spec(resume="20261121T000000Z-none"))
    assert bare.runs.list() == []


def test_masks_are_asked_for_where_a_method_needs_them(bare: Project) -> None:
    for needs, words in [
        (Needs(rough=True), "m needs rough masks"),
        (Needs(clean=True), "m needs accepted nuclei"),
        (Needs(masks=True), "m needs masks"),
        (Needs(points=True), "m needs points"),
    ]:
        with pytest.raises(NoisySegError, match=words):
            check_needs(bare, "m", needs)
    box = Box(0, 0, 8, 8)
    bare.nuclei.paint("a", box, np.zeros((8, 8), np.int32), np.ones((8, 8), np.int32))
    check_needs(bare, "m", Needs(rough=True))
    check_needs(bare, "m", Needs(masks=True))
    with pytest.raises(NoisySegError, match="no image was chosen"):
        check_needs(bare, "m", Needs(), [])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"widht": 4}, "'widht': not one of"),
        ({"width": "many"}, "width: must be an integer"),
        ({"width": True}, "width: must be an integer"),
        ({"width": 4.5}, "width: must be an integer"),
        ({"epsilon": -1}, "epsilon: must be at least 0"),
        ({"lr": 0}, "lr: must be above 0"),
        ({"split_overlap": 1.5}, "split_overlap: must be at most 1"),
        ({"coarse": "voronoi"}, "coarse: must be one of cluster, local, outline, both"),
        ({"use_vor": 1}, "use_vor: must be a boolean"),
        ({"preset": "large"}, "preset: must be one of"),
    ],
)
def test_impossible_settings_are_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(NoisySegError, match=words):
        check_settings(registry.describe("scnet").schema, config)


def test_every_preset_passes_its_own_check() -> None:
    for name in registry.names():
        description = registry.describe(name)
        for values in description.presets.values():
            check_settings(description.schema, values)
            check_tiles(values, description.presets)


@pytest.mark.parametrize(
    ("config", "tile"),
    [
        ({"tile": 64, "tile_overlap": 64}, 64),
        ({"tile_overlap": 128, "preset": "paper"}, 128),
        ({"tile_overlap": 160}, 160),
    ],
)
def test_tiles_that_would_hardly_move_on_are_refused(config: dict[str, Any], tile: int) -> None:
    with pytest.raises(NoisySegError, match=f"smaller than the tile of {tile} pixels"):
        check_tiles(config, registry.describe("mmc").presets)


@pytest.mark.parametrize("config", [{"tile": 64}, {"tile_overlap": 150}, {"preset": "paper"}])
def test_tiles_that_move_on_pass(config: dict[str, Any]) -> None:
    check_tiles(config, registry.describe("mmc").presets)


def test_a_smaller_tile_takes_a_smaller_overlap_with_it() -> None:
    kind = MethodConfig
    assert kind.from_preset("paper", tile=64).tile_overlap == 32
    assert kind.from_preset("paper", tile=400).tile_overlap == 125
    assert kind.from_preset("paper", tile=64, tile_overlap=50).tile_overlap == 50
    assert kind.from_preset("paper").tile_overlap == 125


def test_devices_that_cannot_be_here_are_refused_at_once(
    bare: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "GPU_DRIVERS", ())
    monkeypatch.setattr(check.sys, "platform", "linux")
    bare.nuclei.add("a", 40, 40)
    bare.nuclei.add_field("a", Box(32, 32, 64, 64))
    for device, words in [("cuda", "no CUDA device here"), ("mps", "no Apple MPS device here")]:
        with pytest.raises(NoisySegError, match=words):
            client.start(bare, spec(device=device))
    assert bare.runs.list() == []
    for device in ("cpu", "auto"):
        client.check(bare, spec(device=device))


@pytest.mark.parametrize("init", ["nope", "nope.safetensors"])
def test_weights_to_start_from_are_looked_for_first(bare: Project, init: str) -> None:
    bare.nuclei.add("a", 40, 40)
    bare.nuclei.add_field("a", Box(32, 32, 64, 64))
    with pytest.raises(NoisySegError, match=r"the last are: none yet|there is no such file"):
        client.start(bare, spec(init=init))


@pytest.mark.parametrize(
    ("init", "config", "splitting"),
    [
        ("none", {}, "watershed"),
        ("starter", {}, "centres"),
        ("none", {"splitting": "components"}, "components"),
        ("none", {"preset": "paper"}, None),
        ("starter", {"preset": "paper"}, "centres"),
    ],
)
def test_a_run_starts_with_the_package_s_networks_or_without(
    bare: Project, monkeypatch: pytest.MonkeyPatch, init: str, config: Any, splitting: str | None
) -> None:
    monkeypatch.setattr(client.process, "launch", lambda run, threads: None)
    monkeypatch.setattr(client, "write_snapshot", lambda *words: None)
    bare.nuclei.add("a", 40, 40)
    bare.nuclei.add_field("a", Box(32, 32, 64, 64))
    begun = read_spec(client.start(bare, spec(init=init, config=config)).dir)
    assert begun.init is None
    assert begun.config.get("splitting") == splitting  # None: as the preset reads
    assert begun.config["first_weights"] == init


def test_a_method_that_learns_from_nothing_is_asked_for_no_first_weights(
    bare: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.process, "launch", lambda run, threads: None)
    monkeypatch.setattr(client, "write_snapshot", lambda *words: None)
    asked = RunSpec(method="igtt", init="none", epochs=1, config={"preset": "small"})
    begun = read_spec(client.start(bare, asked).dir)
    assert begun.config == {"preset": "small", "splitting": "watershed"}


def test_what_is_there_instead_of_clean_nuclei_is_advised(bare: Project) -> None:
    needs = registry.describe("mlbseg").needs
    with pytest.raises(NoisySegError, match="'igtt' learns from images without any"):
        check_needs(bare, "mlbseg", needs)
    bare.nuclei.add("a", 40, 40)
    with pytest.raises(NoisySegError, match="'scnet' learns from points"):
        check_needs(bare, "mlbseg", needs)
    rough_mask(bare, Box(0, 0, 8, 8))
    with pytest.raises(NoisySegError, match="'supervised' learns from rough masks alone"):
        check_needs(bare, "mlbseg", needs)


def test_a_ticked_field_without_a_nucleus_is_unfinished(bare: Project) -> None:
    check.check_begun(bare)
    field = bare.nuclei.add_field("a", Box(0, 0, 30, 30), complete=False)
    check.check_begun(bare)
    assert recommend(bare).method == "igtt"
    bare.nuclei.change_field(field.id, complete=True)
    bare.nuclei.add_field("a", Box(30, 30, 60, 60), complete=True)
    advice = recommend(bare)
    assert advice.method == "scnet"
    assert "no nucleus is marked in field 1 of a" in advice.why
    words = "No nucleus is marked in field 1 of a. Click its nuclei"
    with pytest.raises(NoisySegError, match=words):
        check.check_begun(bare)
    with pytest.raises(NoisySegError) as refused:
        client.check(bare, spec())
    assert in_window(refused.value).startswith(words)
    bare.nuclei.add("a", 10, 10)
    with pytest.raises(NoisySegError, match="in field 2 of a"):
        check.check_begun(bare)
    rough_mask(bare, Box(40, 40, 48, 48))
    check.check_begun(bare)


@pytest.mark.parametrize("method", ["scnet", "superpixel", "supervised", "mmc", "mlbseg"])
def test_the_window_hears_no_command_and_the_menu_s_names(bare: Project, method: str) -> None:
    for add in (None, (10, 10)):
        if add is not None:
            bare.nuclei.add("a", *add)
        with pytest.raises(NoisySegError) as refused:
            check_needs(bare, method, registry.describe(method).needs)
        words = in_window(refused.value)
        assert not names_command(words)
        assert f"'{method}'" not in words
        assert not re.search(r"[a-z)](needs|learns)", words)
        assert registry.describe(method).title in words or "field" in words


def test_an_unknown_method_is_refused(bare: Project) -> None:
    with pytest.raises(NoisySegError, match="no method 'scent'"):
        client.check(bare, spec(method="scent"))


def rough_mask(project: Project, box: Box) -> None:
    shape = (box.height, box.width)
    project.nuclei.paint("a", box, np.zeros(shape, np.int32), np.ones(shape, np.int32))


def test_points_are_answered_with_scnet_and_masks_with_plain_training(bare: Project) -> None:
    assert recommend(bare).method == "igtt"
    rough_mask(bare, Box(0, 0, 8, 8))
    advice = recommend(bare)
    assert advice.method in registry.names()
    assert "masks" in advice.why
    assert advice.have == "You have rough masks in 1 image."
    bare.nuclei.add("a", 40, 40)
    assert recommend(bare).method == "scnet"


def test_rough_masks_and_accepted_nuclei_are_answered_with_correction(bare: Project) -> None:
    rough_mask(bare, Box(0, 0, 8, 8))
    nucleus = bare.nuclei.add("a", 40, 40)
    outline = Outline(Box(36, 36, 44, 44), np.ones((8, 8), bool))
    bare.nuclei.decide([nucleus.id], "accepted", outlines={nucleus.id: outline})
    advice = recommend(bare)
    assert advice.method == "mmc" or "mmc" not in registry.names()
    assert "1 accepted (clean) nucleus" in advice.have
