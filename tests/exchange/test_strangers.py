"""What programs of others write: what is read of it, and what is said of the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.annotation import read_masks, read_points

SQUARE = [[1, 1, 5, 1, 5, 4, 1, 4]]


def coco(tmp_path: Path, *drawn: dict[str, Any], **size: Any) -> Path:
    images = [{"id": 7, "file_name": "a.png", **size}]
    document = {"images": images, "annotations": [{"image_id": 7, **d} for d in drawn]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    return tmp_path / "a.json"


def runs(height: int, width: int) -> dict[str, Any]:
    return {"size": [height, width], "counts": [23, 3, height * width - 26]}


# of another size


@pytest.mark.parametrize("read", [read_masks, read_points])
def test_a_coco_of_an_image_of_another_size_is_refused(tmp_path: Path, read: Any) -> None:
    words = "annotation 1 is of an image of 15 x 10 pixels but its image is 30 x 20: .*full size"
    for path in (
        coco(tmp_path, {"segmentation": runs(10, 15)}),
        coco(tmp_path, {"segmentation": SQUARE}, width=15, height=10),
        coco(tmp_path, {"segmentation": runs(10, 15), "iscrowd": 1}, width=30, height=20),
    ):
        with pytest.raises(NoisySegError, match=words):
            read(path, (20, 30))


@pytest.mark.parametrize(
    "size",
    [
        {},
        {"width": 30.0, "height": 20.0},
        {"width": 0, "height": 0},
        {"width": None, "height": "?"},
        {"width": 40},
    ],
)
def test_a_coco_that_says_no_size_or_the_right_one_is_read(
    tmp_path: Path, size: dict[str, Any]
) -> None:
    path = coco(tmp_path, {"segmentation": SQUARE}, {"segmentation": runs(20, 30)}, **size)
    assert len(read_masks(path, (20, 30)).outlines) == 2


# what is passed over


def test_crowds_of_coco_are_told(tmp_path: Path) -> None:
    crowd = {"segmentation": runs(20, 30), "iscrowd": 1}
    mixed = coco(tmp_path, {"segmentation": SQUARE}, crowd, crowd)
    words = "2 outlines marked iscrowd .*set iscrowd to 0 where each is one nucleus.* were left out"
    assert re.search(words, read_masks(mixed, (20, 30)).note)
    alone = coco(tmp_path, crowd, crowd)
    with pytest.raises(NoisySegError, match=f"holds no nuclei .*{words}.*nothing was imported"):
        read_masks(alone, (20, 30))
    with pytest.raises(NoisySegError, match=f"holds no points .*{words}"):
        read_points(alone, (20, 30))
