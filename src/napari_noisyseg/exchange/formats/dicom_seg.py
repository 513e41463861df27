"""DICOM Segmentation (SEG): a mask for each class of nuclei."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.formats.dicom_source import (
    TILE,
    algorithm,
    equipment,
    label,
    source_of,
    uid,
)
from napari_noisyseg.exchange.formats.format import Format, has_our_mark, per_image
from napari_noisyseg.exchange.formats.labels import WHOLE_PIXELS
from napari_noisyseg.exchange.formats.rows import UNNAMED, colors
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.slides import without_gaps

# not .dcm alone, so that annotations of the same image may lie beside it
ENDING = ".seg.dcm"


def _write(image: ExportedImage, path: Path) -> None:
    from highdicom.seg import Segmentation

    height, width = image.shape
    if height * width > WHOLE_PIXELS:
        raise NoisySegError(
            f"{image.record.name} is {width} x {height} pixels, too many for one DICOM "
            "segmentation: choose dicom (annotations), labels or geojson"
        )
    names, segments = _segments(image)
    document = Segmentation(
        source_images=[source_of(image.record)],
        pixel_array=segments[np.newaxis],
        # one bit for each class, which every viewer reads; label maps are too new for many
        segmentation_type="BINARY",
        segment_descriptions=_descriptions(image, names),
        series_instance_uid=uid(image.record, "segmentation"),
        series_number=2,
        sop_instance_uid=uid(image.record, path.name, str(uuid.uuid4())),
        instance_number=1,
        content_label="NUCLEI",
        content_description=label(f"Nuclei of {image.record.name}"),
        tile_pixel_array=True,
        tile_size=(TILE, TILE),
        **equipment(),
    )
    with path.open("wb") as file:
        document.save_as(file, enforce_file_format=True)


def _segments(image: ExportedImage) -> tuple[list[str | None], NDArray[np.uint16]]:
    """The classes that have a pixel, and for each pixel 0 or the place of its class from 1 on."""
    values, masks = without_gaps(image.labels())
    class_of = {
        serial: name
        for nuclei in image.in_order()
        for serial, name in zip(nuclei.serials, nuclei.classes, strict=True)
    }
    # the first value is the background
    found = [class_of[value] for value in values[1:].tolist()]
    names = list(dict.fromkeys(found))
    number = {name: k for k, name in enumerate(names, start=1)}
    table = np.zeros(len(found) + 1, np.uint16)
    table[1:] = [number[name] for name in found]
    return names, table[masks]


def _descriptions(image: ExportedImage, names: list[str | None]) -> list[Any]:
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    pens, made_by = colors(image), algorithm()
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=label(name or "nuclei"),
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.Nucleus,
            algorithm_type="SEMIAUTOMATIC",
            algorithm_identification=made_by,
            tracking_uid=uid(image.record, "segment", name or ""),
            tracking_id=label(name or "nuclei"),
            display_color=CIELabColor.from_rgb(*pens.get(name or "", UNNAMED)),
        )
        for number, name in enumerate(names, start=1)
    ]


FORMAT = Format(
    name="dicom-seg",
    title="DICOM segmentation (SEG)",
    holds="a mask for each class",
    loses="Nuclei of one class that touch become one mask; ids, decisions and scores are left out. "
    "DICOM annotations keep single nuclei.",
    ending=ENDING,
    write=per_image(ENDING, _write),
    is_ours=has_our_mark,
    needs=("highdicom", "dicom"),
    refusal="DICOM segmentations are only written; save the mask as a label image (TIFF or PNG)",
)
