"""One version of the code in every table; seeds, deviations and the paper beside each figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_noisyseg import benchmarks
from napari_noisyseg.benchmarks import ledger, seeds, tables
from napari_noisyseg.benchmarks.report import Report
from napari_noisyseg.errors import NoisySegError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOISYSEG_SEEDS", raising=False)


def test_rows_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.rows_of("igtt", True, [("a", lambda: {"dice": 0.5})])
    monkeypatch.setattr(ledger, "version", lambda table: "another")
    with pytest.raises(NoisySegError, match="another version of the code"):
        ledger.rows_of("igtt", True, [("b", lambda: {"dice": 0.7})])
    kept = json.loads(Path("benchmark-runs/igtt-full.json").read_text())
    assert kept["rows"] == {"a": {"dice": 0.5}}


def test_rows_without_a_version_are_refused() -> None:
    Path("benchmark-runs").mkdir()
    Path("benchmark-runs/igtt-full.json").write_text(json.dumps({"a": {"dice": 0.5}}))
    with pytest.raises(NoisySegError, match="unknown"):
        ledger.rows_of("igtt", True, [("a", lambda: {"dice": 0.7})])


def test_short_forms_keep_rows_within_a_slice_only() -> None:
    done: list[str] = []

    def job() -> ledger.Row:
        done.append("a")
        return {"dice": 0.5}

    ledger.rows_of("igtt", False, [("a", job)])
    assert not Path("benchmark-runs").exists()
    with ledger.sliced():
        for _ in range(2):
            assert ledger.rows_of("igtt", False, [("a", job)]) == (
                [{"key": "a", "dice": 0.5}],
                True,
            )
    assert len(done) == 2


def test_a_cell_is_mean_and_deviation_of_its_seeds() -> None:
    order: list[tuple[str, int]] = []

    def arm(name: str, scores: tuple[float, ...]) -> seeds.Job:
        def job(seed: int) -> ledger.Row:
            order.append((name, seed))
            return {"dice": scores[seed], "steps": 10}

        return job

    arms = {"dice_a": arm("a", (0.1, 0.2, 0.3)), "dice_b": arm("b", (0.5, 0.5, 0.8))}
    rows, complete = seeds.over_seeds("igtt", False, arms, paper={"dice_b": 0.9})
    assert complete
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert rows[0] == {
        "key": "dice_a", "dice": 0.2, "steps": 10.0, "std": 0.1, "worst": 0.1, "seeds": 3,
        "paper": None,
    }  # fmt: skip
    assert rows[1]["std"] == pytest.approx(0.1732, abs=1e-4)
    assert rows[1]["paper"] == 0.9
    assert seeds.figures(rows) == {"dice_a": 0.2, "std_a": 0.1, "dice_b": 0.6, "std_b": 0.173205}


def test_a_mean_is_rounded_once() -> None:
    arms = {"a": lambda seed: {"dice": (0.8388, 0.8439, 0.8447)[seed]}}
    rows, _ = seeds.over_seeds("igtt", False, arms)
    (cell,) = tables.cells("igtt", Report("igtt", {}, rows))
    assert "| 0.842 |" in tables.markdown([cell], {"igtt": True})


def test_a_table_with_several_scores_has_a_cell_and_a_deviation_of_each() -> None:
    near = (0.7, 0.8, 0.9)
    arms = {"a": lambda seed: {"dice": 0.5, "dice_near": near[seed], "steps": 9}}
    rows, _ = seeds.over_seeds("superpixel-noise", False, arms, paper={"a": 0.6})
    found = tables.cells("superpixel-noise", Report("superpixel-noise", {}, rows))
    assert [(c["score"], c["value"], c["std"], c["paper"]) for c in found] == [
        ("dice_near", 0.8, 0.1, 0.6), ("dice", 0.5, 0.0, None),
    ]  # fmt: skip


def test_rows_of_single_images_become_cells_over_all_images() -> None:
    rows: list[ledger.Row] = [
        {"key": "a box", "noise": "box", "corrected": 0.5, "rough": 0.4},
        {"key": "b box", "noise": "box", "corrected": 0.7, "rough": 0.4},
        {"key": "a partial", "noise": "partial", "corrected": 0.9, "recall": 0.6},
    ]
    found = tables.cells("rough-field", Report("rough-field", {}, rows))
    assert [(c["cell"], c["score"], c["value"], c["worst"], c["of"]) for c in found] == [
        ("box", "rough", 0.4, 0.4, "images: 2"), ("box", "corrected", 0.6, 0.5, "images: 2"),
        ("partial", "corrected", 0.9, 0.9, "images: 1"),
        ("partial", "recall", 0.6, 0.6, "images: 1"),
    ]  # fmt: skip
    assert found[1]["std"] == pytest.approx(0.02**0.5)
    assert found[2]["std"] is None


def test_the_number_of_seeds_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISYSEG_SEEDS", "1")
    rows, _ = seeds.over_seeds("igtt", False, {"a": lambda seed: {"dice": 0.5}})
    assert (rows[0]["seeds"], rows[0]["std"]) == (1, None)
    monkeypatch.setenv("NOISYSEG_SEEDS", "many")
    with pytest.raises(NoisySegError, match="NOISYSEG_SEEDS"):
        seeds.seeds()


def test_tables_go_on_from_slice_to_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    def table(name: str):
        def run(data: Path, full: bool) -> Report:
            arms = {"dice_a": lambda seed: {"dice": 0.1 * seed}}
            rows, complete = seeds.over_seeds(name, full, arms, paper={"dice_a": 0.25})
            return Report(name, {**seeds.figures(rows), "complete": float(complete)}, rows)

        return run

    monkeypatch.setattr(tables, "TABLES", ("igtt", "structure"))
    monkeypatch.setattr(benchmarks, "load", table)
    monkeypatch.setattr(ledger, "SLICE_SECONDS", -1.0)
    assert tables.run(Path(), False).figures["complete"] == 0
    monkeypatch.setattr(ledger, "SLICE_SECONDS", 60.0)
    report = tables.run(Path(), False)
    assert report.figures["complete"] == 1
    assert report.figures["igtt.dice_a"] == pytest.approx(0.1)
    assert report.rows[1] == {
        "table": "structure", "version": ledger.version("structure"), "cell": "dice_a",
        "score": "dice", "value": 0.1, "std": 0.1, "worst": 0.0, "of": "seeds: 3", "paper": 0.25,
    }  # fmt: skip
    page = Path("benchmark-runs/tables.md").read_text(encoding="utf-8")
    for table in tables.TABLES:
        assert f"Version {ledger.version(table)} of" in page
    assert "| dice_a | dice | 0.100 | 0.100 | 0.000 | seeds: 3 | 0.250 |" in page


def test_tables_of_another_version_are_named_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with ledger.sliced():
        for name in ("igtt", "igtt-thresholds", "structure", "external"):
            ledger.rows_of(name, False, [("a", lambda: {"dice": 0.5})])
    ledger.rows_of("ablation", True, [("a", lambda: {"dice": 0.5})])
    for name in ("igtt-thresholds", "structure", "ablation-full"):
        stored = Path(f"benchmark-runs/{name}.json")
        kept = json.loads(stored.read_text(encoding="utf-8"))
        stored.write_text(json.dumps({**kept, "version": "another"}), encoding="utf-8")
    monkeypatch.setattr(tables, "TABLES", ("igtt", "structure", "external", "ablation"))
    with pytest.raises(NoisySegError) as refused:
        tables.run(Path(), False)
    words = str(refused.value)
    assert "igtt-thresholds.json" in words
    assert "structure.json" in words
    assert "igtt.json" not in words
    assert "external" not in words
    assert "ablation" not in words


def test_a_training_of_two_tables_is_trained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISYSEG_SEEDS", "2")
    trained: list[str] = []

    def arm(name: str) -> seeds.Job:
        def job(seed: int) -> ledger.Row:
            trained.append(f"{name} {seed}")
            return {"dice": 0.5}

        return job

    same = {"0": ("ablation", "d")}
    with ledger.sliced():
        seeds.over_seeds("ablation", False, {"d": arm("d")})
        rows, _ = seeds.over_seeds("split-overlap", False, {"0": arm("0"), "40": arm("40")},
                                   same=same)  # fmt: skip
    assert trained == ["d 0", "d 1", "40 0", "40 1"]
    assert [row["dice"] for row in rows] == [0.5, 0.5]
    stored = Path("benchmark-runs/ablation.json")
    stored.write_text(stored.read_text().replace(ledger.version("ablation"), "another"))
    Path("benchmark-runs/split-overlap.json").unlink()
    with ledger.sliced():
        seeds.over_seeds("split-overlap", False, {"0": arm("0")}, same=same)
    assert trained[4:] == ["0 0", "0 1"]


def test_every_table_is_one_of_the_benchmarks() -> None:
    assert set(tables.TABLES) < set(benchmarks.names())
