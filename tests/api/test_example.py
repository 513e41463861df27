"""The example of the documentation, run as a stranger would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_example_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(DOCS / "examples" / "clicks_to_qupath.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "tnbc_08_1.geojson" in done.stdout
    aji = float(re.findall(r"AJI (\d\.\d+)", done.stdout)[0])
    assert aji > 0.45
    # fifteen lines from an image and points to a file for QuPath
    source = (DOCS / "examples" / "clicks_to_qupath.py").read_text("utf-8")
    whole = next(part for part in source.split("# %%") if "Project.create" in part)
    assert len([line for line in whole.splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("number", range(5))
def test_each_piece_of_the_page_runs(number: int, tmp_path: Path) -> None:
    page = (DOCS / "pieces.md").read_text("utf-8")
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(snippets) == 5
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippets[number]],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    # each ends with a print of what is to be seen, which the page shows
    shown = re.findall(r"```text\n(.*?)```", page, re.DOTALL)[number]
    assert done.stdout.split()[0] == shown.split()[0]
