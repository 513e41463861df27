"""XML of others, read within bounds: no entities, no document types, size and depth limited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from xml.parsers import expat

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError

MAX_BYTES = 512 * 2**20
MAX_NESTING = 32
"""Formats of annotation nest 6 deep."""
MAX_TEXT = 2**20
"""Characters of the attributes of one element."""

Start = Callable[[str, Mapping[str, str]], None]
End = Callable[[str], None]


def read(path: Path, start: Start, end: End, counted: bytes, most: int) -> None:
    """Walk through the elements of a file: `start` with each one's attributes, `end` after it.

    counted: the beginning of an element of which there may be no more than `most`. Raises
    NoisySegError with the line where a file breaks off, and for what no program of annotation
    writes: document types and entities, deep nesting, attributes without end.
    """
    data = regular_file.read_bytes(path, MAX_BYTES)
    if not data.strip():
        raise NoisySegError(f"{path} is empty")
    number = data.count(counted)
    if number > most:
        raise NoisySegError(
            f"{path} has {number:,} vertices, more than are read at once ({most:,}): export it in "
            "parts"
        )
    _Walk(path, start, end).parse(data)


class _Walk:
    def __init__(self, path: Path, start: Start, end: End) -> None:
        self._path, self._start, self._end = path, start, end
        self._depth = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._opened
        self._parser.EndElementHandler = self._closed
        # what is declared there could grow without end or name other files
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def parse(self, data: bytes) -> None:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise NoisySegError(
                f"{self._path}, line {error.lineno}: not XML from here on "
                f"({expat.ErrorString(error.code)}); save or export it again"
            ) from error
        except (UnicodeError, LookupError, ValueError) as error:
            raise NoisySegError(f"{self._path} is not XML that can be read ({error})") from error

    def _opened(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise NoisySegError(
                f"{self._path}, line {self._parser.CurrentLineNumber}: nested more than "
                f"{MAX_NESTING} deep, which no program writes"
            )
        if len(attributes) > 100 or sum(map(len, attributes.values())) > MAX_TEXT:
            raise NoisySegError(
                f"{self._path}, line {self._parser.CurrentLineNumber}: more attributes than belong "
                "to one element"
            )
        self._start(name, attributes)

    def _closed(self, name: str) -> None:
        self._depth -= 1
        self._end(name)

    def _refuse(self, *_: object) -> None:
        raise NoisySegError(
            f"{self._path}, line {self._parser.CurrentLineNumber}: it declares a document type or "
            "entities, which annotation does not need and which can fill the memory: remove the "
            "<!DOCTYPE …>"
        )
