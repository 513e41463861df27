"""`imports`: what `import napari_noisyseg` costs, and what it and the panel leave alone."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from ..errors import JobError
from .display import on_display
from .report import Report, Row

_IMPORT = """
import json, sys, time
began = time.perf_counter()
import napari_noisyseg
seconds = time.perf_counter() - began
heavy = [name for name in ("torch", "qtpy", "PySide6", "PyQt6", "napari") if name in sys.modules]
print(json.dumps({"seconds": seconds, "heavy": heavy}))
"""

_HELP = """
import contextlib, io, json, time
began = time.process_time()
from napari_noisyseg.cli import run
with contextlib.redirect_stdout(io.StringIO()):
    run(["--help"])
print(json.dumps({"help": time.process_time() - began}))
"""

_PANEL = """
import json, sys
import napari
viewer = napari.Viewer(show=False)
viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
print(json.dumps({"torch": "torch" in sys.modules}))
viewer.close()
"""


def run(data: Path, full: bool) -> Report:
    """Five imports in fresh processes, five times the help, and the panel in one more.

    help_seconds: of the processor, without what Python itself takes to start.
    """
    rows: list[Row] = [_child(_IMPORT) for _ in range(5)]
    helps = [_child(_HELP) for _ in range(5)]
    panel = _child(_PANEL)
    figures = {
        "import_seconds": statistics.median(float(str(row["seconds"])) for row in rows),
        "heavy_modules": float(max(len(row["heavy"]) for row in rows)),  # type: ignore[arg-type]
        "help_seconds": statistics.median(float(str(row["help"])) for row in helps),
        "panel_loads_torch": float(bool(panel["torch"])),
    }
    return Report("imports", figures, rows)


def _child(code: str) -> Row:
    command = on_display([sys.executable, "-P", "-c", code])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"imports: {done.stderr.strip()[-300:]}")
    row: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return row
