"""Options that take several values: `--images a b` means `--images a --images b`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def _is_kind(word: str) -> bool:
    # slow to import: no other command waits for it
    from ..coarse.project import EVERY

    return word in EVERY


def _any(word: str) -> bool:
    return True


MANY: Mapping[str, Mapping[str, Callable[[str], bool]]] = {
    "create": dict.fromkeys(("--images", "--points", "--masks", "--clean", "--field"), _any),
    "train": {"--set": lambda word: "=" in word},
    "derive": {"--kind": _is_kind},
}
"""Command, option, and which further words are values of it."""
FLAGS = frozenset(
    ("--dry-run", "--icc", "--whole", "--clean-complete", "--insecure", "--json", "--help",
     "--quiet", "--verbose", "-q", "-v")
)  # fmt: skip
"""Options of those commands that have no value: a word after one is the command's own."""


def spread(words: Sequence[str]) -> list[str]:
    """The words with every further value given its option's name again.

    A command's own argument may come last (`create --images a.png b.png case.noisyseg`): where
    none came before, the last word is that.
    """
    many = MANY.get(words[0], {}) if words else {}
    result, option, given, argument = list(words[:1]), "", False, False
    for place, word in enumerate(words[1:], start=1):
        last = place == len(words) - 1
        if word.startswith("-"):
            option, given = "" if word in FLAGS else word, False
        elif not given and option:
            given = True
        elif option in many and many[option](word) and (argument or not last):
            result.append(option)
        else:
            option, argument = "", True
        result.append(word)
    return result
