"""Where nuclei lie is learned from complete fields, and used only where it helps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_noisyseg import samples
from napari_noisyseg.coarse.centres import centres, maps, score
from napari_noisyseg.coarse.project import centres_of
from napari_noisyseg.coarse.starter import CENTRES, Network, model_weights
from napari_noisyseg.store import Project
from napari_noisyseg.worker.lessons import places

pytest.importorskip("torch")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    samples.demo_project(tmp_path)
    with Project.open(tmp_path / "tnbc.noisyseg") as opened:
        yield opened


def changed(factor: float) -> dict[str, Any]:
    return {name: (factor * array).astype(np.float32) for name, array in weights().items()}


def weights() -> dict[str, Any]:
    return dict(model_weights(CENTRES))


def test_a_field_is_learned_from_in_one_part_and_judged_in_the_other(project: Project) -> None:
    (field,) = places.complete_fields(project)
    first, last = field.part(True), field.part(False)
    assert len(first.clicks) + len(last.clicks) == len(field.clicks)
    assert first.rgb.shape[:2] == first.labels.shape
    whole = np.concatenate([first.labels, last.labels], axis=int(np.argmax(field.labels.shape)))
    np.testing.assert_array_equal(whole, field.labels)
    for part in (first, last):
        at = np.floor(part.clicks + 0.5).astype(int)
        assert (at >= 0).all()
        assert (at < part.labels.shape).all()
        assert (part.labels[tuple(at.T)] > 0).mean() > 0.9


def test_what_helps_is_used_and_undone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_noisyseg.learning.starter import places as learning

    monkeypatch.setattr(places, "model_weights", lambda name: changed(0.2))  # has seen little
    monkeypatch.setattr(learning, "learn", lambda *words, **more: weights())
    lesson = places.learn_places(project)
    assert lesson.used
    assert lesson.gain > 0
    assert "learned where nuclei lie from 117 nuclei" in lesson.words
    assert centres_of(project) is not None
    assert project.nuclei.undo() == "learn where nuclei lie from 117 nuclei"
    assert centres_of(project) is None


def test_what_does_not_help_is_not_used(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_noisyseg.learning.starter import places as learning

    monkeypatch.setattr(learning, "learn", lambda *words, **more: changed(0.2))
    version = project.nuclei.version()
    lesson = places.learn_places(project)
    assert not lesson.used
    assert "nothing is changed" in lesson.words
    assert project.nuclei.version() == version


def test_few_nuclei_or_an_open_field_teach_nothing(project: Project) -> None:
    (image,) = project.images()
    (field,) = project.nuclei.fields(image.name)
    project.nuclei.change_field(field.id, complete=False)
    lesson = places.learn_places(project)
    assert (lesson.used, lesson.nuclei) == (False, 0)
    assert "at least 40 are needed" in lesson.words


@pytest.mark.long
def test_some_steps_bring_the_network_nearer_to_the_field(project: Project) -> None:
    from napari_noisyseg.learning.starter import places as learning

    torch = pytest.importorskip("torch")
    (field,) = places.complete_fields(project)
    (view, *_) = places._views(field, 0)
    worse = changed(0.7)
    learned = learning.learn(worse, [view], steps=6)

    def loss(of: Any) -> float:
        from napari_noisyseg.learning.starter.train import both_maps, depth
        from napari_noisyseg.nets.half import of_weights

        truth = torch.stack([torch.from_numpy(depth(view.labels.numpy())), view.labels > 0])
        with torch.inference_mode():
            return float(both_maps(of_weights(of)(view.planes.float()[None]), truth[None]))

    assert loss(learned) < loss(worse)
    assert Network(CENTRES, learned).logits(view.planes.float().numpy()[None]).shape[1] == 2


def rejected(project: Project) -> tuple[np.ndarray, np.ndarray]:
    """Places where the starter sees nuclei and nobody did, rejected; and the clicks, (n, 2)."""
    (record,) = project.images()
    (field,) = places.complete_fields(project)
    away = np.linalg.norm(
        field.clicks[:, None] - centres(field.rgb, field.mpp).points[None], axis=2
    ).min(axis=0)
    spots = centres(field.rgb, field.mpp).points[away * field.mpp > 2]
    made = project.nuclei.add_many(record.name, spots)
    project.nuclei.decide([n.id for n in made], "rejected")
    return spots, field.clicks


def test_what_was_rejected_is_no_nucleus_of_the_field(project: Project) -> None:
    spots, clicks = rejected(project)
    assert len(spots) > 10
    (field,) = places.complete_fields(project)
    np.testing.assert_array_equal(field.clicks, clicks)
    at = np.floor(spots + 0.5).astype(int)
    assert (field.labels[tuple(at.T)] == places.REFUSED).mean() > 0.9


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_rejected_nucleus_is_seen_to_be_learned(project: Project) -> None:
    from napari_noisyseg.learning.starter.places import learn

    spots, clicks = rejected(project)
    (field,) = places.complete_fields(project)
    before = Network(CENTRES)
    after = Network(CENTRES, learn(weights(), places._views(field, 0), steps=50))

    def seen(where: np.ndarray, network: Network) -> float:
        found = score(maps(field.rgb, field.mpp, network))
        factor = np.array(found.shape) / np.array(field.rgb.shape[:2])
        rows, columns = np.floor((where + 0.5) * factor).astype(int).T
        return float(found[rows, columns].mean())

    def proposed(where: np.ndarray, network: Network) -> float:
        points = centres(field.rgb, field.mpp, network=network).points
        away = np.linalg.norm(points[:, None] - where[None], axis=2).min(axis=0)
        return float((away * field.mpp <= 1.5).mean())

    # as background like any other, unrejected, they fall by 0.08 only
    assert seen(spots, after) < seen(spots, before) - 0.12
    assert seen(clicks, after) > seen(clicks, before) - 0.1
    assert proposed(spots, before) > 0.9
    assert proposed(spots, after) < 0.6
    assert proposed(clicks, after) > proposed(clicks, before) - 0.15
