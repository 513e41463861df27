"""What people expect of any command line: examples, quiet and verbose, dry runs, completion."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest
import typer

from napari_noisyseg.cli import commands, output
from napari_noisyseg.cli.examples import EXAMPLES
from napari_noisyseg.cli.words import spread
from napari_noisyseg.store import Project


def test_each_help_ends_with_examples(noisyseg) -> None:
    for name in commands.COMMANDS:
        inner = {"starter": "train", "model": "export", "cluster": "worker"}.get(name)
        words = [name, inner] if inner else [name]
        done = noisyseg(*words, "--help")
        assert done.code == 0
        for line in EXAMPLES[name]:
            assert f"\n    {line}\n" in done.out, name


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_the_examples_are_commands_that_there_are(line: str) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    words = shlex.split(line)[1:]
    commands.add(app, words[0])
    command = typer.main.get_command(app)
    rest = spread(words)
    with command.make_context("noisyseg", rest):
        pass
    while isinstance(command, typer.core.TyperGroup):
        command, rest = command.commands[rest[0]], rest[1:]
    # options and the number of arguments are read; nothing is run
    with command.make_context("noisyseg", rest) as context:
        assert not context.args


@pytest.mark.parametrize(
    ("words", "where"),
    [(["review", "p", "--nope"], "review --help"), (["nope"], "--help"), (["--nope"], "--help")],
)
def test_a_wrong_word_tells_which_help_lists_the_right_ones(noisyseg, words, where) -> None:
    done = noisyseg(*words)
    assert done.code == 2
    assert f"'noisyseg {where}' lists" in done.err


def test_quiet_says_errors_alone(noisyseg, field, tmp_path) -> None:
    loud = noisyseg("create", tmp_path / "a", "--images", field / "field.png")
    assert "assumed" in loud.err
    quiet = noisyseg("create", tmp_path / "b", "-q", "--images", field / "field.png")
    assert quiet.err == ""
    assert quiet.out.strip() == str(tmp_path / "b.noisyseg")
    assert "already" in noisyseg("create", tmp_path / "b", "--images", field, "--quiet").err


def test_quiet_leaves_results_as_they_are(noisyseg, field, tmp_path) -> None:
    words = ("--images", field / "field.png", "--points", field / "field.csv", "--mpp", 0.25)
    assert noisyseg("create", tmp_path / "a", *words).code == 0
    export = ("export", tmp_path / "a", tmp_path / "out.csv", "--layer", "outline")
    for asked in (("info", tmp_path / "a"), ("field", tmp_path / "a", "0,0,999,999"), export):
        loud, quiet = noisyseg(*asked), noisyseg("-q", *asked)
        assert loud.code == quiet.code == 0, loud.err
        assert quiet.out == loud.out != ""
        assert quiet.err == ""
    assert "Print results and errors, no notes" in noisyseg("--help").out


def test_verbose_says_how_long_it_took(noisyseg) -> None:
    assert re.search(r"took \d+\.\d s", noisyseg("-v", "methods").err)
    assert "took" not in noisyseg("methods").err


def test_a_name_without_the_ending_gets_it(noisyseg, field, tmp_path) -> None:
    made = noisyseg("create", tmp_path / "case 1.2", "--images", field / "field.png", "--mpp", 0.25)
    assert made.code == 0
    assert (tmp_path / "case 1.2.noisyseg").is_dir()
    assert noisyseg("info", tmp_path / "case 1.2").code == 0
    again = noisyseg("create", tmp_path / "case 1.2.noisyseg", "--images", field / "field.png")
    assert again.code == 2


def test_a_dry_run_writes_nothing(noisyseg, field, tmp_path) -> None:
    words = ("--images", field / "field.png", "--points", field / "field.csv", "--mpp", 0.25)
    dry = noisyseg("create", tmp_path / "a", *words, "--dry-run")
    assert dry.code == 0
    assert "field.csv" in dry.out
    assert not list(tmp_path.glob("*.noisyseg"))
    noisyseg("create", tmp_path / "a", *words)
    project = tmp_path / "a.noisyseg"
    before = _state(project)
    assert noisyseg("review", project, "--clicks").code == 0
    clicked = _state(project)
    assert clicked > before
    serial = noisyseg("review", project).out.splitlines()[2].split()[1]
    dry = noisyseg("review", project, "--accept", serial, "--accept-above", 0.5, "--dry-run")
    assert f"{serial}: unreviewed -> accepted" in dry.out
    assert re.search(r"^\d+ nuclei above 0.5 -> accepted", dry.out, re.MULTILINE)
    as_json = noisyseg("review", project, "--accept", serial, "--dry-run", "--json")
    assert json.loads(as_json.out)["would_decide"]["accepted"] == [int(serial)]
    assert noisyseg("review", project, "--accept", 10**6, "--dry-run").code == 2
    (tmp_path / "more.png").write_bytes((field / "field.png").read_bytes())
    assert "would add 1" in noisyseg("add", project, tmp_path / "more.png", "--dry-run").err
    (tmp_path / "some.csv").write_text("x,y\n3,3\n5,250\n")
    brought = noisyseg("import", project, tmp_path / "some.csv", "--dry-run")
    assert brought.code == 0
    assert "2 from some.csv" in brought.err
    out = tmp_path / "out"
    assert "field" in noisyseg("export", project, out, "--format", "csv", "--dry-run").out
    assert not out.exists()
    assert noisyseg("suggest", project, "--keep-above", 0.1, "--dry-run").code == 0
    assert _state(project) == clicked


def _state(project: Path) -> int:
    with Project.open(project, write=False) as opened:
        return opened.nuclei.version()


def test_simulate_tells_what_it_would_write(noisyseg, tmp_path) -> None:
    noisyseg("samples", tmp_path)
    words = (tmp_path / "tnbc_08_1_nuclei.tif", tmp_path / "noisy.tif", "--noise", "dilate")
    assert "noisy.tif" in noisyseg("simulate", *words, "--dry-run").out
    would = json.loads(noisyseg("simulate", *words, "--dry-run", "--json").out)["would_write"]
    assert would == {str(words[0]): str(words[1])}
    assert not (tmp_path / "noisy.tif").exists()


def test_samples_are_copied_once(noisyseg, tmp_path) -> None:
    done = noisyseg("samples", tmp_path / "tissue")
    names = {Path(line).name for line in done.out.splitlines()}
    assert {"tnbc_08_1.png", "tnbc_08_1.csv", "CMU-1-Small-Region.svs", "ATTRIBUTION.md"} <= names
    (tmp_path / "tissue" / "tnbc_08_1.png").unlink()
    again = noisyseg("samples", tmp_path / "tissue")
    assert again.code == 2
    assert "already" in again.err
    assert not (tmp_path / "tissue" / "tnbc_08_1.png").exists()


@pytest.mark.parametrize(
    ("typed", "offered"), [("noisyseg exp", "export"), ("noisyseg export --lay", "--layer")]
)
def test_the_shell_completes_commands_and_options(typed, offered) -> None:
    environment = {**os.environ, "_NOISYSEG_COMPLETE": "complete_bash", "COMP_WORDS": typed,
                   "COMP_CWORD": str(len(typed.split()) - 1)}  # fmt: skip
    command = [sys.executable, "-m", "napari_noisyseg"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert offered in done.stdout.split()


def test_colours_and_bars_are_for_terminals_only(field, tmp_path) -> None:
    command = [sys.executable, "-m", "napari_noisyseg", "create", str(tmp_path / "a"), "--images",
               str(field / "field.png"), "--mpp", "0.25"]  # fmt: skip
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\x1b" not in piped.stdout + piped.stderr
    terminal, side = pty.openpty()
    show = [sys.executable, "-m", "napari_noisyseg", "info", str(tmp_path / "a.noisyseg")]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    subprocess.run(show, stdout=side, stderr=side, env=environment, check=True)
    os.close(side)
    assert b"\x1b[1m" in os.read(terminal, 10_000)


@pytest.mark.long
def test_every_letter_can_be_written_to_a_file_or_a_pipe(tmp_path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}  # as on Windows
    command = [sys.executable, "-m", "napari_noisyseg", "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert "✓ python" in done.stdout.decode("utf-8")


@pytest.mark.parametrize("words", [["methods"], []])
def test_a_reader_that_has_gone_is_no_error(words: list[str]) -> None:
    command = [sys.executable, "-m", "napari_noisyseg", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert (child.stderr.read(), child.wait()) == (b"", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes it")
def test_a_closed_output_is_no_error() -> None:
    command = f"exec {shlex.quote(sys.executable)} -m napari_noisyseg methods >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, check=False)
    assert (done.stderr, done.returncode) == (b"", 0)


def test_names_in_brackets_are_no_colours(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    output.print_table([{"image": "[red]a[/red]\x1b[2J"}])
    with output.Progress("[b]x") as bar:
        bar.update(0.5, "[link=evil]y")
    said = capsys.readouterr()
    assert "[red]a[/red]\\x1b[2J" in said.out
    assert "[b]x" in said.err
    assert "[link=evil]y" in said.err


def test_work_without_steps_tells_how_long_it_has_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with output.Progress("predict", every=0.01).waiting(0.0, "case.png"):
        sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1
    assert lines[0] == "predict   0% case.png, 0 s so far"
