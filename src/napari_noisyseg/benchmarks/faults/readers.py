"""What is done with a file of others, each as the program itself does it."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path

from ...errors import JobError, NoisySegError
from .corpus import SIDE

SHAPE = (SIDE, SIDE)


def image(path: Path, out: Path) -> None:
    """Open, look at it as a whole and closely, and take its fingerprint."""
    from ...slides import Box, content_hash, open_image

    try:
        slide = open_image(path)
    except NoisySegError as error:
        # of fluorescence one channel can be taken
        if "--channel" not in str(error):
            raise
        slide = open_image(path, 1)
    with slide:
        slide.levels[-1].box(Box(0, 0, 64, 64).clip(slide.levels[-1].shape))
        slide.read(Box(-8, -8, 256, 256))
    content_hash(path)


def labels(path: Path, out: Path) -> None:
    """Score it, and read its nuclei for an image."""
    from ...exchange.annotation import read_masks

    call("evaluate", path, path)
    read_masks(path, SHAPE)


def simulate(path: Path, out: Path) -> None:
    """Make its noisy twin."""
    call("simulate", path, out / "noisy.tif", "--noise", "affine")


def points(path: Path, out: Path) -> None:
    """Read points."""
    from ...exchange.annotation import read_points

    read_points(path, SHAPE)


def masks(path: Path, out: Path) -> None:
    """Read outlines."""
    from ...exchange.annotation import read_masks

    read_masks(path, SHAPE)


def settings(path: Path, out: Path) -> None:
    """Read settings for a training, as far as is known without its data."""
    from ... import registry
    from ...training.plan import settings as chosen

    given = importlib.import_module("napari_noisyseg.cli.training")._config_file(path)
    chosen(registry.load("supervised"), given, "cpu", None)


def model(path: Path, out: Path) -> None:
    """Read a run's model and build its networks."""
    from ...training.predict import load_model

    load_model(path, "cpu")


def weights(path: Path, out: Path) -> None:
    """Put the weights that a project learned into the starter's network."""
    from ...coarse.starter import OUTLINE, Network, read_weights

    Network(OUTLINE, read_weights(path)[0])


def checkpoint(path: Path, out: Path) -> None:
    """Read the newest that can be read."""
    from ...training.checkpoint import load_newest

    load_newest(path)


def run(path: Path, out: Path) -> None:
    """All that is read of a run's folder."""
    from ...data.regions import open_regions
    from ...store import rounds
    from ...store.runs import Run
    from ...store.spec import read_spec
    from ...worker.adoption.found import read_results

    found = Run(path)
    found.state(), found.figures(), found.events(), found.worker(), found.created
    refused: list[NoisySegError] = []

    def each(act: Callable[[], object]) -> None:
        try:
            act()
        except NoisySegError as error:
            refused.append(error)

    each(found.spec)
    each(lambda: read_spec(path))
    each(lambda: [region.load() for region in open_regions(path / "snapshot")])
    each(lambda: read_results(path))
    each(lambda: [one.maps() for one in rounds.of(path, "tissue")])
    each(lambda: [rounds.reason(one, 5, 5) for one in rounds.of(path, "tissue")])
    if refused:
        raise refused[0]


def project(path: Path, out: Path) -> None:
    """Look into a project."""
    call("info", path, "--json")
    call("runs", path, "--json")
    call("review", path, "--next", "5")
    call("export", path, out, "--format", "geojson", "--layer", "rough")


def adopting(path: Path, out: Path) -> None:
    """Open a project for writing, take in its run and look at what it shows."""
    from ...store import Project
    from ...worker.adoption.adopt import adopt_finished

    with Project.open(path) as opened:
        adopt_finished(opened)
        for record in opened.images():
            for kind in opened.labels.kinds(record.name):
                opened.labels.read(record.name, kind)
        opened.nuclei.undo()
        opened.nuclei.redo()
    call("info", path, "--json")


def linked(path: Path, out: Path) -> None:
    """Look at the slide of a project in a folder."""
    from ...store import Project

    with Project.open(path / "a.noisyseg", write=False) as opened:
        opened.pixels(opened.images()[0].name).close()


def call(*words: object) -> None:
    """A command in this process. Raises what it told, or AssertionError for more than a line."""
    # the command line lies above the benchmarks; here it is what is tried
    command = importlib.import_module("napari_noisyseg.cli").run
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
        code = command([str(word) for word in words])
    lines = [line for line in told.getvalue().splitlines() if line.startswith("noisyseg: error")]
    assert "Traceback" not in told.getvalue(), told.getvalue()
    assert code == 0 or (len(lines) == 1 and code in (1, 2)), told.getvalue()
    if code:
        raise (NoisySegError if code == 2 else JobError)(lines[0])


READERS: Mapping[str, Callable[[Path, Path], None]] = {
    one.__name__: one
    for one in (
        image, labels, simulate, points, masks, settings, model, weights, checkpoint, run,
        project, adopting, linked,
    )
}  # fmt: skip
"""A function of the file and of an empty folder to write into; raises NoisySegError to refuse."""
