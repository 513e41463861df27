"""A whole slide in DICOM, a file for each level, of real pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage, generate_uid

SIDE = 128


def write_series(folder: Path, rgb: NDArray[np.uint8], mpp: float, steps: tuple[int, ...]) -> None:
    """Write `1.dcm`, `2.dcm`, ... into a folder, each level every n-th pixel of RGB (H, W, 3)."""
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for number, step in enumerate(steps, 1):
        level = np.ascontiguousarray(rgb[::step, ::step])
        image = _level(level, mpp * step, number)
        image.SeriesInstanceUID, image.StudyInstanceUID = series, study
        image.FrameOfReferenceUID = frame
        first = ("ORIGINAL", "NONE") if step == 1 else ("DERIVED", "RESAMPLED")
        image.ImageType = [first[0], "PRIMARY", "VOLUME", first[1]]
        image.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def _level(rgb: NDArray[np.uint8], mpp: float, number: int) -> Dataset:
    height, width = rgb.shape[:2]
    frames = [
        _jpeg(rgb[y : y + SIDE, x : x + SIDE])
        for y in range(0, height, SIDE)
        for x in range(0, width, SIDE)
    ]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID = meta.MediaStorageSOPClassUID
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.Modality, image.InstanceNumber = "SM", number
    image.Rows = image.Columns = SIDE
    image.TotalPixelMatrixRows, image.TotalPixelMatrixColumns = height, width
    image.NumberOfFrames = len(frames)
    image.SamplesPerPixel, image.PlanarConfiguration = 3, 0
    image.PhotometricInterpretation = "YBR_FULL_422"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.DimensionOrganizationType = "TILED_FULL"
    image.NumberOfOpticalPaths = image.TotalPixelMatrixFocalPlanes = 1
    image.SharedFunctionalGroupsSequence = Sequence([_measures(mpp)])
    image.PixelData = encapsulate(frames)
    return image


def _measures(mpp: float) -> Dataset:
    spacing = Dataset()
    spacing.PixelSpacing = [mpp / 1000, mpp / 1000]
    groups = Dataset()
    groups.PixelMeasuresSequence = Sequence([spacing])
    return groups


def _jpeg(tile: NDArray[np.uint8]) -> bytes:
    full = np.full((SIDE, SIDE, 3), 255, np.uint8)
    full[: tile.shape[0], : tile.shape[1]] = tile
    file = io.BytesIO()
    Image.fromarray(full).save(file, "JPEG", quality=90, subsampling=1)
    return file.getvalue()
