"""export, import, evaluate: to and from other programs' files."""

from __future__ import annotations

import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..errors import NoisySegError
from ..exchange.exporting import export as export_project
from ..exchange.exporting import export_one
from ..exchange.formats import FORMATS, Format, by_ending, composed, of_file, stem_of
from ..exchange.importing import Imported, import_clean, import_points, import_rough
from ..exchange.layers import LAYERS
from ..metrics import evaluate as evaluate_pair
from ..slides import read_labels
from ..store import Project
from .output import DryRun, Json, print_json, print_table, say, show
from .paths import ProjectPath, check_outside, open_project

LABEL_SUFFIXES = (".tif", ".tiff", ".png")
READ = [name for name, f in FORMATS.items() if f.reads_points or f.reads_masks]
_FOLDERS = tuple(ending for f in FORMATS.values() if f.is_folder for ending in f.endings)


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(export)
    app.command("import")(import_)
    app.command()(evaluate)


def export(
    project: ProjectPath,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A folder; for one image also a file, or - for stdout."),
    ],
    format_: Annotated[
        str | None,
        typer.Option("--format", help=f"{', '.join(FORMATS)}. Default: by the file's ending."),
    ] = None,
    layer: Annotated[str, typer.Option(help=f"One of: {', '.join(LAYERS)}.")] = "refined",
    image: Annotated[str | None, typer.Option(metavar="NAME", help="Only this image.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Write the nuclei of each image into a file for another program."""
    chosen, is_file = _chosen_format(out, format_)
    if str(out) != "-":
        check_outside(out, images=chosen != "ome-zarr")
    with open_project(project) as opened:
        if dry_run:
            _tell_counts(opened, layer, image)
        elif str(out) == "-":
            export_one(opened, sys.stdout.buffer, chosen, layer, image, tell=say)
        elif is_file:
            export_one(opened, out, chosen, layer, image, tell=say)
            show(out)
        else:
            for path in export_project(opened, out, chosen, layer, image, tell=say):
                show(path)


def _tell_counts(project: Project, layer: str, image: str | None) -> None:
    """How many nuclei of each image would be written."""
    if layer not in LAYERS:
        raise NoisySegError(f"there is no layer {layer!r}: choose one of {', '.join(LAYERS)}")
    records = project.images() if image is None else [project.image(image)]
    print_table([{"image": r.name, "nuclei": LAYERS[layer].count(project, r)} for r in records])
    say("nothing is written")


def _chosen_format(out: Path, name: str | None) -> tuple[str, bool]:
    """The format, and whether the place is a file of it and not a folder."""
    ended = out.name.lower()
    folder = out.is_dir() and not ended.endswith(_FOLDERS)
    meant = [] if folder else [f.name for f in by_ending(ended, lambda f: f.endings)]
    if name is None and not meant:
        raise NoisySegError(
            f"{out}: give --format ({', '.join(FORMATS)}), or a file name with a known ending"
        )
    if name is None and len(meant) > 1:
        raise NoisySegError(f"{out} fits several formats: give --format ({' or '.join(meant)})")
    if name in FORMATS and meant and name not in meant:
        raise NoisySegError(
            f"{out} is the name of a {meant[0]} file, but --format says {name}: change one of them"
        )
    return name or meant[0], bool(meant)


def import_(
    project: ProjectPath,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of annotation.")],
    format_: Annotated[
        str | None,
        typer.Option("--format", help=f"{', '.join(READ)}. Default: by the file's ending."),
    ] = None,
    kind: Annotated[
        Literal["points", "rough", "clean"] | None,
        typer.Option(
            "--as",
            help="Points; rough masks, which may be wrong; or clean ones, which you trust. "
            "Default: rough masks, or points if the format has no masks.",
        ),
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="NAME", help="The image that the files belong to.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Import points, rough masks or trusted masks.

    A file belongs to the image of the same name, or to the only image. All files come in, or none.
    """
    with open_project(project, write=True) as opened:
        formats = {file: of_file(_there(file), format_) for file in files}
        pairs = [
            (file, name)
            for file in files
            for name in _images_of(opened, file, formats[file], image)
        ]
        # several files are one action: all of them come in, or none
        several = bool(pairs[1:]) or dry_run
        once = opened.nuclei.together(f"import {len(files)} files") if several else nullcontext()
        with suppress(_Tried), once:
            found = [_import_one(opened, file, name, formats[file], kind) for file, name in pairs]
            if dry_run:
                raise _Tried
    if dry_run:
        say("nothing is written")
    for (file, name), one in zip(pairs, found, strict=True):
        say(f"{name}: {one.count} from {file.name}. {one.note}".strip())


class _Tried(Exception):
    """Ends a dry run: the import is rolled back, as if a file had been wrong."""


def _there(file: Path) -> Path:
    if not file.exists():
        raise NoisySegError(f"{file}: there is no such file")
    return file


def _images_of(project: Project, file: Path, format: Format, name: str | None) -> list[str]:
    """The project's images that a file belongs to; some files name their images."""
    names = [record.name for record in project.images()]
    known = {composed(held): held for held in names}
    if name is None and format.images is not None:
        inside = [known[one] for one in map(composed, format.images(file)) if one in known]
        if inside:
            return inside
    wanted = name or stem_of(file)
    if composed(wanted) in known:
        return [known[composed(wanted)]]
    if name is None and len(names) == 1:
        return names
    raise NoisySegError(f"{file}: no image {wanted!r} in the project; give --image NAME: {names}")


def _import_one(
    project: Project, file: Path, name: str, format: Format, kind: str | None
) -> Imported:
    usual = "rough" if format.reads_masks else "points"
    reader: Any = {"points": import_points, "rough": import_rough, "clean": import_clean}
    found: Imported = reader[kind or usual](project, name, file, format=format.name)
    return found


def evaluate(
    predicted: Annotated[
        Path, typer.Argument(metavar="PREDICTED", help="A label image (.tif, .png), or a folder.")
    ],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="The same of the true nuclei.")],
    min_size: Annotated[
        int, typer.Option(metavar="PX", min=0, help="Leave out nuclei with fewer pixels.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Score label images against the truth.

    Files in folders are matched by name.
    """
    images = {stem: _score(a, b, min_size) for stem, a, b in _pairs(predicted, truth)}
    mean = {
        key: _mean([row[key] for row in images.values()]) for key in next(iter(images.values()))
    }
    if as_json:
        print_json({"images": images, "mean": mean})
        return
    print_table([{"image": stem, **row} for stem, row in [*images.items(), ("mean", mean)]])


def _score(predicted: Path, truth: Path, min_size: int) -> dict[str, float | None]:
    mine, theirs = read_labels(predicted), read_labels(truth)
    if mine.shape != theirs.shape:
        sizes = [f"{labels.shape[1]} x {labels.shape[0]} pixels" for labels in (mine, theirs)]
        raise NoisySegError(
            f"{predicted} is {sizes[0]} but {truth} is {sizes[1]}: both must be label images of "
            "the same image"
        )
    return evaluate_pair(mine, theirs, min_size)


def _pairs(predicted: Path, truth: Path) -> list[tuple[str, Path, Path]]:
    mine, theirs = _labels_in(predicted), _labels_in(truth)
    if predicted.is_file() and truth.is_file():
        return [(predicted.stem, predicted, truth)]
    missing = sorted(set(mine) ^ set(theirs))
    common = sorted(set(mine) & set(theirs))
    if not common:
        raise NoisySegError(f"{predicted} and {truth}: no label images with the same name")
    if missing:
        say(f"left out, as the other folder has no such file: {', '.join(missing[:5])}")
    return [(stem, mine[stem], theirs[stem]) for stem in common]


def _labels_in(path: Path) -> dict[str, Path]:
    if not path.exists():
        raise NoisySegError(f"{path}: there is no such file or folder")
    files = path.iterdir() if path.is_dir() else [path]
    found: dict[str, Path] = {}
    for file in sorted(f for f in files if f.suffix.lower() in LABEL_SUFFIXES):
        if file.name.startswith("."):
            continue
        other = found.setdefault(composed(stem_of(file)), file)
        if other != file:
            raise NoisySegError(f"{other} and {file} have the same name: keep one of them")
    return found


def _mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None
