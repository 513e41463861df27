"""To and from other programs' files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange import exporting
from napari_noisyseg.exchange.importing import Imported, import_clean, import_points, import_rough
from napari_noisyseg.store import Project

Meaning = Literal["points", "rough", "clean"]
_READERS: dict[str, Callable[[Project, str, Path], Imported]] = {
    "points": import_points,
    "rough": import_rough,
    "clean": import_clean,
}


def import_file(
    project: Project,
    file: str | os.PathLike[str],
    image: str | None = None,
    kind: Meaning = "points",
) -> Imported:
    """Bring a file of annotation into a project; one action, that undo takes back.

    project: open for writing. image: the image it is about; None for the one of the file's name,
    or the only one. kind: `points`, `rough` masks (to be corrected) or `clean` ones (trusted, and
    so accepted). Formats and their coordinates: docs/formats.md.

    Returns how many nuclei came in (`.count`) and what is to be said of them (`.note`). Raises
    NoisySegError for a file that cannot be read or does not fit the image; then nothing came in.
    """
    path = Path(file)
    names = [record.name for record in project.images()]
    name = image or (path.stem if path.stem in names or len(names) != 1 else names[0])
    if name not in names:
        raise NoisySegError(
            f"{path}: there is no image {name!r} in the project; give image=... "
            f"({', '.join(names) or 'the project has no image'})"
        )
    if kind not in _READERS:
        raise NoisySegError(f"kind {kind!r}: choose from {', '.join(_READERS)}")
    return _READERS[kind](project, name, path)


def export(
    project: Project,
    out: str | os.PathLike[str],
    format: str = "geojson",
    layer: str = "refined",
    image: str | None = None,
) -> list[Path]:
    """Write a project's nuclei into a folder in another program's format, one file an image.

    out: the folder; made where it is not there. format: `geojson` (QuPath), `labels`, `csv` and
    the others that docs/formats.md lists. layer: `refined` (what the newest run found, without
    rejected nuclei), `accepted`, `outline`, `local`, `rough` or `corrected`. image: one image's
    name; None for all.

    Returns the files written. Raises NoisySegError for an unknown format or layer, where nothing
    is there to write, and before a file is replaced that is not of an earlier export; JobError
    where the disk fails. Nothing half-written is left.
    """
    return exporting.export(project, Path(out), format, layer, image)
