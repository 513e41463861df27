"""A viewer with the panel, on real tissue, in a window of its own; leaks and notices fail."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# before napari is imported: no test touches the settings of whoever runs it
os.environ["NAPARI_CONFIG"] = str(
    Path(tempfile.mkdtemp(prefix="noisyseg-napari-")) / "settings.yaml"
)
os.environ["NAPARI_STRICT_QT"] = "raise"

import numpy as np
import pytest
from napari.components import ViewerModel
from numpy.typing import NDArray

from napari_noisyseg.gui.session import Session, session_of

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
            if "make_napari_viewer" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.gui)
            for rule in THIRD_PARTY:
                item.add_marker(pytest.mark.filterwarnings(rule))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Projects without a place of their own land here."""
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    return home


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
