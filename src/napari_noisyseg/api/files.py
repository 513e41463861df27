"""To and from other programs' files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange import exporting
from napari_noisyseg.exchange.formats import composed, stem_of
from napari_noisyseg.exchange.importing import Imported, import_clean, import_points, import_rough
from napari_noisyseg.store import Project

Meaning = Literal["points", "rough", "clean"]
_READERS: dict[str, Callable[..., Imported]] = {
    "points": import_points,
    "rough": import_rough,
    "clean": import_clean,
}


def import_file(
    project: Project,
    file: str | os.PathLike[str],
    image: str | None = None,
    kind: Meaning = "points",
    format: str | None = None,
) -> Imported:
    """Import a file of annotation into a project, as one action that undo takes back.

    project: open for writing. image: the name of the image; None for the image with the file's
    name, or the only image. kind: `points`, `rough` masks (to be corrected) or `clean` masks
    (trusted, so they count as accepted). format: as in `export`; None goes by the file. Formats
    and their coordinates: docs/formats.md.

    Returns how many nuclei came in (`.count`) and remarks on them (`.note`). Raises NoisySegError
    for a file that cannot be read or does not fit the image; then nothing was imported.
    """
    path = Path(file)
    meant = stem_of(path)
    names = [record.name for record in project.images()]
    known = {composed(name): name for name in names}
    only = names[0] if len(names) == 1 else meant
    name = known.get(composed(image or meant), image or only)
    if name not in names:
        raise NoisySegError(
            f"{path}: there is no image {name!r} in the project; give image=... "
            f"({', '.join(names) or 'the project has no image'})"
        )
    if kind not in _READERS:
        raise NoisySegError(f"kind {kind!r}: choose from {', '.join(_READERS)}")
    return _READERS[kind](project, name, path, format=format)


def export(
    project: Project,
    out: str | os.PathLike[str],
    format: str = "geojson",
    layer: str = "refined",
    image: str | None = None,
) -> list[Path]:
    """Write a project's nuclei into a folder in another program's format, one file for each image.

    out: the folder, which may be new. format: `geojson` (QuPath), `labels`, `csv` or another one
    of docs/formats.md. layer: `refined` (what the newest run found, without rejected nuclei),
    `accepted`, `outline`, `local`, `rough` or `corrected`. image: the name of one image; None for
    all.

    Returns the files written. Raises NoisySegError for an unknown format or layer, if there is
    nothing to write, and if a file would be replaced that is not from an earlier export; JobError
    if the disk fails. No half-written file is left. Warns where outlines may be poor, as on an
    image without stain.
    """
    told = partial(warnings.warn, stacklevel=2)
    return exporting.export(project, Path(out), format, layer, image, tell=told)
