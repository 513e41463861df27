"""DICOM Microscopy Bulk Simple Annotations (ANN): a group of polygons a class.

They refer to an image by its UIDs. An image that was no DICOM file has none, so UIDs are made from
its content: the same image has the same ones in every export.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg import __version__
from napari_noisyseg.exchange.formats.format import MADE_BY, Format, has_our_mark, per_image
from napari_noisyseg.exchange.formats.rows import UNNAMED, Row, colors, rows
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.store import ImageRecord

ENDING = ".dcm"
UIDS = uuid.UUID("0e1c9a52-5f6b-4a8e-9c8e-6f9f4c1f0a77")
"""What the UIDs are made in."""
SLIDE_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.6"
SCHEME = "99NOISYSEG"
LABEL = 64
"""Letters of a group's label."""


def _write(image: ExportedImage, path: Path) -> None:
    from highdicom.ann import MicroscopyBulkSimpleAnnotations

    source = _source(image.record)
    document = MicroscopyBulkSimpleAnnotations(
        source_images=[source],
        annotation_coordinate_type="2D",
        annotation_groups=_groups(image),
        series_instance_uid=_uid(image.record, "annotations"),
        series_number=1,
        sop_instance_uid=_uid(image.record, str(path.name), str(uuid.uuid4())),
        instance_number=1,
        manufacturer=MADE_BY,
        manufacturer_model_name=MADE_BY.split()[0],
        software_versions=__version__,
        device_serial_number="0",
        content_label="NUCLEI",
        content_description=_label(f"Nuclei of {image.record.name}"),
        specific_character_set="ISO_IR 192",
    )
    with path.open("wb") as file:
        document.save_as(file, enforce_file_format=True)


def _uid(record: ImageRecord, *words: str) -> str:
    name = uuid.uuid5(UIDS, " ".join([record.sha, record.name, *words]))
    return f"2.25.{name.int}"


def _source(record: ImageRecord) -> Any:
    """The image as DICOM would have it, with nothing about a patient."""
    from pydicom.dataset import Dataset

    source = Dataset()
    source.SpecificCharacterSet = "ISO_IR 192"
    source.SOPClassUID = SLIDE_IMAGE
    source.SOPInstanceUID = _uid(record, "image")
    source.SeriesInstanceUID = _uid(record, "series")
    source.StudyInstanceUID = _uid(record, "study")
    source.FrameOfReferenceUID = _uid(record, "frame")
    source.Modality = "SM"
    source.StudyID = ""
    now = datetime.now()
    source.StudyDate, source.StudyTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"):
        setattr(source, name, "")
    return source


def _groups(image: ExportedImage) -> list[Any]:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.ann import AnnotationGroup
    from highdicom.color import CIELabColor
    from pydicom.sr.codedict import codes

    by_class: dict[str | None, list[Row]] = defaultdict(list)
    for row in rows(image):
        by_class[row.class_name].append(row)
    pens, groups = colors(image), []
    algorithm = AlgorithmIdentificationSequence(
        name=MADE_BY.split()[0], family=codes.DCM.ArtificialIntelligence, version=__version__
    )
    for number, (name, found) in enumerate(by_class.items(), start=1):
        # each part of a nucleus is a polygon; all have its measurements
        parts = [(row, polygon[0][:-1]) for row in found for polygon in row.polygons]
        groups.append(
            AnnotationGroup(
                number=number,
                uid=_uid(image.record, "group", name or ""),
                label=_label(name or "nuclei"),
                annotated_property_category=codes.SCT.AnatomicalStructure,
                annotated_property_type=codes.SCT.Nucleus,
                graphic_type="POLYGON",
                graphic_data=[corners.astype(np.float32) for _, corners in parts],
                algorithm_type="SEMIAUTOMATIC",
                algorithm_identification=algorithm,
                measurements=_measurements([row for row, _ in parts], image.record.mpp),
                display_color=CIELabColor.from_rgb(*pens.get(name or "", UNNAMED)),
            )
        )
    return groups


def _label(words: str) -> str:
    """Words as DICOM has them: no backslash, which parts values there, and not many."""
    return words.replace("\\", "/")[:LABEL].strip()


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
    holds="a group of polygons a class, with area and score",
    loses="Holes are filled, and parts of a nucleus are polygons of their own.",
    ending=ENDING,
    write=per_image(ENDING, _write),
    is_ours=has_our_mark,
    needs=("highdicom", "dicom"),
    refusal="DICOM annotations are written only; export them as GeoJSON where they come from",
)
