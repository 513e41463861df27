"""What is written of many nuclei at once is what is written of each alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from exchange_parts import candidates_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_noisyseg.exchange import detections, geojson, measurements, nuclei
from napari_noisyseg.exchange.ahead import ahead
from napari_noisyseg.exchange.exporting import export
from napari_noisyseg.exchange.outlines import fill, trace
from napari_noisyseg.exchange.rings import rings_of, texts_of
from napari_noisyseg.instances import measure
from napari_noisyseg.slides import Box
from napari_noisyseg.stains.deconvolution import FIXED, densities
from napari_noisyseg.store import Candidate, Outline, Packed, Project, packed

Tissue = tuple[np.ndarray, np.ndarray]

sides = st.tuples(st.integers(1, 20), st.integers(1, 20))
outlines = st.builds(
    lambda mask, y, x: Outline(Box(y, x, y + mask.shape[0], x + mask.shape[1]), mask),
    sides.flatmap(lambda shape: arrays(bool, shape)),
    st.integers(0, 120_000),
    st.integers(0, 3),
)


def packed_of(found: list[Outline]) -> Packed:
    return Packed.of_rows(
        [
            (str(k), k, 0.0, 0.0, *o.box, o.packed_mask, 0.5, "r", "unreviewed", None)
            for k, o in enumerate(found)
        ]
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(outlines, min_size=1, max_size=9))
def test_rings_of_many_are_those_of_each(found: list[Outline]) -> None:
    rings = rings_of(packed_of(found))
    texts = texts_of(rings)
    assert rings.areas.tolist() == [o.area for o in found]
    for outline, text, count in zip(found, texts, rings.counts, strict=True):
        polygons = trace(outline.mask, outline.box.origin)
        if count:
            assert text.decode() == json.dumps(geojson.geometry(polygons))
            assert count == len(polygons[0][0])
        else:
            # holes, several parts, or pixels that touch at a corner only
            assert not text
            simple = len(polygons) == 1 and len(polygons[0]) == 1
            assert not simple


@pytest.fixture
def found(project: Project, image: str, tnbc: Tissue) -> list[Candidate]:
    """Nuclei of every state, one drawn, one with a hole, one in two parts, one with a class."""
    candidates = candidates_of(tnbc[1])
    holed, parted = np.ones((5, 6), bool), np.eye(4, dtype=bool)
    holed[2, 3] = False
    for mask in (holed, parted):
        box = Box(0, 0, *mask.shape)
        candidates.append(Candidate("", 0, 1.0, 1.0, Outline(box, mask), 0.25, "", "", 0.0))
    found = project.nuclei.adopt(image, "run-1", candidates)
    project.nuclei.decide([found[0].id], "accepted", outlines={found[0].id: found[5].outline})
    project.nuclei.decide([found[1].id], "rejected")
    project.nuclei.decide([found[2].id, found[-1].id], "unsure")
    project.nuclei.set_class([found[0].id], 'Tumör "100 %"')
    return project.nuclei.candidates(image)


@pytest.mark.parametrize("piece", [3, 20_000])
def test_geojson_is_that_of_each_nucleus(
    project: Project,
    tmp_path: Path,
    found: list[Candidate],
    piece: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packed, "PIECE", piece)
    (path,) = export(project, tmp_path, "geojson")
    lines = path.read_text(encoding="utf-8").splitlines()[1:-1]
    kept = [c for c in found if c.state != "rejected"]
    assert len(lines) == len(kept)
    color = project.nuclei.classes()[0].color
    for line, c, shape in zip(lines, kept, geojson.read(path), strict=True):
        about = {"image": project.images()[0].name, "label": str(c.serial), "state": c.state}
        classed = c.class_name and (c.class_name, tuple(bytes.fromhex(color[1:])))
        expected = geojson.feature(
            trace(c.outline.mask, c.outline.box.origin),
            c.id,
            classed,
            {"Area µm^2": c.outline.area * 0.25**2, "Score": c.score},
            {**about, "run": "run-1"},
        )
        assert line.rstrip(",") == json.dumps(expected, ensure_ascii=False)
        assert np.array_equal(fill(shape.polygons, c.outline.box), c.outline.mask)


def test_what_is_read_in_pieces_is_what_was_found(
    project: Project, image: str, found: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "PIECE", 7)
    record = project.images()[0]
    refined = nuclei.refined(project, record)
    assert refined is not None
    told = [
        (n.id, n.serial, n.y, n.x, n.outline, n.state, n.class_name, n.score, n.run)
        for n in refined.nuclei
    ]
    assert told == [
        (c.id, c.serial, c.y, c.x, c.outline, c.state, c.class_name, c.score, c.run)
        for c in found
        if c.state != "rejected"
    ]
    assert refined.largest == max(c.serial for c in found)
    squares = list(refined.by_square(100))
    assert sum(map(len, squares)) == len(refined.nuclei)
    assert all(len(np.unique(part.boxes[:, :2] // 100, axis=0)) == 1 for part in squares)
    # a later run misses what was accepted: it is there all the same, without a score
    project.nuclei.adopt(image, "run-2", [found[7]])
    accepted = nuclei.accepted(project, record)
    assert accepted is not None
    assert [(n.id, n.score, n.run) for n in accepted.nuclei] == [(found[0].id, None, None)]
    assert [n.id for n in nuclei.refined(project, record).nuclei] == [found[0].id, found[7].id]


@pytest.mark.parametrize("tile", [4096, 90])
def test_measurements_are_those_of_each_nucleus(
    project: Project,
    image: str,
    tmp_path: Path,
    tnbc: Tissue,
    found: list[Candidate],
    tile: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measurements, "TILE", tile)
    (path,) = export(project, tmp_path, "csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [c for c in found if c.state != "rejected"]
    assert [r["id"] for r in rows] == [c.id for c in kept]
    density = densities(tnbc[0], FIXED)[0]
    for row, c in zip(rows, kept, strict=True):
        place, mask = c.outline.box.slices, c.outline.mask
        (alone,) = measure(mask.astype(np.int32), density[place], 0.25)
        for key in ("area_um2", "perimeter_um", "eccentricity", "mean_hematoxylin"):
            assert float(row[key]) == pytest.approx(getattr(alone, key), rel=1e-5, abs=1e-6)
        # to the last digit, as pixel by pixel
        mean = density[place][mask].sum(dtype=np.float64) / mask.sum()
        assert row["mean_hematoxylin"] == f"{mean:.6g}"
        assert row["area_um2"] == f"{mask.sum() * 0.25**2:.6g}"
        assert (row["label"], row["state"]) == (str(c.serial), c.state)
        assert (row["x"], row["y"]) == (f"{c.x:.6g}", f"{c.y:.6g}")
        assert row["class"] == (c.class_name or "")
        assert row["score"] == f"{c.score:.6g}"


def test_work_ahead_keeps_the_order_and_holds_two_parts() -> None:
    taken, worked = [], []

    def parts():
        for part in range(6):
            taken.append(part)
            yield part

    def work(part: int) -> int:
        worked.append(part)
        return part * part

    seen = []
    for result in ahead(work, parts()):
        seen.append(result)
        assert len(taken) <= len(seen) + 1
    assert seen == [part * part for part in range(6)]
    assert worked == taken == list(range(6))
    assert list(ahead(work, [])) == []


def test_what_goes_wrong_ahead_is_told_in_its_turn() -> None:
    def work(part: int) -> int:
        return 10 // part

    results = ahead(work, [5, 2, 0, 1])
    assert [next(results), next(results)] == [2, 5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_ids_that_are_no_plain_letters_are_quoted_as_json() -> None:
    words = ["a-1", "b", 'c"d', "é", "x\ny"]
    for some in (words, words[:2], ["a\nb"], [""]):
        assert [json.loads(text) for text in detections._texts(some)] == some
