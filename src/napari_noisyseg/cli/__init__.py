"""The command line: `noisyseg`. Every command is a thin reading of its words.

Exit codes: 0 done, 1 a job failed, 2 wrong input, 130 interrupted. What is wrong is said on one
line of stderr; there is no traceback unless -v is given or NOISYSEG_DEBUG is set.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any, TextIO

import typer
from typer.exceptions import TyperException

from .. import __version__
from ..errors import JobError, NoisySegError
from ..regular_file import advice
from . import commands
from .output import Loudness, plain, say
from .words import spread


def _app(wanted: str | None) -> typer.Typer:
    """The command line with the wanted command, else with the names of all."""
    app = typer.Typer(
        name="noisyseg",
        help="From cheap annotation of H&E slides to nuclei masks you can trust.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_anything)
    commands.register(app, wanted)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"noisyseg {__version__}")
        raise typer.Exit


def _anything(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Print results and errors, no notes; may be put anywhere."
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Also print how long it took and where an error happened."
        ),
    ] = False,
) -> None:
    """From cheap annotation of H&E slides to nuclei masks you can trust."""


def _loudness(words: Sequence[str]) -> list[str]:
    """The words without `-q` and `-v`, which may stand anywhere before `--`; they take effect."""
    end = words.index("--") if "--" in words else len(words)
    Loudness.quiet = any(word in ("-q", "--quiet") for word in words[:end])
    Loudness.verbose = any(word in ("-v", "--verbose") for word in words[:end])
    kept = [w for w in words[:end] if w not in ("-q", "--quiet", "-v", "--verbose")]
    return [*kept, *words[end:]]


def _completed() -> str | None:
    """The command whose options the shell wants to complete, if it asks for any."""
    if "_NOISYSEG_COMPLETE" not in os.environ:
        return None
    words = os.environ.get("COMP_WORDS", os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()
    given = [word for word in words[1:] if not word.startswith("-")]
    # a word that is still being typed is none
    return given[0] if len(words) > 2 and given else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    # children of children too (of multiprocessing, say) leave the current folder alone
    os.environ["PYTHONSAFEPATH"] = "1"
    # closed by the shell, or never there, as in a window on Windows
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        _take_every_letter(stream)
    sys.exit(run(arguments))


def _take_every_letter(stream: Any) -> None:
    """A file or a pipe gets UTF-8, a terminal what it can show: Windows has other habits."""
    if isinstance(stream, io.TextIOWrapper):
        if stream.isatty():
            stream.reconfigure(errors="backslashreplace")
        else:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Wrong input is told on one line of stderr."""
    words = _loudness(list(sys.argv[1:] if arguments is None else arguments))
    began = time.monotonic()
    try:
        app = _app(words[0] if words else _completed())
        code = _called(app, spread(words))
        sys.stdout.flush()
        if Loudness.verbose:
            say(f"took {time.monotonic() - began:.1f} s")
    except NoisySegError as error:
        return _tell(str(error), 1 if isinstance(error, JobError) else 2)
    except TyperException as error:
        if isinstance(error, typer.Abort):
            return 130
        return _tell(f"{error.format_message()} ({_help(words)})", 2)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        return _unheard()
    except SystemExit as left:
        # typer leaves so where the reader has gone
        if isinstance(left.__context__, BrokenPipeError):
            return _unheard()
        raise
    except OSError as error:
        # a path that no system takes is wrong input; all else is the disk's fault
        code = 2 if error.errno in (errno.ENAMETOOLONG, errno.ELOOP) else 1
        return _tell(f"{error.filename or 'the disk'}: {advice(error)}", code)
    except Exception as error:  # the last line of defence: a person never sees a traceback
        if Loudness.verbose or os.environ.get("NOISYSEG_DEBUG"):
            raise
        text = f"an internal error, {type(error).__name__}: {error}"
        return _tell(f"{text} (-v shows where)", 1)
    return code if isinstance(code, int) else 0


def _called(app: typer.Typer, words: list[str]) -> Any:
    """What a command gives back; where none is named, the help is printed."""
    try:
        return app(args=words, prog_name="noisyseg", standalone_mode=False)
    except TyperException as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # typer offers no name for it
            raise
        print(error.format_message())
        return 0


def _unheard() -> int:
    """The reader has what it wanted, and has gone: be quiet."""
    sys.stdout = _nowhere()
    return 0


def _nowhere() -> TextIO:
    return open(os.devnull, "w")  # noqa: PTH123


def _help(words: Sequence[str]) -> str:
    """Where the right words are listed: the command's own help, if there is such a command."""
    if words and words[0] in commands.COMMANDS:
        return f"'noisyseg {words[0]} --help' lists its options"
    return "'noisyseg --help' lists the commands"


def _tell(message: str, code: int) -> int:
    line = " ".join(plain(message).split())
    print(f"noisyseg: error: {line}", file=sys.stderr)
    return code
