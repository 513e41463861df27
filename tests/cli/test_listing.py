"""`noisyseg --help` without the commands' modules, and the version."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import typer

from napari_noisyseg import __version__
from napari_noisyseg.cli.commands import COMMANDS


def test_the_list_is_what_the_commands_say_of_themselves() -> None:
    found: dict[str, tuple[str, str]] = {}
    for module in dict.fromkeys(module for module, _ in COMMANDS.values()):
        app = typer.Typer()
        importlib.import_module(f"napari_noisyseg.cli.{module}").register(app)
        for command in app.registered_commands:
            function = command.callback
            name = command.name or function.__name__
            found[name] = module, (function.__doc__ or "").strip().splitlines()[0]
        for group in app.registered_groups:
            found[str(group.name)] = module, str(group.typer_instance.info.help)
    assert found == dict(COMMANDS)


def test_help_waits_for_no_command(noisyseg) -> None:
    done = noisyseg("--help")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.split("Commands:")[1].split("\n  ")[1:]] == list(
        COMMANDS
    )
    code = (
        "import sys; from napari_noisyseg.cli import run; run(['--help']);"
        "print([m for m in ('numpy', 'zarr', 'scipy', 'torch') if m in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [(), ("starter",), ("model",), ("cluster",)])
def test_no_command_is_help_and_no_error(noisyseg, words: tuple[str, ...]) -> None:
    done = noisyseg(*words)
    assert (done.code, done.err) == (0, "")
    assert done.out == noisyseg(*words, "--help").out


def test_the_version(noisyseg) -> None:
    assert noisyseg("--version").out == f"noisyseg {__version__}\n"


def test_an_unknown_command_is_told(noisyseg) -> None:
    done = noisyseg("exprot")
    assert done.code == 2
    assert "exprot" in done.err
