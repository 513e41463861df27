"""create, add, info, derive: the project and its images."""

from __future__ import annotations

import contextlib
import math
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import bounded_json
from ..api.outlines import derive as derive_labels
from ..coarse.project import EVERY, KINDS
from ..errors import NoisySegError
from ..exchange.formats import endings
from ..exchange.importing import Imported, import_clean, import_points, import_rough
from ..slides import Box, open_image
from ..slides.coarser import lacks_levels
from ..store import ImageRecord, Project, Run, RunState, leftovers, shares
from ..worker.adoption.provenance import SETTINGS, of_nucleus
from .fields import box_of, inside, whole
from .output import DryRun, Json, Progress, notes_if_done, print_json, print_table, say, show
from .paths import ProjectPath, ended, image_files, open_project, paired

Paths = list[Path] | None

Channel = Annotated[
    int | None, typer.Option(min=1, help="Fluorescence channel that shows the nuclei.")
]
Icc = Annotated[
    bool, typer.Option("--icc", help="Convert colours to sRGB by the profile in the file.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(notes_if_done()(create))
    app.command()(add)
    app.command()(info)
    app.command()(derive)


def create(
    project: ProjectPath,
    images: Annotated[list[Path], typer.Option(metavar="PATH", help="Images: files or folders.")],
    points: Annotated[Paths, typer.Option(metavar="PATH", help="Points: files or folders.")] = None,
    masks: Annotated[
        Paths, typer.Option(metavar="PATH", help="Rough masks: files or folders.")
    ] = None,
    clean: Annotated[
        Paths, typer.Option(metavar="PATH", help="Trusted masks: files or folders.")
    ] = None,
    mpp: Annotated[float | None, typer.Option(help="µm per pixel of every image.")] = None,
    field: Annotated[
        list[str] | None, typer.Option(metavar="x,y,w,h", help="A field with all nuclei marked.")
    ] = None,
    clean_complete: Annotated[
        bool, typer.Option("--clean-complete", help="The clean masks cover every nucleus.")
    ] = False,
    channel: Channel = None,
    icc: Icc = False,
    dry_run: DryRun = False,
) -> None:
    """Create a project from images and annotation files.

    Annotation belongs to the image of the same name.
    """
    if clean_complete and not clean:
        raise NoisySegError("--clean-complete needs trusted masks: give them with --clean")
    files = image_files(images)
    boxes = [box_of(text, "--field") for text in field or ()]
    given = {
        "points": paired(files, points, endings("points")),
        "masks": paired(files, masks, endings("masks")),
        "clean": paired(files, clean, endings("masks")),
    }
    target = ended(project)
    if target.exists():
        raise NoisySegError(f"{target} exists already: choose another name, or 'noisyseg add'")
    if dry_run:
        _tell_pairs(target, files, given)
        return
    partial = target.with_name(f".{target.name}.partial")
    if partial.exists() and not leftovers.left_behind(partial):
        raise NoisySegError(f"another command is making {target}: wait for it, or delete {partial}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with Project.create(partial) as made, Progress("create") as progress:
            for done, file in enumerate(files):
                progress.update(done / len(files), file.name)
                record = made.add_image(file, mpp=mpp, channel=channel, icc=icc)
                tell_profile(file.name, icc, record.icc)
                _fill(made, file, record, {k: v.get(file) for k, v in given.items()}, boxes)
                if clean_complete and file in given["clean"]:
                    made.nuclei.add_field(record.name, whole(made, record.name))
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    show(target)


def _tell_pairs(target: Path, files: list[Path], given: dict[str, dict[Path, Path]]) -> None:
    """What `create` would bring together."""
    say(f"would make {target}; nothing is written")
    print_table([{"image": f, **{k: pairs.get(f) for k, pairs in given.items()}} for f in files])


def _fill(
    project: Project,
    file: Path,
    record: ImageRecord,
    given: dict[str, Path | None],
    boxes: list[Box],
) -> None:
    _tell_assumed(file, record)
    for box in boxes:
        project.nuclei.add_field(record.name, inside(project, record.name, box))
    if given["points"]:
        _told(file, import_points(project, record.name, given["points"]))
        if not boxes:
            project.nuclei.add_field(record.name, whole(project, record.name))
    if given["masks"]:
        _told(file, import_rough(project, record.name, given["masks"]))
    if given["clean"]:
        _told(file, import_clean(project, record.name, given["clean"]))


def _told(file: Path, found: Imported) -> None:
    if found.note:
        say(f"{file.name}: {found.note}")


def add(
    project: ProjectPath,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    mpp: Annotated[float | None, typer.Option(help="µm per pixel of every image.")] = None,
    channel: Channel = None,
    icc: Icc = False,
    dry_run: DryRun = False,
) -> None:
    """Add more images to a project."""
    files = image_files(images)
    with open_project(project, write=not dry_run) as opened, Progress("add") as progress:
        for file in files:
            opened.check_image(file, channel, icc)
        if dry_run:
            say(f"would add {len(files)} images to {opened.path}; nothing is written")
            return
        for done, file in enumerate(files):
            progress.update(done / len(files), file.name)
            record = opened.add_image(file, mpp=mpp, channel=channel, icc=icc)
            _tell_assumed(file, record)
            tell_profile(file.name, icc, record.icc)
            show(record.name)


def _tell_assumed(file: Path, record: ImageRecord) -> None:
    if record.mpp_assumed:
        say(f"{file.name}: no µm per pixel in the file; 0.25 is assumed (say --mpp)")


def tell_profile(name: str, wanted: bool, found: str) -> None:
    """Say which profile a file's colours were corrected by, where that was asked for."""
    if wanted:
        none = "no colour profile in the file; its colours stay as they are"
        say(f"{name}: {f'colours corrected by its profile, {found}' if found else none}")


def info(
    project: ProjectPath,
    nucleus: Annotated[
        str | None,
        typer.Option(metavar="SERIAL|ID", help="Tell where this nucleus comes from."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List images, fields, nuclei and runs, or one nucleus in detail."""
    with open_project(project) as opened:
        document = describe(opened) if nucleus is None else of_nucleus(opened, nucleus)
    if nucleus is not None:
        print_json(document) if as_json else _tell(document)
        return
    if as_json:
        print_json(document)
        return
    show(document["project"])
    print_table(document["images"])
    if document["runs"]:
        show()
        print_table(document["runs"])


def _tell(document: dict[str, Any]) -> None:
    """A nucleus's provenance as lines; tables for decisions and history."""
    for part in ("nucleus", "image", "run"):
        values = document[part] or {}
        rows = [{"what": k, "value": v} for k, v in values.items() if not isinstance(v, dict)]
        print(f"{part}:" if rows else f"{part}: none")
        print_table([row for row in rows if row["value"] is not None])
        print()
    for part in ("decisions", "history"):
        print(f"{part}:" if document[part] else f"{part}: none")
        print_table(document[part])


def describe(project: Project) -> dict[str, Any]:
    """The project in plain values, as `info --json` prints it."""
    images = []
    for record in project.images():
        counts = project.nuclei.counts(record.name)
        images.append(
            {
                "name": record.name,
                "width": record.width,
                "height": record.height,
                "mpp": record.mpp,
                "mpp_assumed": record.mpp_assumed,
                "points": counts.points,
                "fields": counts.fields,
                "refined": counts.candidates,
                "accepted": counts.accepted,
                "rejected": counts.rejected,
                "unsure": counts.unsure,
                "labels": ", ".join(project.labels.kinds(record.name)),
                "levels": _levels(project, record),
                "icc": record.icc,
            }
        )
    runs = [run_row(run) for run in project.runs.list()]
    return {"project": str(project.path), "images": images, "runs": runs}


def _levels(project: Project, record: ImageRecord) -> str:
    """Where an image has its coarser levels; "" where its slide is gone."""
    if record.link is None:
        return "in the project"
    state = project.coarser.state(record.name)
    if state != "missing":
        return {"made": "made in the project", "being made": "being made"}[state]
    if not shares.is_free(record.link, project.path):
        return ""
    # where it was last: a search for what was moved would take its time
    with contextlib.suppress(NoisySegError), open_image(record.link) as slide:
        return "none yet: the window makes them" if lacks_levels(slide) else "the slide's"
    return ""


def run_row(run: Run) -> dict[str, Any]:
    """A run in plain values; one whose folder cannot be read is a row too."""
    state: RunState = run.state()
    spec: dict[str, Any] = {}
    note = _not_adopted(run, state)
    try:
        spec = run.spec()
    except NoisySegError as error:
        state, note = "damaged", str(error)
    about = {
        "run": run.id,
        "method": spec.get("method"),
        "state": state,
        "init": spec.get("init") or _first_weights(run, spec),
        "resume": spec.get("resume"),
        "adopted": "yes" if run.adopted else "no",
        "note": note or None,
    }
    figures = {
        key: round(value, 4) if math.isfinite(value) else None
        for key, value in run.figures().items()
        if key not in about
    }
    return {**dict(list(about.items())[:3]), **figures, **about}


def _first_weights(run: Run, spec: dict[str, Any]) -> str | None:
    """What `--init` calls the weights with which a run's networks begin, where a file says it."""
    if spec.get("resume"):
        return None
    settings = spec.get("config")
    # in full, as the child resolved them
    with contextlib.suppress(NoisySegError):
        settings = bounded_json.read_record(run.dir / SETTINGS)
    found = settings.get("first_weights") if isinstance(settings, dict) else None
    return found if isinstance(found, str) else None


def _not_adopted(run: Run, state: RunState) -> str:
    """Why a run's results are not in the project, "" where they are or there are none."""
    if run.adopted or not run.has_results or state == "running":
        return ""
    return run.skipped or "taken in when the project is next opened for writing"


def derive(
    project: ProjectPath,
    kind: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(EVERY)}. Default: all made from points.")
    ] = None,
) -> None:
    """Make coarse labels from points, or superpixels, and save them."""
    kinds = tuple(kind or KINDS)
    if unknown := sorted(set(kinds) - set(EVERY)):
        raise NoisySegError(f"--kind {unknown[0]!r}: one of {', '.join(EVERY)}")
    with open_project(project, write=True) as opened, Progress("coarse labels") as progress:
        doubts = derive_labels(opened, kinds, tell=progress.update)
    for name, doubt in doubts.items():
        if doubt:
            say(f"{name}: {doubt}")
