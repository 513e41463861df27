"""simulate: label images with noise as in the papers, and the Dice that remains."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from .. import noise as label_noise
from ..errors import NoisySegError
from ..exchange.labels import write_labels, writer_of, written_whole
from ..noise import Found, Setting, foreground_dice, ids_of, setting_for_dice
from ..regular_file import advice, is_file
from ..slides import read_labels
from .output import DryRun, Json, Progress, print_json, print_table, say, show
from .paths import check_writable

LABEL_SUFFIXES = (".tif", ".tiff", ".png")
TIFF_SUFFIXES = (".tif", ".tiff")
QUICK = 3.0
"""seconds"""
LONGEST = 25
"""tries of a search"""
Kind = Literal["points", "partial", "box", "dilate", "erode", "affine", "flip", "random"]


ShareOption = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="Share of the nuclei. partial, box, dilate: deleted (box, dilate: the others change). "
        "erode, affine: changed. points: left out (default 0). Default 0.4.",
    ),
]
StrengthOption = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="points, box, dilate, erode: px. affine: changed share of a nucleus. flip, random: "
        "probability. Default: drawn at random as in the papers.",
    ),
]
DiceOption = Annotated[
    float | None,
    typer.Option(metavar="D", help="Find the strength or share that gives this mean Dice."),
]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(simulate)


@dataclass(frozen=True)
class Labelled:
    """A label image, where its noisy twin goes, and the seed of its own."""

    stem: str
    out: Path
    truth: NDArray[np.int32]
    seed: int


def simulate(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="A label image (.tif, .png), or a folder.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file, or a folder for a folder.")],
    noise: Annotated[Kind, typer.Option(help="Kind of noise.")],
    share: ShareOption = None,
    strength: StrengthOption = None,
    target_dice: DiceOption = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Fixes every random choice.")] = 0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make noisy labels from true ones.

    The same seed and file name give the same noise.
    """
    _check(noise, share, strength, target_dice)
    pairs = _pairs(labels, out, noise)
    check_writable(pairs[0][2].absolute().parent)
    _spare(target for _, _, target in pairs)
    images = [_read(stem, a, b, seed) for stem, a, b in pairs]
    jitter = label_noise.RANGES["points"][1] if strength is None else strength
    clicks = _clicks(images, share or 0.0, jitter) if noise == "points" else []
    if dry_run:
        _tell_what(pairs, as_json)
        return
    if noise == "points":
        document = {"noise": noise, "share": share or 0.0, "strength": jitter}
        rows = [_write_clicks(image, places) for image, places in zip(images, clicks, strict=True)]
    else:
        setting, searched = Setting(noise, share, strength), None
        if target_dice is not None:
            setting, searched = _searched(images, setting, target_dice)
        document = _settings(setting, searched)
        rows = _write_all(images, setting)
    _report({**document, "seed": seed}, rows, as_json)


def _tell_what(pairs: list[tuple[str, Path, Path]], as_json: bool) -> None:
    if as_json:
        print_json({"would_write": {str(a): str(b) for _, a, b in pairs}})
    else:
        print_table([{"labels": a, "would write": b} for _, a, b in pairs])


def _check(noise: Kind, share: float | None, strength: float | None, dice: float | None) -> None:
    """NoisySegError before anything is read where the options do not go together."""
    label_noise.check(noise, label_noise.SHARE if share is None else share, strength)
    if dice is not None and noise == "points":
        raise NoisySegError("points cannot have a Dice: leave out --target-dice")
    if dice is not None and not 0 <= dice <= 1:
        raise NoisySegError(f"--target-dice is {dice:g}: give a number from 0 to 1")


def _pairs(labels: Path, out: Path, noise: Kind) -> list[tuple[str, Path, Path]]:
    """Stem, file to read and file to write of each image."""
    if not labels.exists():
        raise NoisySegError(f"{labels}: there is no such file or folder")
    suffixes = (".csv",) if noise == "points" else TIFF_SUFFIXES
    if labels.is_dir():
        return _folder_pairs(labels, out, suffixes[0])
    if out.is_dir() or out.suffix.lower() not in suffixes:
        raise NoisySegError(f"{out}: {labels} is a file, so name a {suffixes[0]} file to write")
    if not out.parent.is_dir():
        raise NoisySegError(f"{out.parent}: there is no such folder to write to; make it first")
    if out.resolve() == labels.resolve():
        raise NoisySegError(f"{out} is the true labels themselves: name another file")
    return [(labels.stem, labels, out)]


def _folder_pairs(labels: Path, out: Path, suffix: str) -> list[tuple[str, Path, Path]]:
    if out.exists() and not out.is_dir():
        raise NoisySegError(f"{out} is a file, but {labels} is a folder: name a folder to write to")
    if out.resolve() == labels.resolve():
        raise NoisySegError(f"{out} is the folder of the true labels: name another one")
    files = [
        f
        for f in sorted(labels.iterdir())
        if f.suffix.lower() in LABEL_SUFFIXES and not f.name.startswith(".")
    ]
    if not files:
        raise NoisySegError(f"{labels} holds no label images ({', '.join(LABEL_SUFFIXES)})")
    stems = [f.stem for f in files]
    twice = next((f for f in files if stems.count(f.stem) > 1), None)
    if twice:
        raise NoisySegError(f"{labels} holds {twice.stem!r} more than once: keep one of the files")
    return [(f.stem, f, out / f"{f.stem}{suffix}") for f in files]


def _spare(targets: Iterable[Path]) -> None:
    """NoisySegError where a file of somebody else would be replaced: an image, a person's nuclei.

    Clicks in a table bear no mark; `_clicks` looks at them.
    """
    for target in targets:
        if target.exists() and target.suffix != ".csv" and writer_of(target) != "simulate":
            raise NoisySegError(
                f"{target} exists and was not simulated: name another place, so that it is not lost"
            )


def _clicks(images: list[Labelled], share: float, jitter: float) -> list[NDArray[np.float64]]:
    """The points of each image. NoisySegError where a table that is there holds any others."""
    found = [label_noise.points(i.truth, jitter, share, i.seed) for i in images]
    for image, places in zip(images, found, strict=True):
        out = image.out
        if out.exists() and (not is_file(out) or out.read_bytes() != _table(places)):
            raise NoisySegError(
                f"{out} exists, with other points in it: name another place, so that they are not "
                "lost"
            )
    return found


def _read(stem: str, path: Path, out: Path, seed: int) -> Labelled:
    # its name makes the seed an image's own: else nucleus 1 would fare alike in all images
    own = int(np.random.SeedSequence((seed, zlib.crc32(stem.encode()))).generate_state(1)[0])
    return Labelled(stem, out, read_labels(path), own)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NoisySegError(f"{folder}: cannot make this folder ({advice(error)})") from error


def _searched(images: list[Labelled], setting: Setting, dice: float) -> tuple[Setting, str]:
    progress, start, shown = Progress("searching"), time.monotonic(), False
    tries: list[Found] = []

    def tell(found: Found) -> None:
        nonlocal shown
        tries.append(found)
        # a quick search that fails says one line only
        if time.monotonic() - start > QUICK:
            shown = True
            progress.update(min(len(tries) / LONGEST, 0.99), f"Dice {found.dice:.3f}")

    try:
        found = setting_for_dice([(i.truth, i.seed) for i in images], setting, dice, tell)
    finally:
        if shown:
            progress.close()
    said = _settings(found.setting, None)
    say(f"searched the {found.searched}: share {said['share']}, strength {said['strength']}")
    return found.setting, found.searched


def _settings(setting: Setting, searched: str | None) -> dict[str, Any]:
    by_pixels = setting.noise in ("flip", "random")
    share = label_noise.SHARE if setting.share is None else setting.share
    strength = setting.strength
    if strength is None and setting.noise != "partial":
        strength = label_noise.RANGES[setting.noise]
    return {
        "noise": setting.noise,
        "share": None if by_pixels else share,
        "strength": strength,
        "searched": searched,
    }


def _write_all(images: list[Labelled], setting: Setting) -> list[dict[str, Any]]:
    progress, rows = Progress("simulating"), []
    if setting.share is not None and setting.noise in ("flip", "random"):
        say(f"--share is not used: {setting.noise} changes pixels, not nuclei")
    _make_folder(images[0].out.parent)
    for done, image in enumerate(images, start=1):
        noisy = setting.apply(image.truth, image.seed)
        write_labels(image.out, noisy, by="simulate")
        rows.append(
            {
                "image": image.stem,
                "nuclei": len(ids_of(image.truth)),
                "kept": len(ids_of(noisy)),
                "dice": foreground_dice(noisy, image.truth),
            }
        )
        if len(images) > 1:
            progress.update(done / len(images), image.stem)
    if len(images) > 1:
        progress.close()
    return rows


def _write_clicks(image: Labelled, places: NDArray[np.float64]) -> dict[str, Any]:
    _make_folder(image.out.parent)
    with written_whole(image.out) as partial:
        partial.write_bytes(_table(places))
    return {"image": image.stem, "nuclei": len(ids_of(image.truth)), "kept": len(places)}


def _table(places: NDArray[np.float64]) -> bytes:
    return ("x,y\n" + "".join(f"{x:.3f},{y:.3f}\n" for y, x in places)).encode()


def _report(document: dict[str, Any], rows: list[dict[str, Any]], as_json: bool) -> None:
    scores = [row["dice"] for row in rows if "dice" in row]
    mean = sum(scores) / len(scores) if scores else None
    if as_json:
        images = {row["image"]: {k: v for k, v in row.items() if k != "image"} for row in rows}
        print_json({**document, "images": images, "mean": {"dice": mean}})
        return
    print_table(rows)
    if mean is not None:
        show(f"mean Dice {mean:.4f}")
