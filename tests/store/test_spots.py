"""Places of very many nuclei, read piece by piece: the same as the nuclei themselves say."""

from __future__ import annotations

from typing import Any

import pytest

from napari_noisyseg.store import Project, spots
from napari_noisyseg.store.records import STATES
from napari_noisyseg.store.spots import SpotReader, Spots

from .conftest import candidate, outline


def read(reader: SpotReader) -> Spots:
    while (found := reader.step()) is None:
        pass
    return found


def rows(found: Spots) -> list[tuple[float, float, str, int]]:
    columns = (*found.places.T.tolist(), found.states.tolist(), found.classes.tolist())
    return sorted((y, x, STATES[s], c) for y, x, s, c in zip(*columns, strict=True))


def wanted(project: Project, image: str) -> list[tuple[float, float, str, int]]:
    numbers = {c.name: n for n, c in enumerate(project.nuclei.classes(), 1)}
    found = project.nuclei.candidates(image)
    return sorted((c.y, c.x, c.state, numbers.get(c.class_name or "", 0)) for c in found)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spots, "PIECE", 7)


def test_places_are_those_of_the_nuclei_after_whatever_people_say(tissue: Project) -> None:
    reader, nuclei = tissue.nuclei.spots("tissue"), tissue.nuclei
    assert rows(read(reader)) == []
    made = [candidate(y, x) for y in range(0, 400, 60) for x in range(0, 400, 60)]
    found = nuclei.adopt("tissue", "run-1", made)
    assert rows(read(reader)) == wanted(tissue, "tissue")
    nuclei.decide([c.id for c in found[:9]], "accepted")
    nuclei.decide([c.id for c in found[9:13]], "rejected")
    nuclei.set_class([c.id for c in found[2:20]], "tumour")
    assert rows(read(reader)) == wanted(tissue, "tissue")
    assert {state for *_, state, _ in rows(read(reader))} == {"accepted", "rejected", "unreviewed"}
    nuclei.remove([found[0].id])
    assert rows(read(reader)) == wanted(tissue, "tissue")
    assert len(read(reader)) == len(found) - 1
    nuclei.undo()
    assert rows(read(reader)) == wanted(tissue, "tissue")
    # drawn by a person where the run found nothing
    nuclei.add_outlined("tissue", 485.0, 485.0, outline(480, 480))
    assert rows(read(reader)) == wanted(tissue, "tissue")


def test_what_comes_later_is_read_alone(tissue: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tissue.add_array(tissue.pixels("tissue").levels[0][:64, :64], "other", 0.25)
    reader, nuclei = tissue.nuclei.spots("tissue"), tissue.nuclei
    begun, piece = list[int](), reader._read_piece

    def noted(named: dict[str, Any]) -> None:
        begun.append(named["after"])
        piece(named)

    monkeypatch.setattr(reader, "_read_piece", noted)
    for core in range(3):
        begun.clear()
        box = outline(120 * core, 0, 110).box
        made = [candidate(box.y0 + k, 10 * k) for k in range(11)]
        nuclei.adopt("tissue", "run-1", made, box)
        nuclei.adopt("other", "run-1", [candidate(3, 3)])
        assert rows(read(reader)) == wanted(tissue, "tissue")
        assert min(begun) == 12 * core
    assert len(read(reader)) == 33
    # another run has the word: its nuclei, and none of the first one's
    nuclei.adopt("tissue", "run-2", [candidate(300, 300)])
    assert rows(read(reader)) == wanted(tissue, "tissue")
    assert len(read(reader)) == 1


def test_nuclei_found_anew_where_they_were_taken_away_are_noticed(tissue: Project) -> None:
    reader, box = tissue.nuclei.spots("tissue"), outline(0, 0, 200).box
    tissue.nuclei.adopt("tissue", "run-1", [candidate(9 * k, 20) for k in range(15)])
    assert len(read(reader)) == 15
    tissue.nuclei.adopt("tissue", "run-1", [candidate(40, 90), candidate(80, 90)], box)
    assert rows(read(reader)) == wanted(tissue, "tissue")


def test_as_many_found_elsewhere_are_noticed(tissue: Project) -> None:
    """The new rows then have the numbers of those before."""
    reader = tissue.nuclei.spots("tissue")
    for x in (20, 200):
        made = [candidate(9 * k, x) for k in range(15)]
        tissue.nuclei.adopt("tissue", "clicks", made)
        assert rows(read(reader)) == wanted(tissue, "tissue")
