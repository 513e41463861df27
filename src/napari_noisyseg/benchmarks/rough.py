"""`rough-field`: rough masks of a whole field and a few clean nuclei, corrected."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from .. import noise
from ..coarse.centres import centres
from ..errors import JobError
from ..instances import Given, suggest
from ..stains.deconvolution import FIXED, densities
from ..store import Project
from ..training.kept import with_kept
from . import baselines, trainings
from .annotated import without_network
from .ledger import rows_of
from .report import Report, Row, mean
from .tissue import ACCEPTED, MIN_SIZE, Field, fields

EPOCHS, FULL_EPOCHS = 15, 45
"""of a training: as many as two quiet cores manage in a minute, and in three; a time budget would
let the figures depend on what else the machine does"""
FIRST, IMAGES = 10, 10
"""images 11 to 20 (to 30 in the long form): thresholds and the confidence's coefficients were
chosen on some of the first ten"""
SHARE = 0.4
MARGIN_UM = 0.75
"""around an accepted nucleus, clean as well: not scored"""
KINDS: dict[str, noise.NoiseKind] = {"box": "box", "dilate": "dilate", "partial": "partial"}
FOUND_IOU = 0.5
"""IoU above which an added nucleus is one of those that were deleted"""

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Roughened:
    """A field's true nuclei, the rough ones, those accepted, and what is scored, all (H, W)."""

    field: Field
    truth: Labels
    rough: Labels
    clean: Labels
    scored: Mask

    def iou(self, mask: Mask) -> float:
        """Of a foreground mask with the truth, where it is scored."""
        truth, mask = (self.truth > 0) & self.scored, mask & self.scored
        return float((truth & mask).sum() / max((truth | mask).sum(), 1))


def run(data: Path, full: bool) -> Report:
    """Ten fields (20 in the long form) and three kinds of noise.

    `starter`: trained and read with what comes with the package; without, nothing was learned
    from masks but from the accepted nuclei.
    """
    chosen = fields(data, "monuseg")[FIRST : None if full else FIRST + IMAGES]
    epochs = FULL_EPOCHS if full else EPOCHS
    jobs = [
        (f"{field.stem} {kind}", partial(_corrected, field, kind, epochs))
        for kind in KINDS
        for field in chosen
    ]
    rows, complete = rows_of("rough-field", full, jobs)
    figures = {"complete": float(complete)}
    for kind in KINDS:
        of_kind = [row for row in rows if row["noise"] == kind]
        if kind == "partial":
            names = ("recall", "precision")
            figures |= {f"{k}_partial": mean(of_kind, k) for k in names}
            figures |= {f"{k}_partial_starter": mean(of_kind, f"{k}_starter") for k in names}
        figures[f"iou_gain_{kind}"] = mean(of_kind, "gain")
        figures[f"iou_{kind}_starter"] = mean(of_kind, "corrected_starter")
        figures[f"iou_gain_otsu_{kind}"] = mean(of_kind, "gain_otsu")
        figures[f"iou_gain_suggest_{kind}"] = mean(of_kind, "gain_suggest")
        figures[f"iou_over_suggest_{kind}"] = mean(of_kind, "gain_over_suggest")
        figures[f"iou_gain_untrained_{kind}"] = mean(of_kind, "gain_over_starter")
    return Report("rough-field", figures, rows)


def roughened(field: Field, kind: str, seed: int = 0) -> Roughened:
    """The field's nuclei made rough; a tenth of the true ones accepted, seeded."""
    truth = field.truth()
    accepted = noise.chosen(noise.ids_of(truth), ACCEPTED, seed + 1)
    clean = np.where(np.isin(truth, noise.ids_of(truth)[accepted]), truth, 0).astype(np.int32)
    rough = noise.simulate(truth, KINDS[kind], SHARE, seed=seed)
    away = ndimage.distance_transform_edt(clean == 0)
    return Roughened(field, truth, rough, clean, np.asarray(away) > MARGIN_UM / field.mpp)


def _corrected(field: Field, kind: str, epochs: int) -> Row:
    given = roughened(field, kind)
    corrected, with_starter = (_trained(given, epochs, starter) for starter in (False, True))
    row: Row = {"noise": kind, "rough": given.iou(given.rough > 0)}
    if kind == "partial":
        both = deleted_found(given, with_starter)
        row |= deleted_found(given, corrected)
        row |= {f"{name}_starter": value for name, value in both.items()}
    best = max(
        given.iou(otsu_inside(field, given.rough)), given.iou(local_from(field, given.rough))
    )
    after, before = given.iou(corrected > 0), given.iou(given.rough > 0)
    read, untrained = given.iou(with_starter > 0), given.iou(by_starter(field, given) > 0)
    suggested = given.iou(by_suggestions(field, given))
    return {
        **row, "corrected": after, "gain": after - before, "gain_otsu": best - before,
        "gain_suggest": suggested - before, "gain_over_suggest": after - suggested,
        "corrected_starter": read, "untrained_starter": untrained,
        "gain_over_starter": read - untrained,
    }  # fmt: skip


def _trained(given: Roughened, epochs: int, starter: bool) -> Labels:
    with tempfile.TemporaryDirectory() as scratch:
        project = _project(Path(scratch), given)
        trainings.train(project, "mmc", "--epochs", str(epochs), starter=starter)
        return _layer(project, given.field.stem, "corrected")


def _project(folder: Path, given: Roughened) -> Path:
    for name, labels in (("masks", given.rough), ("clean", given.clean)):
        (folder / name).mkdir()
        tifffile.imwrite(folder / name / f"{given.field.stem}.tif", labels.astype(np.uint16))
    words = ("--masks", folder / "masks", "--clean", folder / "clean")
    return trainings.create(folder, [given.field], *words)


def _layer(project: Path, image: str, kind: str) -> Labels:
    with Project.open(project, write=False) as opened:
        labels = opened.labels.read(image, kind)
    if labels is None:
        raise JobError(f"{project}: no {kind} layer of {image}")
    return np.asarray(labels, dtype=np.int32)


def otsu_inside(field: Field, rough: Labels) -> Mask:
    """What Otsu's threshold on the hematoxylin density leaves of the rough masks."""
    density = ndimage.gaussian_filter(densities(field.rgb(), FIXED)[0], 1.5)
    inside = rough > 0
    dark: Mask = inside & (density > threshold_otsu(density[inside]))
    return dark


def local_from(field: Field, rough: Labels) -> Mask:
    """The `local` outlines of points in the middle of the rough masks."""
    points = np.unique(np.round(_middles(rough)), axis=0)
    return baselines.coarse_of(field.rgb(), points, field.mpp, ("local",)).instances > 0


def by_starter(field: Field, given: Roughened) -> Labels:
    """Without any training: the starter's outlines at the middles of the rough masks.

    And at the centres that it finds beside what is given; accepted nuclei as they are, and rough
    masks that hold, as after a training. It learned from masks of other tissue.
    """
    seen = Given(given.rough, given.clean, np.zeros(given.rough.shape, bool))
    return with_kept(_outlined(field, seen), seen, partial(_outlined, field))


def _outlined(field: Field, given: Given) -> Labels:
    rgb, seen = field.rgb(), (given.rough > 0) | (given.clean > 0)
    found = centres(rgb, field.mpp).points
    beside = found[~seen[tuple(np.floor(found + 0.5).astype(int).T)]]
    points = np.unique(np.round(np.concatenate([_middles(given.rough), beside])), axis=0)
    outlines = baselines.coarse_of(rgb, points, field.mpp, ("outline",)).outlines
    return np.where(given.clean > 0, given.clean + outlines.max(), outlines).astype(np.int32)


def by_suggestions(field: Field, given: Roughened) -> Mask:
    """Without any training: outlines from the middles of the rough masks and of what they suggest.

    What a person has who clicks, and the comparator of MMC: it can find deleted nuclei as well.
    """
    rgb, middles = field.rgb(), np.round(_middles(given.rough))
    points = np.unique(np.concatenate([middles, suggest(rgb, middles, field.mpp).points]), axis=0)
    return (without_network(field, points) > 0) | (given.clean > 0)


def _middles(labels: Labels) -> NDArray[np.float64]:
    """Of each nucleus, (n, 2)."""
    ids = noise.ids_of(labels)
    return np.array(ndimage.center_of_mass(labels > 0, labels, ids)).reshape(-1, 2)


def deleted_found(given: Roughened, corrected: Labels) -> dict[str, float]:
    """Recall and precision of the nuclei that the rough masks lack.

    An added nucleus is one that shares less than half of its pixels with the rough masks and the
    accepted nuclei; it is right when it overlaps a deleted one with IoU above 0.5.
    """
    seen = (given.rough > 0) | (given.clean > 0)
    deleted = _mostly_outside(given.truth, seen)
    added = _mostly_outside(corrected, seen)
    pairs = np.stack([deleted.ravel(), added.ravel()])
    both = pairs[:, (pairs > 0).all(axis=0)]
    (a, b), shared = np.unique(both, axis=1, return_counts=True)
    sizes = np.bincount(deleted.ravel()), np.bincount(added.ravel())
    iou = shared / (sizes[0][a] + sizes[1][b] - shared)
    right = int((iou > FOUND_IOU).sum())
    wanted, found = len(noise.ids_of(deleted)), len(noise.ids_of(added))
    return {"recall": right / max(wanted, 1), "precision": right / max(found, 1)}


def _mostly_outside(labels: Labels, seen: Mask) -> Labels:
    """The labels with less than half of their pixels in `seen`; scraps left out."""
    size = np.bincount(labels.ravel())
    inside = np.bincount(labels[seen].ravel(), minlength=len(size))
    kept = (inside < size / 2) & (size >= MIN_SIZE)
    kept[0] = False
    return np.where(kept[labels], labels, 0).astype(np.int32)
