"""CSV: a table of measurements is written, points are read."""

from __future__ import annotations

from napari_noisyseg.exchange import csv_points
from napari_noisyseg.exchange.formats.format import Format, per_image
from napari_noisyseg.exchange.measurements import is_csv, write_csv

ENDING = ".csv"

FORMAT = Format(
    name="csv",
    title="CSV table",
    holds="area, shape, stain and class of each nucleus",
    ending=ENDING,
    write=per_image(ENDING, write_csv),
    points=csv_points.read,
    is_ours=is_csv,
)
