"""DICOM Microscopy Bulk Simple Annotations (ANN): a group of polygons for each class."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg.exchange.formats.dicom_source import (
    algorithm,
    equipment,
    label,
    source_of,
    uid,
)
from napari_noisyseg.exchange.formats.format import Format, has_our_mark, per_image
from napari_noisyseg.exchange.formats.rows import UNNAMED, Row, colors, rows
from napari_noisyseg.exchange.nuclei import ExportedImage

ENDING = ".dcm"

SCHEME = "99NOISYSEG"


def _write(image: ExportedImage, path: Path) -> None:
    from highdicom.ann import MicroscopyBulkSimpleAnnotations

    document = MicroscopyBulkSimpleAnnotations(
        source_images=[source_of(image.record)],
        annotation_coordinate_type="2D",
        annotation_groups=_groups(image),
        series_instance_uid=uid(image.record, "annotations"),
        series_number=1,
        sop_instance_uid=uid(image.record, str(path.name), str(uuid.uuid4())),
        instance_number=1,
        content_label="NUCLEI",
        content_description=label(f"Nuclei of {image.record.name}"),
        **equipment(),
    )
    with path.open("wb") as file:
        document.save_as(file, enforce_file_format=True)


def _groups(image: ExportedImage) -> list[Any]:
    from highdicom.ann import AnnotationGroup
    from highdicom.color import CIELabColor
    from pydicom.sr.codedict import codes

    by_class: dict[str | None, list[Row]] = defaultdict(list)
    for row in rows(image):
        by_class[row.class_name].append(row)
    pens, groups = colors(image), []
    for number, (name, found) in enumerate(by_class.items(), start=1):
        # each part of a nucleus is a polygon; all have its measurements
        parts = [(row, polygon[0][:-1]) for row in found for polygon in row.polygons]
        groups.append(
            AnnotationGroup(
                number=number,
                uid=uid(image.record, "group", name or ""),
                label=label(name or "nuclei"),
                annotated_property_category=codes.SCT.AnatomicalStructure,
                annotated_property_type=codes.SCT.Nucleus,
                graphic_type="POLYGON",
                graphic_data=[corners.astype(np.float32) for _, corners in parts],
                algorithm_type="SEMIAUTOMATIC",
                algorithm_identification=algorithm(),
                measurements=_measurements([row for row, _ in parts], image.record.mpp),
                display_color=CIELabColor.from_rgb(*pens.get(name or "", UNNAMED)),
            )
        )
    return groups


def _measurements(found: Sequence[Row], mpp: float) -> list[Any]:
    from highdicom.ann import Measurements
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    number = CodedConcept("label", SCHEME, "Number of the nucleus")
    score = CodedConcept("score", SCHEME, "Confidence of the nucleus, 0 to 1")
    one = codes.UCUM.NoUnits
    scores = [np.nan if row.score is None else row.score for row in found]
    measured = [
        Measurements(
            codes.SCT.Area,
            np.array([row.area * mpp**2 for row in found]),
            codes.UCUM.SquareMicrometer,
        ),
        Measurements(number, np.array([float(row.serial) for row in found]), one),
    ]
    if not np.isnan(scores).all():
        measured.append(Measurements(score, np.array(scores), one))
    return measured


FORMAT = Format(
    name="dicom",
    title="DICOM annotations (ANN)",
    holds="a group of polygons for each class, with area and score",
    loses="Holes are filled, and each part of a nucleus is a separate polygon.",
    ending=ENDING,
    write=per_image(ENDING, _write),
    is_ours=has_our_mark,
    needs=("highdicom", "dicom"),
    refusal="DICOM annotations are only written; export GeoJSON from the program they come from",
)
