"""The starter's networks as they are used on nuclei: as they come, or as a project taught them.

What trains or predicts apart from a project takes copies of what was learned into its own folder,
so that it can be done again although the project learns on.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from napari_noisyseg.coarse.outline import Look
from napari_noisyseg.coarse.starter import (
    CENTRES,
    OUTLINE,
    Network,
    at_click,
    read_weights,
    shipped,
)


class Readers(NamedTuple):
    """look: draws the outline at a click; network: finds centres. None: as the package has it."""

    look: Look | None = None
    network: Network | None = None

    def drawing(self) -> Look:
        """What draws outlines. Raises NoisySegError where the package's own is missing."""
        return self.look or at_click(shipped(OUTLINE))

    def finding(self) -> Network:
        """What finds centres. Raises as `drawing` does."""
        return self.network or shipped(CENTRES)


AS_SHIPPED = Readers()


def file_of(name: str) -> str:
    """The file with the learned weights of a network, in a folder of copies."""
    return f"{name}.safetensors"


def readers_in(folder: Path) -> Readers:
    """With what was copied into a folder. Raises NoisySegError where that is damaged."""
    return readers_of({n: f for n in (CENTRES, OUTLINE) if (f := folder / file_of(n)).is_file()})


def readers_of(files: dict[str, Path]) -> Readers:
    """With learned weights in files, by the networks' names. Raises as `readers_in` does."""
    learned = {name: Network(name, read_weights(file)[0]) for name, file in files.items()}
    look = at_click(learned[OUTLINE]) if OUTLINE in learned else None
    return Readers(look, learned.get(CENTRES))
