"""What may come back from a worker into a run's folder, checked on arrival like a stranger's."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Concatenate, ParamSpec

from safetensors import SafetensorError, safe_open

from napari_noisyseg import bounded_json, bounded_npz, regular_file
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.store.durable import make_inside, sync, writing
from napari_noisyseg.worker.adoption.found import read_results

MIB, GIB = 2**20, 2**30
ALLOWED: Mapping[re.Pattern[str], int] = {
    re.compile(pattern): limit
    for pattern, limit in {
        r"settings\.json": MIB,
        r"log\.txt": 16 * MIB,
        r"model\.safetensors": 8 * GIB,
        r"previews/\d{6,9}\.npz": 256 * MIB,
        r"rounds/(index\.json|\d{1,6}-\d{1,6}\.npz)": GIB,
        r"checkpoints/\d{8,12}/(tensors\.safetensors|state\.json)": 16 * GIB,
        r"results/(index\.json|\d{1,6}\.(npz|json))": GIB,
    }.items()
}
"""Names of files that a run may send home, and the bytes that each may have."""
MOST_FILES = 10_000
ARRIVING = ".arriving"
GENERATIONS, PREVIEWS = 2, 3
"""Checkpoints and pictures that are kept, as a run at home does."""

P = ParamSpec("P")
Read = Callable[[str, int], bytes]
"""a file's name and an offset to a piece of its bytes; empty at its end"""


def check_name(name: str, size: int) -> None:
    """Raise JobError for a file that no run sends home, by its name or its size."""
    limit = next((most for form, most in ALLOWED.items() if form.fullmatch(name)), None)
    if limit is None:
        raise JobError(f"the worker sent {name!r:.100}, which is no part of a run: not taken")
    if not 0 <= size <= limit:
        raise JobError(f"the worker sent {name} of {size:,} bytes, more than {limit:,}: not taken")


class DiskError(JobError):
    """The disk at home does not take what comes."""


def _told(
    act: Callable[Concatenate[Arrivals, P], None],
) -> Callable[Concatenate[Arrivals, P], None]:
    """Errors of the disk at home in words: no connection broke off."""

    @functools.wraps(act)
    def wrapped(arrivals: Arrivals, /, *words: P.args, **more: P.kwargs) -> None:
        try:
            act(arrivals, *words, **more)
        except OSError as error:
            raise DiskError(
                f"what came from the other machine cannot be written into {arrivals.folder} "
                f"({regular_file.advice(error)}): free space, then --resume",
                window=f"what came from the other machine cannot be written into {arrivals.folder} "
                f"({regular_file.advice(error)}): free space, then resume it.",
            ) from error

    return wrapped


class Arrivals:
    """A run's folder at home. Files arrive in a folder beside their place, and move when whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._draft = folder / ARRIVING

    @_told
    def fetch(self, files: Mapping[str, int], read: Read) -> None:
        """Bring files (name to size) into the draft. Raises JobError for what may not come."""
        if len(files) > MOST_FILES:
            raise JobError(f"the worker sent {len(files):,} files, more than a run has: not taken")
        for name, size in files.items():
            check_name(name, size)
        make_inside(self._draft)
        for name, size in files.items():
            target = self._draft / name
            for folder in reversed(target.relative_to(self._draft).parents[:-1]):
                make_inside(self._draft / folder)
            with writing(target) as file:
                for piece in _pieces(name, size, read):
                    file.write(piece)

    @_told
    def settle_file(self, name: str) -> None:
        """Give a single file its place."""
        make_inside((self.folder / name).parent)
        (self._draft / name).replace(self.folder / name)
        sync((self.folder / name).parent)

    @_told
    def settle_preview(self, name: str) -> None:
        """A picture: kept where it can be read; older ones go."""
        bounded_npz.names(self._draft / name)
        self.settle_file(name)
        for old in sorted((self.folder / "previews").glob("*.npz"))[:-PREVIEWS]:
            old.unlink(missing_ok=True)

    @_told
    def settle_checkpoint(self, name: str) -> None:
        """A checkpoint's folder: its place is taken when both files can be read."""
        part = self._draft / name
        bounded_json.read_record(part / "state.json", nesting=1000)
        try:
            with safe_open(part / "tensors.safetensors", "np"):
                pass
        except (OSError, SafetensorError) as error:
            raise JobError(f"the checkpoint that the worker sent is damaged ({error})") from error
        self._move(name)
        kept = sorted((self.folder / "checkpoints").iterdir(), reverse=True)
        for old in [p for p in kept if p.name.isdigit()][GENERATIONS:]:
            shutil.rmtree(old, ignore_errors=True)

    @_told
    def settle_results(self) -> None:
        """The results as a whole, and the model; NoisySegError where they are damaged."""
        read_results(self._draft)
        self.settle_file("model.safetensors")
        self._move("results")

    def _move(self, name: str) -> None:
        target = self.folder / name
        make_inside(target.parent)
        if target.exists():
            shutil.rmtree(target)
        (self._draft / name).rename(target)
        sync(target.parent)

    def drop(self) -> None:
        """Remove what has arrived and found no place."""
        shutil.rmtree(self._draft, ignore_errors=True)


def _pieces(name: str, size: int, read: Read) -> Iterator[bytes]:
    """The bytes of a file, exactly as many as were announced."""
    at = 0
    while at < size:
        piece = read(name, at)
        if not isinstance(piece, bytes) or not piece or at + len(piece) > size:
            raise NoisySegError(f"{name} did not arrive whole from the worker")
        at += len(piece)
        yield piece
