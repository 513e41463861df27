"""A viewer with the panel, on real tissue, in a window of its own; leaks and notices fail."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# before napari is imported: no test touches the settings of whoever runs it
os.environ["NAPARI_CONFIG"] = str(
    Path(tempfile.mkdtemp(prefix="noisyseg-napari-")) / "settings.yaml"
)

import numpy as np
import pytest
from napari.components import ViewerModel
from numpy.typing import NDArray

from napari_noisyseg.benchmarks.display import has_display
from napari_noisyseg.gui.session import Session, session_of
from napari_noisyseg.gui.settings import keep, setting
from napari_noisyseg.gui.window.remembered import GROUP, OVERVIEW, SWITCHED

HERE = Path(__file__).parent
THIRD_PARTY = (
    # vispy, napari and Qt themselves on this Python; nothing we can mend
    "ignore::DeprecationWarning:vispy",
    "ignore::DeprecationWarning:napari",
    "ignore::ResourceWarning:napari",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder that opens a window needs Qt and OpenGL."""
    for item in items:
        if HERE in Path(item.fspath).parents:
            window = item.get_closest_marker("gui") is not None
            if window or "make_napari_viewer" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.gui)
                if not has_display():
                    item.add_marker(pytest.mark.skip("no display, and no Xvfb (make system)"))
            for rule in THIRD_PARTY:
                item.add_marker(pytest.mark.filterwarnings(rule))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Widgets and sessions that outlive their test fail the run.

    napari's own strict check looks before cycles are collected, and so finds what is no leak.
    """
    yield
    called = getattr(item, "rep_call", None)
    if HERE not in Path(item.fspath).parents or called is None or called.failed:
        return
    item.funcargs.clear()  # type: ignore[attr-defined]
    gc.collect()
    if not gc.get_freeze_count():
        # what the first window loaded stays: each later search for garbage, of which napari makes
        # several a test, leaves it out (a fifth of the suite's time)
        gc.freeze()
    left = [w for w in _top_level() if not _of_vispy(w)]
    words = [f"{w!r} {w.windowTitle()!r}" for w in left]
    for widget in left:
        widget.deleteLater()
    assert words == []


def _top_level() -> list[Any]:
    from qtpy.QtCore import QCoreApplication, QEvent
    from qtpy.QtWidgets import QApplication

    if QApplication.instance() is None:
        return []
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    return list(QApplication.topLevelWidgets())


def _of_vispy(widget: Any) -> bool:
    return (
        type(widget).__name__ == "CanvasBackendDesktop" or widget.objectName() == "handled_widget"
    )


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Projects without a place of their own land here."""
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def nothing_switched() -> Iterator[None]:
    """What one test switches on or off is no other one's beginning."""
    yield
    for key, usual in ((OVERVIEW, "auto"), (SWITCHED, "")):
        if setting(GROUP, key, usual) != usual:
            keep(GROUP, key, usual)


@pytest.fixture
def png(tmp_path: Path, tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> Path:
    """A PNG of real tissue in a folder with a space and an umlaut."""
    from PIL import Image

    path = tmp_path / "Fälle 17" / "tissue.png"
    path.parent.mkdir()
    Image.fromarray(tnbc[0]).save(path)
    return path


@pytest.fixture
def opened() -> Callable[[Path], Session]:
    """Opens the image of a file in a viewer without a window."""
    from PIL import Image

    def open_image(path: Path) -> Session:
        viewer = ViewerModel()
        noted = {"noisyseg": {"path": str(path)}}
        viewer.add_image(np.asarray(Image.open(path)), rgb=True, name=path.stem, metadata=noted)
        return session_of(viewer)

    return open_image


@pytest.fixture
def bare(png: Path, opened: Callable[[Path], Session]) -> Iterator[Session]:
    """A session without a window, a PNG open in it, no project yet."""
    session = opened(png)
    session.said = said = []  # type: ignore[attr-defined]
    session.noticed.connect(said.append)
    session.news.connect(said.append)
    yield session
    session.shut()
    unexpected = [text for text in said if text.startswith("that did not work")]
    if not getattr(session, "expects_errors", False):
        assert unexpected == []


@pytest.fixture
def panel(make_napari_viewer: Callable[..., Any], png: Path) -> Any:
    """The panel in a real window, a PNG open, no project yet."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1500, 950)
    viewer.open(str(png), plugin="napari")
    _, found = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
    return found


@pytest.fixture
def hand(panel: Any, qtbot: Any) -> Any:
    """A person at the panel's window."""
    from hand import Hand

    qtbot.wait(100)
    return Hand(panel, qtbot)
