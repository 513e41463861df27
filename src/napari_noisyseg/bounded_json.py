"""JSON of others, read within bounds: size, depth, numbers and texts that a program can hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError

MAX_BYTES = 512 * 2**20
"""Of a file of annotation: some hundred thousand nuclei with their measurements."""
RECORD_BYTES = 64 * 2**20
"""Of what this program writes itself: settings, lists of regions with their nuclei."""
MAX_VALUES = 40_000_000
"""In one document, some 60 bytes of memory each."""
MAX_NESTING = 64
"""GeoJSON nests 8 deep; measurements and metadata a little deeper."""
MAX_DIGITS = 40
"""Of a whole number; random states have 39."""

_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_NO_BRACKETS = re.compile(r"[^][{}]+")
WRONG = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)
"""What code raises that takes a stranger's document for granted."""


def read(path: Path, limit: int = MAX_BYTES, nesting: int = MAX_NESTING) -> Any:
    """The JSON document of a file. Raises NoisySegError, with the line where it breaks off."""
    return parse(regular_file.read_text(path, limit), str(path), nesting)


def read_record(
    path: Path, limit: int = RECORD_BYTES, nesting: int = MAX_NESTING
) -> dict[str, Any]:
    """The JSON object of a file that this program wrote. Raises NoisySegError."""
    return record(read(path, limit, nesting), str(path))


def record(document: Any, what: str) -> dict[str, Any]:
    """A document that must be a JSON object. Raises NoisySegError for any other."""
    if not isinstance(document, dict):
        raise NoisySegError(f"{what} is damaged: it holds no JSON object")
    return document


def parse(text: str | bytes, what: str, nesting: int = MAX_NESTING) -> Any:
    """The document of a text. `what` names it in errors. Raises NoisySegError."""
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        values = sum(map(plain.count, ",[{"))
        if values > MAX_VALUES:
            raise NoisySegError(
                f"{what} has {values:,} values, more than are read at once ({MAX_VALUES:,}): "
                "export it in parts"
            )
        document = json.loads(plain, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise NoisySegError(
            f"{what}, line {error.lineno}: not JSON from here on ({error.msg}); save or export it "
            "again"
        ) from error
    except RecursionError as error:
        raise _too_deep(what, nesting) from error
    except ValueError as error:
        raise NoisySegError(f"{what} is not JSON that a program would write ({error})") from error
    if not _surely_flat(plain, nesting):
        _check_nesting(document, what, nesting)
    _check_texts(document, plain, what)
    return document


def _whole(digits: str) -> int:
    length = len(digits.removeprefix("-"))
    if length > MAX_DIGITS:
        raise ValueError(f"a number of {length} digits")
    return int(digits)


def _check_texts(document: Any, text: str, what: str) -> None:
    """Refuse halves of surrogate pairs, which no file, database or window takes."""
    try:
        if _HALF_PAIR.search(text):
            json.dumps(document, ensure_ascii=False).encode()
        elif not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        raise NoisySegError(
            f"{what} holds half of a character (a lone surrogate): save or export it again"
        ) from error


def _surely_flat(text: str, deepest: int) -> bool:
    """Whether no bracket is nested too deep, by its brackets alone: quicker than to walk along.

    A turn takes away one or two levels. Brackets in texts may leave it in doubt.
    """
    brackets = _NO_BRACKETS.sub("", text)
    for _ in range(deepest // 2):
        if not brackets:
            return True
        brackets = brackets.replace("[]", "").replace("{}", "")
    return not brackets


def _check_nesting(document: Any, what: str, deepest: int) -> None:
    """Level by level, without recursion."""
    level = [document]
    for _ in range(deepest + 1):
        level = [
            value
            for holder in level
            if isinstance(holder, (dict, list))
            for value in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(value, (dict, list))
        ]
        if not level:
            return
    raise _too_deep(what, deepest)


def _too_deep(what: str, deepest: int) -> NoisySegError:
    return NoisySegError(f"{what} is nested more than {deepest} deep, which no program writes")
