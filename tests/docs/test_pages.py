"""The pages are true: commands that there are, snippets that run, plain words."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from napari_noisyseg.cli import commands, run
from napari_noisyseg.cli.words import spread

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def _lines(page: Path) -> list[str]:
    blocks = SHELL.findall(page.read_text("utf-8"))
    found = (line.strip() for block in blocks for line in block.splitlines())
    return [line for line in found if line.startswith("noisyseg ") and "&" not in line]


@pytest.mark.parametrize("page", [p for p in PAGES if _lines(p)], ids=lambda p: p.stem)
def test_each_command_on_a_page_is_one(page: Path) -> None:
    for line in _lines(page):
        words = [word for word in shlex.split(line, comments=True)[1:] if word not in ("-q", "-v")]
        if words[0].startswith("-"):
            continue
        app = typer.Typer()
        app.callback()(lambda: None)
        assert words[0] in commands.COMMANDS, line
        commands.add(app, words[0])
        command, rest = typer.main.get_command(app), spread(words)
        while isinstance(command, typer.core.TyperGroup):
            command, rest = command.commands[rest[0]], rest[1:]
        # options and the number of arguments are read; nothing is run
        with command.make_context("noisyseg", rest) as context:
            assert not context.args, line


def test_the_five_minutes_work_without_a_window(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "start.md").read_text("utf-8")
    block = next(b for b in SHELL.findall(page) if b.startswith("noisyseg samples"))
    for line in block.strip().splitlines():
        assert run(shlex.split(line)[1:]) == 0, f"{line}\n{capsys.readouterr().err}"
    assert (tmp_path / "nuclei.geojson").stat().st_size > 10_000


def test_the_five_minutes_work_from_python(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "start.md").read_text("utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 15
    command = [sys.executable, "-W", "error", "-c", snippet]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "for QuPath" / "tnbc_08_1.geojson").is_file()


RIDDLES = (
    "for ever", "seldomer", "take its tick", "needs none is told", "give way a moment later",
    "may mix two", "is none of this program", "goes there and back", "with our mends",
    "begun anew", "refused with a word", "lists the words", "teach nothing yet",
)  # fmt: skip


@pytest.mark.parametrize("words", RIDDLES)
def test_riddles_do_not_come_back(words: str) -> None:
    texts = [*PAGES, ROOT / "CHANGELOG.md", *(ROOT / "src").rglob("*.py")]
    assert not [str(p) for p in texts if re.search(rf"{words}\b", p.read_text("utf-8").lower())]
