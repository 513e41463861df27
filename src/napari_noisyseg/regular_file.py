"""Files that others made, opened as what they should be: no device, no pipe, not more than fits."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from napari_noisyseg.errors import NoisySegError

# on Windows, without it, line ends would be changed
WINDOWS_MOST = 260
_HOW = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def check(path: Path) -> os.stat_result:
    """What the system says of a regular file. Raises NoisySegError for what is none.

    For readers of other people that open by name and would wait endlessly at a pipe.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise NoisySegError(f"{path} is a folder, where a file is needed")
    if not stat.S_ISREG(found.st_mode):
        raise NoisySegError(
            f"{path} is not a regular file but a device, a pipe or the like: copy what it gives "
            "into a file, and give that"
        )
    return found


def is_file(path: Path) -> bool:
    """Whether there is a regular file; False too where the path cannot be one."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def opened(path: Path) -> BinaryIO:
    """The file, for reading; never waits. Raises NoisySegError for what is no regular file."""
    check(path)
    try:
        file = open(os.open(path, _HOW), "rb")  # noqa: PTH123, SIM115  (the caller closes it)
    except OSError as error:
        raise unreadable(path, error) from error
    # what was looked at may have been replaced since
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NoisySegError(f"{path} is not a regular file")
    return file


def read_bytes(path: Path, limit: int) -> bytes:
    """The whole of a file of at most `limit` bytes. Raises NoisySegError."""
    size = check(path).st_size
    if size > limit:
        raise NoisySegError(
            f"{path} has {size:,} bytes, more than is read at once ({limit:,}): export it in parts"
        )
    with opened(path) as file:
        try:
            return file.read(limit)
        except OSError as error:
            raise unreadable(path, error) from error


def read_text(path: Path, limit: int) -> str:
    """The whole of a UTF-8 file. Raises NoisySegError where it is missing, too large or no text."""
    try:
        text = read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoisySegError(f"{path} is not text in UTF-8: save it with that encoding") from error
    if not text.strip():
        raise NoisySegError(f"{path} is empty")
    return text


def unreadable(path: Path, error: OSError | ValueError) -> NoisySegError:
    """Why a file cannot be opened, and what to do, in words."""
    if isinstance(error, FileNotFoundError) and advice(error) == error.strerror:
        return NoisySegError(f"there is no file {path}: check its name and folder")
    words = advice(error) if isinstance(error, OSError) else error
    return NoisySegError(f"cannot read {path}: {words}")


def advice(error: OSError) -> str:
    """What the system said against a path, with how to mend it where that is known."""
    reason = error.strerror or str(error)
    # Windows says of a path that is too long that there is no such file
    too_long = os.name == "nt" and len(str(error.filename or "")) >= WINDOWS_MOST
    if error.errno == errno.ENAMETOOLONG or too_long:
        return "the name or path is longer than this system allows; use a shorter one"
    if error.errno == errno.ELOOP:
        return "its links go round in a circle; give the file itself"
    return reason
