"""Strangers' text files, read within bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_noisyseg.errors import NoisySegError

MAX_BYTES = 512 * 2**20
"""Of a JSON file: some hundred thousand nuclei with their measurements."""
MAX_NESTING = 64
"""GeoJSON nests 8 deep; measurements and metadata a little deeper."""


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """The whole of a UTF-8 file; `NoisySegError` when it is missing, too large or no text."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise NoisySegError(f"{path} is not a file")
        if size > limit:
            raise NoisySegError(
                f"{path} has {size:,} bytes, more than is read at once ({limit:,}): "
                "export it in parts"
            )
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise NoisySegError(f"there is no file {path}: check its name and folder") from error
    except OSError as error:
        raise NoisySegError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise NoisySegError(f"{path} is not text in UTF-8: save it with that encoding") from error
    if not text.strip():
        raise NoisySegError(f"{path} is empty")
    return text


def read_json(path: Path, limit: int = MAX_BYTES) -> Any:
    """The JSON document of a file; `NoisySegError` names the line where it breaks off."""
    text = read_text(path, limit)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise NoisySegError(
            f"{path}, line {error.lineno}: no JSON from here on ({error.msg}); export it again"
        ) from error
    # ValueError: whole numbers of thousands of digits
    except (RecursionError, ValueError) as error:
        raise NoisySegError(f"{path} is no JSON that a program would write ({error})") from error
    _check_nesting(document, path)
    return document


def _check_nesting(document: Any, path: Path) -> None:
    """Refuse documents nested deeper than any format is; level by level, without recursion."""
    level = [document]
    for _ in range(MAX_NESTING):
        level = [
            value
            for holder in level
            if isinstance(holder, (dict, list))
            for value in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(value, (dict, list))
        ]
        if not level:
            return
    raise NoisySegError(f"{path} is nested more than {MAX_NESTING} deep, as no program writes it")
