"""The command line: `noisyseg`. Every command is a thin reading of its words.

Exit codes: 0 done, 1 a job failed, 2 wrong input, 130 interrupted. What is wrong is said on one
line of stderr; there is no traceback unless NOISYSEG_DEBUG is set.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from ..errors import JobError, NoisySegError
from ..regular_file import advice
from . import (
    adapt,
    benchmark,
    doctor,
    exchange,
    predict,
    projects,
    review,
    show,
    simulate,
    starter,
    suggest,
    training,
    worth,
)
from .output import plain
from .words import spread

app = typer.Typer(
    name="noisyseg",
    help="From cheap annotation of H&E slides to nuclei masks you can trust.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    show, projects, suggest, worth, adapt, training, predict, review, exchange, simulate, starter,
    benchmark, doctor,
):  # fmt: skip
    module.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    # children of children too (of multiprocessing, say) leave the current folder alone
    os.environ["PYTHONSAFEPATH"] = "1"
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Wrong input is told on one line of stderr."""
    try:
        code = app(
            args=spread(sys.argv[1:] if arguments is None else arguments), standalone_mode=False
        )
    except NoisySegError as error:
        return _tell(str(error), 1 if isinstance(error, JobError) else 2)
    except TyperException as error:
        if isinstance(error, typer.Abort):
            return 130
        return _tell(f"{error.format_message()} ('noisyseg --help' lists the words)", 2)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  (the reader has gone; be quiet)
        return 0
    except OSError as error:
        # a path that no system takes is wrong input; all else is the disk's fault
        code = 2 if error.errno in (errno.ENAMETOOLONG, errno.ELOOP) else 1
        return _tell(f"{error.filename or 'the disk'}: {advice(error)}", code)
    except Exception as error:  # the last line of defence: a person never sees a traceback
        if os.environ.get("NOISYSEG_DEBUG"):
            raise
        text = f"an internal error, {type(error).__name__}: {error}"
        return _tell(f"{text} (NOISYSEG_DEBUG=1 shows where)", 1)
    return code if isinstance(code, int) else 0


def _tell(message: str, code: int) -> int:
    line = " ".join(plain(message).split())
    print(f"noisyseg: error: {line}", file=sys.stderr)
    return code
