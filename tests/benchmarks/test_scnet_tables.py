"""SC-Net's tables: the paper's setting, the same tiles and updates in every arm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_noisyseg import registry
from napari_noisyseg.benchmarks import scnet, trainings
from napari_noisyseg.benchmarks import scnet_case as case
from napari_noisyseg.benchmarks.report import Report
from napari_noisyseg.benchmarks.tissue import inner_points
from napari_noisyseg.data.regions import Region, region_of

TINY: dict[str, Any] = {"width": 4, "encoder": "1-1-1", "batch_size": 4}


@pytest.fixture
def marked(tnbc) -> list[Region]:
    """Four pieces of real tissue, a point in each nucleus."""
    rgb, truth = tnbc
    found = []
    for k, (y, x) in enumerate(((0, 0), (0, 256), (256, 0), (256, 256))):
        window = np.s_[y : y + 256, x : x + 256]
        points = inner_points(truth[window].astype(np.int32))
        found.append(region_of(rgb[window], 0.25, str(k), points=points, clean=truth[window]))
    return found


@pytest.mark.long
def test_every_arm_sees_the_same_tiles_as_often(marked: list[Region]) -> None:
    arms = {
        "a": ("scnet", {**case.PAPERS, **scnet.ABLATION["a"]}),
        "d": ("scnet", case.PAPERS),
        "all shared": ("scnet", {**case.PAPERS, "split_overlap": 1.0}),
        "clean": ("supervised", {**case.PAPERS, "networks": 2}),
    }
    rows = {
        key: case.trained(name, marked, {**settings, **TINY}, updates=3, seed=0)[1]
        for key, (name, settings) in arms.items()
    }
    assert len({(row["steps"], row["tiles"]) for row in rows.values()}) == 1
    assert rows["d"]["steps"] == 3


@pytest.mark.long
def test_the_papers_own_network_trains_and_predicts(marked: list[Region], tnbc: Any) -> None:
    """What the long form runs on a GPU, here on a processor, smaller and for one update."""
    how = case.How("paper", "cpu")
    few = {**case.PAPERS, **TINY, "tile": 128, "crop": 128, "batch_size": 2}
    for name in ("scnet", "supervised"):
        model, row = case.trained(name, marked[:2], few, updates=1, seed=0, how=how)
        assert row["steps"] == 1
        assert model.predict(tnbc[0][:128, :128], 0.25)["probability"].shape == (128, 128)


def test_parts_of_the_paper_are_compared_in_its_own_setting() -> None:
    config: Any = registry.load("scnet").Config.from_preset("small", **case.PAPERS)
    paper: Any = registry.load("scnet").Config.from_preset("paper")
    for name in ("coarse", "cluster_recipe", "splitting"):
        assert getattr(config, name) == getattr(paper, name)


def test_ablation_has_the_papers_numbers_beside_and_a_ceiling(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[dict[str, Any], int]] = []
    hows: list[case.How] = []

    def points(train, test, updates, settings, seed, starter=False, how=case.SMALL):
        seen.append((settings, updates))
        hows.append(how)
        return {"aji": 0.5, "steps": updates}

    monkeypatch.setenv("NOISYSEG_SEEDS", "1")
    monkeypatch.setattr(scnet, "split", lambda data: ([], []))
    monkeypatch.setattr(scnet, "of_points", points)
    monkeypatch.setattr(scnet, "of_masks", lambda *words, **more: {"aji": 0.6, "steps": 600})
    report: Report = scnet.ablation(Path(), False)
    assert {s["coarse"] for s, _ in seen} == {"cluster"}
    assert {updates for _, updates in seen} == {scnet.UPDATES}
    assert report.figures["aji_clean"] == 0.6
    assert {row["key"]: row["paper"] for row in report.rows}["d"] == 0.562
    assert set(hows) == {case.How("small", "cpu")}
    hows.clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    scnet.ablation(Path(), False)
    assert set(hows) == {case.How("small", "cpu")}
    monkeypatch.chdir(tmp_path)
    hows.clear()
    scnet.ablation(Path(), True)
    assert set(hows) == {case.How("paper", "cuda")}


def test_arms_of_two_tables_are_the_very_same_training(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, dict[str, Any]] = {}

    def noted(table: str):
        def table_of(name, full, arms, paper, same=None):
            calls[table] = arms
            return Report(name, {})

        return table_of

    monkeypatch.setattr(scnet, "split", lambda data: ([], []))
    for table, run in (("ablation", scnet.ablation), ("split-overlap", scnet.split_overlap)):
        monkeypatch.setattr(scnet, "_table", noted(table))
        run(Path(), False)
    kind = registry.load("scnet").Config
    for arm, (table, other) in scnet.SAME.items():
        mine, theirs = calls["split-overlap"][arm], calls[table][other]
        assert (mine.func, mine.args[:3]) == (theirs.func, theirs.args[:3])
        assert mine.keywords == theirs.keywords
        assert kind.from_preset("small", **mine.args[3]) == kind.from_preset(
            "small", **theirs.args[3]
        )


def test_only_a_gpus_child_sees_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    class Done:
        returncode, stdout = 0, ""

    def run(command: Any, env: dict[str, str], **more: Any) -> Done:
        seen.append(env.get("CUDA_VISIBLE_DEVICES"))
        return Done()

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(trainings.subprocess, "run", run)
    trainings.noisyseg("doctor")
    trainings.noisyseg("doctor", gpu=True)
    assert seen == ["", "0"]


def test_what_is_trained_once_is_tested_on_each_set(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[Any, int]] = []
    found = {"cpm15": 0.5, "dsb2018/hist": 0.4, "monuseg": 0.0}

    def trained(name, regions, settings, updates, seed, how=case.SMALL):
        begun.append((settings.get("first_weights"), seed))
        return settings, {"steps": updates}

    def tested(model, test):
        own = found[test] + 0.1 * ("first_weights" not in model)
        return dict.fromkeys(case.SCORES, own)

    monkeypatch.setenv("NOISYSEG_SEEDS", "2")
    monkeypatch.setattr(scnet, "fields", lambda data, name: name)
    monkeypatch.setattr(case, "points_of", lambda train: [train])
    monkeypatch.setattr(case, "trained", trained)
    monkeypatch.setattr(case, "tested", tested)
    monkeypatch.setattr(case, "untrained", lambda test: {"aji": found[test]})
    report = scnet.external(Path(), False)
    assert begun == [("none", 0), (None, 0), ("none", 1), (None, 1)]
    assert [report.figures[f"aji_{key}"] for key in ("cpm15", "hist")] == [0.5, 0.4]
    assert report.figures["aji_cpm15_starter"] == pytest.approx(0.6)
    assert report.figures["std_hist_starter"] == 0
    assert report.figures["aji_hist_untrained"] == 0.4
    assert {row["key"]: row.get("paper") for row in report.rows}["cpm15"] == 0.5132


def test_as_people_get_it_a_training_begins_with_first_weights(marked: list[Region]) -> None:
    alone, _ = case.trained("scnet", marked[:1], {**case.OURS, "batch_size": 4}, 1, seed=0)
    first, _ = case.trained("scnet", marked[:1], {**case.AS_USERS, "batch_size": 4}, 1, seed=0)
    rgb = marked[1].rgb
    apart = [model.predict(rgb, 0.25)["probability"] for model in (alone, first)]
    truth = marked[1].clean > 0
    inside, outside = ([maps[where].mean() for maps in apart] for where in (truth, ~truth))
    assert inside[1] - outside[1] > 0.3 > inside[0] - outside[0]


def test_the_untrained_starter_finds_nuclei(tnbc) -> None:
    rgb, truth = tnbc

    class OneField:
        mpp = 0.25

        def rgb(self):
            return rgb[:256, :256]

        def truth(self):
            return truth[:256, :256].astype(np.int32)

    assert float(str(case.untrained([OneField()])["aji"])) > 0.4
