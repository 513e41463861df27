"""What the DICOM formats share: the image that they refer to, UIDs, and what made them.

A DICOM file refers to an image by its UIDs. An image that was not a DICOM file has none, so they
are made from its content: the same image has the same UIDs in every export, and so annotations and
segmentations of it belong together in a viewer.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from napari_noisyseg import __version__
from napari_noisyseg.exchange.marks import MADE_BY
from napari_noisyseg.store import ImageRecord

UIDS = uuid.UUID("0e1c9a52-5f6b-4a8e-9c8e-6f9f4c1f0a77")
"""The name space in which UIDs are made."""
SLIDE_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""VL Whole Slide Microscopy Image Storage."""
TEXT = "ISO_IR 192"
"""UTF-8."""
LABEL = 64
"""Letters of a label (value representation LO)."""
TILE = 512
"""Side of the frames of a whole slide image, px."""


def uid(record: ImageRecord, *words: str) -> str:
    """A UID for this image and these words, the same every time."""
    name = uuid.uuid5(UIDS, " ".join([record.sha, record.name, *words]))
    return f"2.25.{name.int}"


def source_of(record: ImageRecord) -> Any:
    """The image as a pydicom Dataset of a whole slide microscopy image, without any patient."""
    from pydicom.dataset import Dataset

    source = Dataset()
    source.SpecificCharacterSet = TEXT
    source.SOPClassUID = SLIDE_IMAGE
    source.SOPInstanceUID = uid(record, "image")
    source.SeriesInstanceUID = uid(record, "series")
    source.StudyInstanceUID = uid(record, "study")
    source.FrameOfReferenceUID = uid(record, "frame")
    source.Modality = "SM"
    source.StudyID = ""
    now = datetime.now()
    source.StudyDate, source.StudyTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"):
        setattr(source, name, "")
    _place(source, record)
    return source


def _place(source: Any, record: ImageRecord) -> None:
    """Where its pixels lie on the slide: x to the right, y down, from its first pixel, in mm."""
    from pydicom.dataset import Dataset

    source.Rows = source.Columns = TILE
    source.NumberOfFrames = -(-record.height // TILE) * -(-record.width // TILE)
    source.TotalPixelMatrixRows, source.TotalPixelMatrixColumns = record.height, record.width
    source.TotalPixelMatrixFocalPlanes = 1
    source.DimensionOrganizationType = "TILED_FULL"
    source.ImageOrientationSlide = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem = origin.YOffsetInSlideCoordinateSystem = 0.0
    origin.ZOffsetInSlideCoordinateSystem = 0.0
    source.TotalPixelMatrixOriginSequence = [origin]
    measures = Dataset()
    measures.PixelSpacing = [record.mpp / 1000] * 2
    # the standard asks for a thickness, which nobody measured: that of a pixel
    measures.SliceThickness = record.mpp / 1000
    groups = Dataset()
    groups.PixelMeasuresSequence = [measures]
    source.SharedFunctionalGroupsSequence = [groups]


def equipment() -> dict[str, Any]:
    """What made the file, as highdicom's documents take it."""
    return {
        "manufacturer": MADE_BY,
        "manufacturer_model_name": MADE_BY.split()[0],
        "software_versions": __version__,
        "device_serial_number": "0",
        "specific_character_set": TEXT,
    }


def algorithm() -> Any:
    """What found the nuclei, as highdicom's AlgorithmIdentificationSequence."""
    from highdicom import AlgorithmIdentificationSequence
    from pydicom.sr.codedict import codes

    return AlgorithmIdentificationSequence(
        name=MADE_BY.split()[0], family=codes.DCM.ArtificialIntelligence, version=__version__
    )


def label(words: str) -> str:
    """Words as DICOM has them: no backslash, which separates values there, and not many."""
    return words.replace("\\", "/")[:LABEL].strip()
