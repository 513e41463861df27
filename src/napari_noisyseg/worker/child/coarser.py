"""Making the coarser levels of a slide: `python -m ….worker.child.coarser PROJECT IMAGE`.

The child reads the project, which a window holds, and takes no lock on it.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from napari_noisyseg.errors import NoisySegError, in_window
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.child.share import give_way

REFUSED = 3
"""The exit status where there is a word for a person."""


def main(arguments: list[str]) -> int:
    """Make them; the disk's or the slide's refusal goes to stderr in one line."""
    path, image = Path(arguments[0]), arguments[1]
    give_way()
    try:
        with Project.open(path, write=False) as project, closing(project.pixels(image)) as slide:
            project.coarser.make(image, slide, lambda: not path.is_dir())
    except NoisySegError as error:
        print(in_window(error), file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
