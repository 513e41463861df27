"""Many images predicted one after the other: what is done, what failed and why, and a summary."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.cells import cell
from napari_noisyseg.store import pyramid
from napari_noisyseg.store.durable import write_atomically
from napari_noisyseg.whole.outputs import Summary

MANIFEST, CSV, PARQUET = "manifest.json", "summary.csv", "summary.parquet"
FORMAT = "napari-noisyseg-cohort-1"
DONE, FAILED = "done", "failed"


class Cohort:
    """What came of each image, in `manifest.json` of a folder, which is there whole at any moment.

    keeps: whether it is kept at all. Raises NoisySegError where the manifest is damaged, or cannot
    be written, and where a summary of somebody else would be replaced.
    """

    def __init__(self, folder: Path, keeps: bool = True) -> None:
        self.folder, self.keeps = folder, keeps
        self.entries: dict[str, dict[str, Any]] = {}
        if not keeps:
            return
        if (folder / MANIFEST).exists():
            self.entries = _read(folder / MANIFEST)
        elif other := next((p for p in (folder / CSV, folder / PARQUET) if p.exists()), None):
            raise NoisySegError(
                f"{other} is there already, and is not of an earlier prediction: name another "
                "folder, or move it away"
            )

    def is_done(self, stem: str, asked: Mapping[str, Any]) -> bool:
        """Whether an image was predicted, as it is now asked for, and its files are still there."""
        entry = self.entries.get(stem, {})
        files = entry.get("files") or ()
        return (
            entry.get("state") == DONE
            and entry.get("asked") == dict(asked)
            and bool(files)
            and all((self.folder / Path(str(name)).name).exists() for name in files)
        )

    def nuclei(self, stem: str) -> int:
        """How many nuclei were found in an image; 0 where that is not known."""
        found = (self.entries.get(stem, {}).get("summary") or {}).get("nuclei")
        return found if isinstance(found, int) else 0

    def done(self, stem: str, asked: Mapping[str, Any], files: list[str], summary: Summary) -> None:
        """An image is predicted; keeps that at once."""
        self.entries[stem] = {
            "state": DONE, "asked": dict(asked), "files": files, "summary": summary.row(),
        }  # fmt: skip
        self.keep()

    def failed(self, stem: str, asked: Mapping[str, Any], why: str) -> None:
        """An image cannot be predicted; why is kept with the next that can, or by `keep`."""
        self.entries[stem] = {"state": FAILED, "asked": dict(asked), "why": why}

    def rows(self) -> list[dict[str, Any]]:
        """The summary of every image that is done, by name."""
        names = [f.name for f in fields(Summary)]
        found = [e["summary"] for _, e in sorted(self.entries.items()) if e.get("summary")]
        return [{name: row.get(name) for name in names} for row in found]

    def keep(self) -> None:
        """Write the manifest and the summary."""
        if not self.keeps:
            return
        with pyramid.told(f"cannot write {self.folder / MANIFEST}"):
            document = {"format": FORMAT, "images": self.entries}
            write_atomically(self.folder / MANIFEST, json.dumps(document, indent=1))
            self._summarise()

    def _summarise(self) -> None:
        rows = self.rows()
        text = io.StringIO()
        table = csv.DictWriter(text, [f.name for f in fields(Summary)], lineterminator="\n")
        table.writeheader()
        table.writerows({**row, "image": cell(str(row["image"]))} for row in rows)
        write_atomically(self.folder / CSV, text.getvalue())
        if rows and find_spec("pyarrow") is not None:
            write_atomically(self.folder / PARQUET, _parquet(rows))


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    kinds = {"str": pa.string(), "int": pa.int64()}
    columns = [(f.name, kinds.get(str(f.type), pa.float64())) for f in fields(Summary)]
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, pa.schema(columns)), file)
    return file.getvalue()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    document = bounded_json.read_record(path)
    images = document.get("images")
    if document.get("format") != FORMAT or not isinstance(images, dict):
        raise NoisySegError(
            f"{path} is not a manifest of predicted images: name another folder, or move it away"
        )
    return {str(k): dict(v) for k, v in images.items() if isinstance(v, dict)}
