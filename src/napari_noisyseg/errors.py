"""What a person is told when something is wrong: what, where, and how to mend it."""

from __future__ import annotations

import re

_ASIDE = re.compile(r" ?\(([^()]*)\)")
_EITHER = re.compile(r", or |, | or ")
_COMMAND = re.compile(r"(?<![\w-])--[a-z]|(?<![\w.-])noisyseg [a-z]")


class NoisySegError(Exception):
    """Wrong input or an impossible request; the message says what, where and how to mend it.

    The command line prints it on one line and exits with 2; the window shows `in_window` of it.
    window: the message in the window's words, where those of the command line would not do.
    """

    def __init__(self, *words: object, window: str | None = None) -> None:
        super().__init__(*words)
        self.window = window


class JobError(NoisySegError):
    """A job that was rightly asked for failed while it ran; the command line exits with 1."""


def in_window(error: BaseException) -> str:
    """An error in the words of the window: what only the command line can do is left out."""
    given: str | None = getattr(error, "window", None)
    return given or _ASIDE.sub(_without_commands, str(error))


def names_command(text: str) -> bool:
    """Whether words speak of an option or a command of the command line."""
    return _COMMAND.search(text) is not None


def _without_commands(aside: re.Match[str]) -> str:
    """`(--field x,y,w,h, or Annotate ▸ field)` as `(Annotate ▸ field)`; "" if nothing is left."""
    if not names_command(aside[1]):
        return aside[0]
    left = [words for words in _EITHER.split(aside[1]) if words and not names_command(words)]
    # "--channel 1 to 3" is one option and its values, of which nothing is left
    return f" ({', or '.join(left)})" if left else ""
