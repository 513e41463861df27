"""Imports annotation into a project: points, rough masks, trusted masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.annotation import pixel, read_masks, read_points
from napari_noisyseg.exchange.csv_points import listed
from napari_noisyseg.exchange.formats import of_file
from napari_noisyseg.exchange.shapes import Color, Masks
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project
from napari_noisyseg.store.matching import match
from napari_noisyseg.store.records import STATES, Nucleus, Outline

TILE = 2048
ORIGIN = "import"


@dataclass(frozen=True, slots=True)
class Imported:
    """How many nuclei came in; `note` says what was left out or understood, "" for nothing.

    `points`: they came as points, not as masks.
    """

    count: int
    note: str = ""
    points: bool = False

    def __int__(self) -> int:
        return self.count


def import_points(project: Project, image: str, path: Path, format: str | None = None) -> Imported:
    """Nuclei at the points of a file; one action. `format`: the file's, else by its ending.

    Raises `NoisySegError` naming the lines that lie outside the image, repeat one another or a
    nucleus that the project has; nothing is imported then.
    """
    record = project.image(image)
    points = read_points(Path(path), (record.height, record.width), image, format)
    marked = {_pixel_of(n): n for n in project.nuclei.of(image)}
    again = [
        where
        for where, cell in zip(points.where, pixel(points.places).tolist(), strict=True)
        if tuple(cell) in marked
    ]
    if again:
        raise NoisySegError(
            f"{path}: {listed(again)}: {image} has a nucleus at this place already; was the file "
            "imported before? Undo that, or remove these points"
        )
    with project.nuclei.together(f"import {len(points.places)} points"):
        _add_classes(project, points.colors)
        project.nuclei.add_many(image, points.places, points.classes, ORIGIN)
    return Imported(len(points.places), points.note, points=True)


def import_rough(project: Project, image: str, path: Path, format: str | None = None) -> Imported:
    """Paint the nuclei of a label image or a file of outlines as rough masks; one action.

    What is painted already stays; where nuclei overlap the first in the file has the pixels.
    Raises `NoisySegError` for another size, most nuclei outside the image, or none that is left.
    """
    record = project.image(image)
    nuclei = read_masks(Path(path), (record.height, record.width), image, format)
    start = _largest_painted(project, image, (record.height, record.width))
    shown: set[int] = set()
    with project.nuclei.together(f"import {len(nuclei.outlines)} rough masks"):
        for box, numbers in _by_tile(nuclei.outlines, (record.height, record.width)).items():
            before = project.nuclei.painted(image, box=box)
            after = before.copy()
            for n in numbers:
                nuclei.outlines[n].paste(after, box, start + n + 1, under=True)
            project.nuclei.paint(image, box, before, after)
            shown.update(np.unique(after[after > start]).tolist())
        if not shown:
            raise NoisySegError(
                f"{path}: all its nuclei lie on masks that {image} has already; was the file "
                "imported before? Undo that, or erase those masks"
            )
    notes, hidden = [nuclei.note], len(nuclei.outlines) - len(shown)
    if hidden:
        notes.append(f"left out, as other masks have all of their pixels: {hidden}")
    return Imported(len(shown), "; ".join(filter(None, notes)))


def import_drawn(project: Project, image: str, path: Path) -> Imported:
    """What a file holds: its outlines as rough masks, else its points; one action.

    Raises as `import_points` and `import_rough` do.
    """
    chosen = of_file(Path(path))
    chosen.require()
    masks = chosen.reads_masks
    if chosen.shapes is not None:
        masks = any(shape.kind == "polygon" for shape in chosen.shapes(Path(path), image))
    return (import_rough if masks else import_points)(project, image, path, chosen.name)


def import_clean(
    project: Project,
    image: str,
    path: Path,
    complete: bool = False,
    format: str | None = None,
) -> Imported:
    """Accept the nuclei of a label image or a file of outlines, and freeze them; one action.

    An outline in which a marked nucleus lies becomes that nucleus's. Outlines that a person
    accepted or drew before stay as they are: a nucleus of the file that is the same as one of
    those (IoU from 0.5) only gives it its class, if it has none. `complete` declares the whole
    image a complete field.
    Raises as `import_rough` does.
    """
    record = project.image(image)
    nuclei = read_masks(Path(path), (record.height, record.width), image, format)
    frozen = [(n, o) for n, o in project.nuclei.outlines(image, STATES) if n.frozen]
    same = match(nuclei.outlines, [o for _, o in frozen])
    kept = [k for k in range(len(nuclei.outlines)) if k not in same]
    with project.nuclei.together(f"accept {len(kept)} trusted masks"):
        _add_classes(project, nuclei.colors)
        owners = _accept(project, image, nuclei, kept)
        _name(project, nuclei, owners | {k: frozen[j][0] for k, j in same.items()})
        if complete:
            project.nuclei.add_field(image, Box(0, 0, record.height, record.width))
    notes = [nuclei.note]
    if same:
        notes.append(f"{len(same)} were accepted or drawn before: those outlines stay as they are")
    return Imported(len(kept), "; ".join(filter(None, notes)))


def _add_classes(project: Project, colors: Mapping[str, Color]) -> None:
    """Add the classes that the project does not have yet, in the colours of the file."""
    there = {c.name for c in project.nuclei.classes()}
    for name, color in colors.items():
        if name not in there:
            project.nuclei.add_class(name, "#{:02x}{:02x}{:02x}".format(*color))


def _accept(project: Project, image: str, nuclei: Masks, kept: Sequence[int]) -> dict[int, Nucleus]:
    """Accept some of the file's nuclei: the marked nucleus inside each, else a new one.

    Which of them were marked before, and as which nucleus.
    """
    # a click that lies in an outline means this nucleus: it keeps its id, class and history
    owners = _owners(project.nuclei.of(image), {k: nuclei.outlines[k] for k in kept})
    new = [k for k in kept if k not in owners]
    places = np.array([nuclei.outlines[k].middle() for k in new], float).reshape(-1, 2)
    classes = [nuclei.classes[k] for k in new]
    added = project.nuclei.add_many(image, places, classes, ORIGIN)
    ids = {k: owner.id for k, owner in owners.items()}
    ids |= {k: nucleus.id for k, nucleus in zip(new, added, strict=True)}
    outlines = {ids[k]: nuclei.outlines[k] for k in kept}
    project.nuclei.decide(list(outlines), "accepted", outlines=outlines)
    return owners


def _name(project: Project, nuclei: Masks, owners: Mapping[int, Nucleus]) -> None:
    """Give nuclei that were there before the file's classes."""
    named: dict[str, list[str]] = defaultdict(list)
    for k, owner in owners.items():
        name = nuclei.classes[k]
        # what a person named stays; the file only fills gaps
        if name is not None and owner.class_name is None:
            named[name].append(owner.id)
    for name, of_class in named.items():
        project.nuclei.set_class(of_class, name)


def _owners(marked: Sequence[Nucleus], outlines: Mapping[int, Outline]) -> dict[int, Nucleus]:
    """The marked nucleus in each outline, the one nearest to its middle; each is used once."""
    free = sorted((n for n in marked if not n.frozen), key=lambda n: n.y)
    cells = pixel(np.array([(n.y, n.x) for n in free], float).reshape(-1, 2))
    owners: dict[int, Nucleus] = {}
    taken: set[int] = set()
    for k, outline in outlines.items():
        box = outline.box
        rows = range(*np.searchsorted(cells[:, 0], (box.y0, box.y1)).tolist())
        inside = [
            i
            for i in rows
            if i not in taken
            and box.x0 <= cells[i, 1] < box.x1
            and outline.mask[cells[i, 0] - box.y0, cells[i, 1] - box.x0]
        ]
        if inside:
            centre = outline.middle()
            nearest = min(inside, key=lambda i: np.hypot(*(cells[i] - centre)))
            owners[k] = free[nearest]
            taken.add(nearest)
    return owners


def _pixel_of(nucleus: Nucleus) -> tuple[int, int]:
    y, x = pixel(np.array([nucleus.y, nucleus.x]))
    return int(y), int(x)


def _largest_painted(project: Project, image: str, shape: tuple[int, int]) -> int:
    if "rough" not in project.nuclei.planes(image):
        return 0
    boxes = (
        Box(y, x, y + TILE, x + TILE).clip(shape)
        for y in range(0, shape[0], TILE)
        for x in range(0, shape[1], TILE)
    )
    return max(int(project.nuclei.painted(image, box=box).max(initial=0)) for box in boxes)


def _by_tile(outlines: Sequence[Outline], shape: tuple[int, int]) -> Mapping[Box, list[int]]:
    """Which outlines, in their order, reach into which tile."""
    found: dict[Box, list[int]] = defaultdict(list)
    for n, outline in enumerate(outlines):
        box = outline.box
        for y in range(box.y0 // TILE * TILE, box.y1, TILE):
            for x in range(box.x0 // TILE * TILE, box.x1, TILE):
                found[Box(y, x, y + TILE, x + TILE).clip(shape)].append(n)
    return found
