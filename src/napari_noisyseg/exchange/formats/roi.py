"""ImageJ ROIs: a zip with one for each nucleus, or a single .roi file.

Coordinates are corner-based, as the wand draws them. Nuclei with holes or in parts are composite.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.formats.format import Format, per_image
from napari_noisyseg.exchange.formats.rows import (
    FARTHEST,
    Row,
    check_vertices,
    colors,
    rows,
    told_shape,
)
from napari_noisyseg.exchange.marks import MADE_BY
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.shapes import Color, Shape, passed_over

ENDING = ".zip"
MAX_BYTES = 512 * 2**20
MAX_ROIS = 1_000_000
MAX_ROI_BYTES = 16 * 2**20
MOVE, LINE, CLOSE = 0.0, 1.0, 4.0
"""Steps of the path of a composite ROI."""
CLASS = "class"


# --- writing ---------------------------------------------------------------------------------


def _write(image: ExportedImage, path: Path) -> None:
    pens = colors(image)
    groups = {name: k for k, name in enumerate(pens, start=1)}
    with path.open("wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = MADE_BY.encode()
        for row in rows(image):
            roi = _roi(row)
            roi.name = f"{row.serial:06d}"
            words = row.told() | ({} if row.class_name is None else {CLASS: row.class_name})
            roi.props = "".join(f"{key}: {_escaped(value)}\n" for key, value in words.items())
            if row.class_name is not None:
                # ImageJ keeps the group in one byte; the class itself is in the properties
                roi.group = min(groups[row.class_name], 255)
                roi.stroke_color = bytes([255, *pens[row.class_name]])
            # without a time, so that the same nuclei make the same file
            member = zipfile.ZipInfo(f"{roi.name}.roi")
            archive.writestr(member, roi.tobytes(), zipfile.ZIP_DEFLATED)


def _roi(row: Row) -> Any:
    from roifile import ROI_TYPE, ImagejRoi

    rings = [ring for polygon in row.polygons for ring in polygon]
    # TRACED has its corners on pixel corners, as ours are; only composites can hold several rings
    if len(rings) == 1:
        roi = ImagejRoi.frompoints(rings[0][:-1].astype(np.int64), name="")
        roi.roitype = ROI_TYPE.TRACED
        return roi
    path: list[float] = []
    for ring in rings:
        for k, (x, y) in enumerate(ring[:-1].tolist()):
            path += [LINE if k else MOVE, x, y]
        path.append(CLOSE)
    box = row.box
    return ImagejRoi(
        roitype=ROI_TYPE.RECT, top=box.y0, left=box.x0, bottom=box.y1, right=box.x1,
        shape_roi_size=len(path), multi_coordinates=np.array(path, np.float32),
    )  # fmt: skip


def _escaped(text: str) -> str:
    """As Java writes properties, which ImageJ reads: plain ASCII."""
    plain = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    units = plain.encode("utf-16-be")
    codes = (int.from_bytes(units[k : k + 2], "big") for k in range(0, len(units), 2))
    return "".join(chr(code) if 32 <= code < 127 else f"\\u{code:04x}" for code in codes)


def _unescaped(text: str) -> str:
    def letter(found: re.Match[str]) -> str:
        code = found[1]
        if len(code) == 5:
            return chr(int(code[1:], 16))
        return {"n": "\n", "r": "\r", "t": "\t"}.get(code, code)

    halves = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", letter, text)
    return halves.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


# --- reading ---------------------------------------------------------------------------------


def read(path: Path, image: str) -> Sequence[Shape]:
    """Areas and points of a .zip or .roi file. Raises `NoisySegError` naming the ROI."""
    found = [_shape(data, f"{path}, {name}") for name, data in _files(path)]
    check_vertices((ring for s in found for p in s.polygons for ring in p), path)
    return found


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    data = regular_file.read_bytes(path, MAX_BYTES)
    if not data.startswith(b"PK"):
        yield path.name, data
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if len(members) > MAX_ROIS or size > MAX_BYTES:
                raise NoisySegError(
                    f"{path} has {len(members):,} files of {size:,} bytes, more than are read at "
                    "once: save it in parts"
                )
            for member in members:
                if member.filename.lower().endswith(".roi"):
                    with archive.open(member) as file:
                        yield member.filename, file.read(MAX_ROI_BYTES)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, OSError,
            EOFError, ValueError) as error:  # fmt: skip
        raise NoisySegError(f"{path} is a damaged zip ({error}): save the ROIs again") from error


def _shape(data: bytes, where: str) -> Shape:
    """An area or points; lines, texts and the like are passed over."""
    from roifile import ROI_TYPE, ImagejRoi

    areas = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT, ROI_TYPE.OVAL)
    try:
        roi = ImagejRoi.frombytes(data)
        if roi.roitype != ROI_TYPE.POINT and roi.roitype not in areas:
            return passed_over(where, "ROIs that are neither areas nor points (lines, texts)")
        rings = [np.asarray(ring, float).reshape(-1, 2) for ring in roi.coordinates(multi=True)]
    # the reader fails in many different ways on bytes of strangers
    except Exception as error:
        raise NoisySegError(f"{where} is not an ROI of ImageJ ({error}): save it again") from error
    rings = [ring for ring in rings if len(ring)]
    if not rings or not all(np.isfinite(r).all() and np.abs(r).max() <= FARTHEST for r in rings):
        raise NoisySegError(f"{where} has coordinates that are not in an image")
    told, color = _told(roi.props), _color(roi.stroke_color)
    name = told.get(CLASS)
    if roi.roitype == ROI_TYPE.POINT:
        # points without fractions name a pixel; with fractions they count from its corner
        middle = 0.5 if roi.subpixel_coordinates is not None else 0.0
        places = rings[0][:, ::-1] - middle
        return Shape("point", places, (), name, None, "annotation", where, color)
    closed = [r if (r[0] == r[-1]).all() else np.vstack([r, r[:1]]) for r in rings]
    return told_shape([tuple(closed)] if closed else [], where, name, color, told)


def _told(props: str) -> Mapping[str, str]:
    pairs = (line.split(": ", 1) for line in props.splitlines() if ": " in line)
    return {key: _unescaped(value) for key, value in pairs}


def _color(argb: bytes) -> Color | None:
    return (argb[1], argb[2], argb[3]) if argb[0] else None


def _is_ours(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment.startswith(MADE_BY.split()[0].encode())
    except (zipfile.BadZipFile, OSError):
        return False


FORMAT = Format(
    name="roi",
    title="ImageJ ROI zip",
    holds="an ROI for each nucleus, with class, score and state as properties",
    ending=ENDING,
    read_endings=(".roi",),
    write=per_image(ENDING, _write),
    shapes=read,
    is_ours=_is_ours,
    needs=("roifile", "formats"),
)
