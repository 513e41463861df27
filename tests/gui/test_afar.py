"""Nuclei too small for outlines: dots, or how densely they lie; and outlines again nearer by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from napari.components import ViewerModel
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import dots, layers
from napari_noisyseg.gui.canvas.outlines import outlines_of
from napari_noisyseg.gui.session import Session, session_of
from napari_noisyseg.gui.tools import afar, crowd, reading
from napari_noisyseg.gui.tools.kit import Kit, kit_of
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Candidate, Outline, Project

MPP = 0.25


def middles(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    serials = np.unique(labels)[1:]
    return np.array(ndi.center_of_mass(labels > 0, labels, serials))


@pytest.fixture(scope="module")
def real(tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> NDArray[np.float64]:
    """Middles of the bundled field's nuclei, as an expert outlined them."""
    return middles(tnbc[1])


# --- what is worked out --------------------------------------------------------------------------


def test_every_nucleus_of_real_tissue_is_counted_once(real: NDArray[np.float64]) -> None:
    whole = Box(0, 0, 512, 512)
    for step in (16, 64, 128):
        found = crowd.counted(real, Box(0, 0, 512 // step, 512 // step), step)
        assert found.sum() == len(real)
        for y, x in np.ndindex(found.shape):
            cell = Box(y * step, x * step, (y + 1) * step, (x + 1) * step)
            assert found[y, x] == crowd.inside(real, cell).sum()
    dense = crowd.density(real, whole, 16, MPP)
    area = (512 * MPP / 1000) ** 2
    # blurred over the border a few are lost
    assert dense.values.mean() * area == pytest.approx(len(real), rel=0.1)
    assert dense.values.shape == (32, 32)
    # where nuclei lie it is denser than elsewhere
    at = np.floor(real / 16).astype(int)
    assert dense.values[tuple(at.T)].mean() > 1.2 * dense.values.mean()


@given(st.integers(0, 400), st.integers(0, 400), st.integers(30, 112))
@settings(max_examples=30, deadline=None)
def test_a_density_does_not_move_with_the_view(y: int, x: int, side: int) -> None:
    random = np.random.default_rng(side)
    places = random.uniform(0, 512, (300, 2))
    whole = crowd.density(places, Box(0, 0, 512, 512), 16, MPP)
    part = crowd.density(places, Box(y, x, y + side, x + side), 16, MPP)
    row, column = (o // 16 for o in part.origin)
    height, width = part.values.shape
    seen = whole.values[row : row + height, column : column + width]
    assert np.allclose(part.values[: seen.shape[0], : seen.shape[1]], seen, atol=1e-3)


# thousandths of a pixel: nearer ones would fall together at any scale of a screen
@given(arrays(np.int64, st.tuples(st.integers(1, 60), st.just(2)), elements=st.integers(0, 10**8)))
@settings(max_examples=50, deadline=None)
def test_dots_are_drawn_where_they_can_be_told_from_each_other(
    thousandths: NDArray[np.int64],
) -> None:
    places = thousandths / 1000
    near, far = crowd.form_of(places, 1e-6), crowd.form_of(np.zeros((50, 2)), 1.0)
    distinct = len(np.unique(places, axis=0)) == len(places)
    assert near == "dots" or not distinct
    assert far == "density"


def test_the_further_away_the_fewer_are_dots(real: NDArray[np.float64]) -> None:
    forms = [crowd.form_of(real, pixel) for pixel in (1, 4, 8, 16, 64)]
    assert forms[0] == "dots"
    assert forms[-1] == "density"
    assert forms == sorted(forms, reverse=True)
    many = np.random.default_rng(0).uniform(0, 1e6, (crowd.MOST + 1, 2))
    assert crowd.form_of(many, 1e-3) == "density"


@given(st.floats(1e-3, 1e9))
def test_a_legends_number_is_round_and_not_much_larger(value: float) -> None:
    found = crowd.rounded(value)
    assert value * (1 - 1e-6) <= found <= 1.5001 * value
    assert len(f"{found:.0e}".split("e")[0]) == 1
    assert crowd.rounded(0) == 0


@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_a_cell_belongs_to_the_image_where_its_middle_does(h: int, w: int, power: int) -> None:
    step = 1 << power
    found = crowd.density(np.empty((0, 2)), Box(0, 0, h, w), step, MPP)
    kept = crowd.within(found, (h, w))
    assert kept.shape == found.values.shape
    rows, columns = (math.ceil(side / step - 0.5) for side in (h, w))
    assert kept[:rows, :columns].all()
    assert kept.sum() == rows * columns


def test_nothing_is_shaded_where_there_is_nothing() -> None:
    shaded = dots.shades(np.array([[0.0, 5.0, 10.0, 50.0]]), 10.0)
    assert shaded[0, 0, 3] == 0
    assert 0 < shaded[0, 1, 3] < shaded[0, 2, 3] == shaded[0, 3, 3]
    assert not dots.shades(np.zeros((2, 2)), 0.0)[..., 3].any()


# --- in a session --------------------------------------------------------------------------------


def tiled(project: Project, tnbc: Any, across: int) -> str:
    """Real tissue side by side as one image, and a run that found its nuclei."""
    rgb, labels = tnbc
    name = project.add_array(np.tile(rgb, (across, across, 1)), "tiled", MPP).name
    finds = []
    for serial, where in enumerate(ndi.find_objects(labels), 1):
        if where is None:
            continue
        box, mask = Box.of_slices(*where), labels[where] == serial
        y, x = (float(v) for v in np.argwhere(mask).mean(axis=0) + box.origin)
        for down in range(0, 512 * across, 512):
            for right in range(0, 512 * across, 512):
                outline = Outline(box.shift(down, right), mask)
                finds.append(Candidate("", 0, y + down, x + right, outline, 0.9, "", "", 20.0))
    found = project.nuclei.adopt(name, "r", finds)
    plane = np.zeros((512 * across, 512 * across), np.int32)
    for one in found:
        assert one.outline is not None
        plane[one.outline.box.slices][one.outline.mask] = one.serial
    project.labels.write(name, "refined", plane)
    return name


@pytest.fixture
def session(tmp_path: Path, tnbc: Any) -> Iterator[Session]:
    """Nuclei of a run in an image without a window, seen from so near that outlines are read."""
    with Project.create(tmp_path / "p.noisyseg") as made:
        tiled(made, tnbc, 3)
    found = session_of(ViewerModel())
    said: list[str] = []
    found.noticed.connect(said.append)
    kit_of(found)
    found.open(tmp_path / "p.noisyseg")
    found.look(step="train")
    look(found, 4.0)
    yield found
    found.shut()
    assert said == []


def look(session: Session, zoom: float) -> None:
    session.viewer.scene.camera.zoom = zoom


def kit(session: Session) -> Kit:
    return kit_of(session)


def drawn(session: Session) -> dots.DotsOverlay:
    layer = layers.find(session.viewer, "tiled", "afar")
    assert layer is not None
    assert layer.visible
    return dots.dots_of(layer)


def layer_of(session: Session, kind: str) -> Any:
    return layers.find(session.viewer, "tiled", kind)


def refined(session: Session) -> Any:
    return layer_of(session, "refined")


def test_from_afar_there_are_dots_and_nearer_by_outlines(
    session: Session, real: NDArray[np.float64]
) -> None:
    assert session.view.afar == {}
    assert layers.find(session.viewer, "tiled", "afar") is None
    look(session, 0.9)
    assert session.view.afar == {"refined": "dots"}
    marks = drawn(session).marks
    assert len(marks.places) == len(session.require_project().nuclei.candidates("tiled"))
    assert not outlines_of(refined(session)).visible
    look(session, 1.1)
    assert session.view.afar == {}
    assert outlines_of(refined(session)).visible
    assert not layer_of(session, "afar").visible


def test_very_small_nuclei_become_a_density(session: Session) -> None:
    look(session, 0.9)
    look(session, 0.05)
    assert session.view.afar == {"refined": "density"}
    overlay = drawn(session)
    assert len(overlay.marks.places) == 0
    assert overlay.shaded is not None
    record = session.require_image()
    (y, x), step, rgba = overlay.shaded.origin, overlay.shaded.step, overlay.shaded.rgba
    rows, columns = np.nonzero(rgba[..., 3])
    assert y + (rows.max() + 0.5) * step < record.height  # no colour beside the image
    assert x + (columns.max() + 0.5) * step < record.width
    assert kit(session).afar.top > 1000  # nuclei per mm² of a tumour
    look(session, 0.9)
    assert drawn(session).shaded is None
    assert len(drawn(session).marks.places) > 0


def test_only_what_is_in_view_is_drawn_and_a_little_round_it(session: Session) -> None:
    everything = len(session.require_project().nuclei.candidates("tiled"))
    # without a window the canvas is taken for 800 x 800: 816 µm, which end 108 µm in the image
    session.viewer.scene.camera.center = (0.0, -300.0, -300.0)
    look(session, 0.98)
    places = drawn(session).marks.places
    seen = crowd.inside(places, Box(0, 0, 432, 432))
    assert 0 < seen.sum() < len(places) < everything
    assert places.max() < 2 * 816 / MPP
    # a short way needs nothing new, a longer one does
    marks = drawn(session).marks
    session.viewer.scene.camera.center = (0.0, -290.0, -295.0)
    assert drawn(session).marks is marks
    session.viewer.scene.camera.center = (0.0, 100.0, 100.0)
    assert len(drawn(session).marks.places) == everything


def test_what_people_say_is_seen_in_the_dots_and_undone(session: Session) -> None:
    look(session, 0.9)
    project = session.require_project()
    some = [c.id for c in project.nuclei.candidates("tiled")[:7]]
    with session.acting():
        project.nuclei.decide(some, "rejected")
    rejected = dots.LOOKS.index("rejected")
    assert (drawn(session).marks.looks == rejected).sum() == 7
    session.undo()
    assert (drawn(session).marks.looks == rejected).sum() == 0


def test_outlines_that_are_switched_off_have_no_dots(session: Session) -> None:
    look(session, 0.9)
    session.toggle("refined", False)
    assert session.view.afar == {}
    session.toggle("refined", True)
    assert session.view.afar == {"refined": "dots"}
    # the eye of the dots in napari's list stands for that of the outlines
    layer_of(session, "afar").visible = False
    assert not session.view.shows("refined")
    assert session.view.afar == {}


def test_the_hide_key_hides_dots_and_brings_no_outlines(session: Session) -> None:
    look(session, 0.9)
    session.look(bare=True)
    assert not layer_of(session, "afar").visible
    assert session.view.afar == {"refined": "dots"}
    session.look(bare=False)
    assert drawn(session)


@pytest.mark.long
def test_many_clicks_are_dots_and_few_stay_rings(
    session: Session, real: NDArray[np.float64]
) -> None:
    session.look(step="annotate")
    project = session.require_project()
    with session.acting():
        project.nuclei.add_many("tiled", real[:50])
    look(session, 0.3)
    assert session.view.afar == {}
    with session.acting():
        everywhere = [np.add(real, (512 * k, 512 * n)) for k in range(3) for n in range(3)]
        project.nuclei.add_many("tiled", np.concatenate(everywhere)[60:])
    assert set(session.view.afar) == {"points"}
    points = layer_of(session, "points")
    assert not points.visible
    look(session, 3.0)
    assert points.visible
    look(session, 0.3)
    session.undo()
    assert points.visible


def test_another_image_has_nothing_of_the_first(session: Session, tnbc: Any) -> None:
    project = session.require_project()
    project.add_array(tnbc[0], "other", MPP)
    session.sync()
    look(session, 0.9)
    session.show_image("other")
    look(session, 0.3)
    assert session.view.afar == {}
    session.show_image("tiled")
    look(session, 0.9)
    assert session.view.afar == {"refined": "dots"}


def test_an_answer_for_what_is_seen_no_more_is_dropped(session: Session, tnbc: Any) -> None:
    waiting: list[Callable[[], None]] = []

    def submit(work: Any, done: Any, failed: Any = None) -> None:
        waiting.append(lambda: done(work()))

    session.require_project().add_array(tnbc[0], "other", MPP)
    session.sync()
    kit(session).spotting.want()
    session.submit = submit
    look(session, 0.9)
    assert len(waiting) == 1
    assert session.view.afar == {}  # outlines stay until something stands for them
    look(session, 4.0)
    waiting.pop()()
    assert session.view.afar == {}
    look(session, 0.9)
    session.show_image("other")
    look(session, 0.9)
    while waiting:
        waiting.pop(0)()
    assert session.view.afar == {}
    assert layers.find(session.viewer, "other", "afar") is None


def test_what_goes_wrong_is_said_once_and_outlines_stay(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(work: Any, done: Any, failed: Any = None) -> None:
        failed(NoisySegError("the disk is gone"))

    kit(session).spotting.want()
    told: list[str] = []
    monkeypatch.setattr(session, "failed", lambda error: told.append(str(error)))
    monkeypatch.setattr(session, "submit", submit)
    look(session, 0.9)
    for way in range(5):
        session.viewer.scene.camera.center = (0.0, 190.0 + way, 190.0)
    assert told == ["the disk is gone"]
    assert session.view.afar == {}


def test_of_a_pyramid_the_outlines_are_not_even_read(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (afar, reading):
        monkeypatch.setattr(module, "LARGEST", 1_000_000)
    session.close()
    session.open(tmp_path / "p.noisyseg")
    session.look(step="train")
    look(session, 4.0)
    layer = refined(session)
    assert layer.multiscale
    assert layer.visible
    look(session, 0.9)
    assert session.view.afar == {"refined": "dots"}
    assert not layer.visible
    assert session.view.shows("refined")
    look(session, 4.0)
    assert layer.visible


@pytest.mark.gui
def test_the_legend_says_what_stands_for_outlines(session: Session, qtbot: Any) -> None:
    from napari_noisyseg.gui.docks.toggles import ShownKinds
    from napari_noisyseg.gui.widgets.legend import Mark, Ramp, Stroke

    made = ShownKinds(session)
    qtbot.addWidget(made)
    made.show()
    assert {type(entry) for entry in made.legend.entries} == {Stroke}
    look(session, 0.9)
    words = [entry.words for entry in made.legend.entries if isinstance(entry, Mark)]
    assert words == ["not reviewed", "accepted", "rejected", "unsure"]
    session.look(by_class=True)
    assert len({e.dot.color for e in made.legend.entries if isinstance(e, Mark)}) == 1
    assert dots.dots_of(layer_of(session, "afar")).by_group
    look(session, 0.05)
    (ramp,) = made.legend.entries
    assert isinstance(ramp, Ramp)
    assert ramp.high == f"{kit(session).afar.top:,.0f} per mm²"
    look(session, 4.0)
    assert {type(entry) for entry in made.legend.entries} == {Stroke}
    made.closing()
