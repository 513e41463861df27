"""What a file format is: how nuclei are written in it and read from it, and its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.csv_points import PointTable
from napari_noisyseg.exchange.marks import command_of
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.shapes import LabelFile, Shape

BEGINNING = 4096
"""Bytes of a file that are searched for our mark, which is near the beginning of every text."""

Write = Callable[[Sequence[tuple[str, ExportedImage]], Path], list[str]]
"""Write images, each with the stem of its file, into an empty folder; the names of the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One file format; all other code about formats reads this.

    name: for the command line. title, holds: for menus. loses: what of a nucleus it cannot hold.
    ending: of a file that is written, after the image's name; other_endings: further ones that a
    file to be written may have; read_endings: those that files are only read with. `points`,
    `shapes` (of the image with that name) and `labels` read a file; those that cannot are None.
    `images` names the images of a file that may have several. is_ours: whether a file was written
    by this program, and so may be replaced. marks: bytes in the beginning or end of a file, by
    which formats with one ending are told apart; weak_marks: such as files of others may have, too.
    refusal: why such files are not read. needs: a library and the extra that brings it. one_file:
    all images go into one file of this name. is_folder: what is written is a folder.
    """

    name: str
    title: str
    holds: str
    ending: str
    other_endings: tuple[str, ...] = ()
    read_endings: tuple[str, ...] = ()
    write: Write
    loses: str = ""
    points: Callable[[Path], PointTable] | None = None
    shapes: Callable[[Path, str], Sequence[Shape]] | None = None
    labels: Callable[[Path], LabelFile] | None = None
    images: Callable[[Path], Sequence[str]] | None = None
    is_ours: Callable[[Path], bool]
    marks: tuple[bytes, ...] = ()
    weak_marks: tuple[bytes, ...] = ()
    refusal: str = ""
    needs: tuple[str, str] | None = None
    one_file: str = ""
    is_folder: bool = False

    @property
    def endings(self) -> tuple[str, ...]:
        """Of a file that may be written."""
        return (self.ending, *self.other_endings)

    @property
    def all_endings(self) -> tuple[str, ...]:
        """Of a file that may be this format's."""
        return (*self.endings, *self.read_endings)

    @property
    def reads_points(self) -> bool:
        """Whether points can come from it."""
        return self.points is not None or self.shapes is not None

    @property
    def reads_masks(self) -> bool:
        """Whether masks can come from it."""
        return self.shapes is not None or self.labels is not None

    @property
    def installed(self) -> bool:
        """Whether the library that it needs is there."""
        return self.needs is None or find_spec(self.needs[0]) is not None

    def require(self) -> None:
        """Raise `NoisySegError` where the library that it needs is missing."""
        if self.needs is not None and not self.installed:
            library, extra = self.needs
            raise NoisySegError(
                f"{self.title} needs {library}, which is not installed: "
                f"pip install 'napari-noisyseg[{extra}]'"
            )


def per_image(ending: str, write: Callable[[ExportedImage, Path], None]) -> Write:
    """A file for each image, by a function that writes one."""

    def write_all(images: Sequence[tuple[str, ExportedImage]], folder: Path) -> list[str]:
        for stem, image in images:
            write(image, folder / f"{stem}{ending}")
        return [f"{stem}{ending}" for stem, _ in images]

    return write_all


def has_our_mark(path: Path) -> bool:
    """Whether a file says near its beginning that an export of this program wrote it."""
    with path.open("rb") as file:
        return command_of(file.read(BEGINNING)) == "export"
