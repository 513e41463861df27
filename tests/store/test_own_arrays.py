"""A stranger's project: its arrays run no code, eat no memory, and lead nowhere else."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, ZstdCodec

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project

RAN: list[str] = []


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return RAN.append, ("ran",)


class Careless(numcodecs.Pickle):
    """As numcodecs was before it refused: it unpickles whatever it is given."""

    def decode(self, buf: object, out: object = None) -> np.ndarray:
        return np.array(pickle.loads(bytes(buf)), object)  # type: ignore[arg-type]


def level(project: Project) -> Path:
    """A label image's finest level."""
    project.labels.write("tissue", "refined", np.ones((512, 512), np.int32))
    return project.path / "images" / "tissue" / "labels" / "refined" / "0"


def test_no_array_of_a_project_is_unpickled(
    tissue: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = level(tissue)
    shutil.rmtree(place)
    place.mkdir()
    filters = [{"id": "pickle", "protocol": 5}]
    meta = {
        "zarr_format": 2, "shape": [512, 512], "chunks": [512, 512], "dtype": "|O", "order": "C",
        "compressor": None, "fill_value": 0, "filters": filters, "dimension_separator": ".",
    }  # fmt: skip
    (place / ".zarray").write_text(json.dumps(meta), "utf-8")
    (place / "0.0").write_bytes(pickle.dumps(Bomb()))
    monkeypatch.setitem(numcodecs.registry.codec_registry, "pickle", Careless)
    with pytest.raises(NoisySegError, match="cannot read refined"):
        tissue.labels.read("tissue", "refined")
    with pytest.raises(NoisySegError, match="cannot read refined"):
        tissue.labels.levels("tissue", "refined")
    assert RAN == []


@pytest.mark.parametrize(
    "codecs",
    [{"compressors": c} for c in ([BloscCodec()], None, [ZstdCodec()] * 2)],
    ids=["blosc", "none", "twice"],
)  # fmt: skip
def test_only_our_own_codecs_are_opened(tissue: Project, codecs: dict[str, object]) -> None:
    place = level(tissue)
    shutil.rmtree(place)
    array = zarr.create_array(
        place, shape=(512, 512), chunks=(512, 512), dtype="i4",
        **codecs,  # type: ignore[arg-type]
    )  # fmt: skip
    array[:] = 5
    for read in (tissue.labels.read, tissue.labels.levels):
        with pytest.raises(NoisySegError, match="not an array of this program"):
            read("tissue", "refined")
    with pytest.raises(NoisySegError, match="not an array of this program"):
        tissue.labels.write_box("tissue", "refined", Box(0, 0, 4, 4), np.ones((4, 4), np.int32))


FRAME = bytes(numcodecs.Zstd(level=19).encode(bytes(2_000_000)))
BOMBS = {
    "one frame": bytes(numcodecs.Zstd(level=19).encode(bytes(200_000_000))),
    "many frames": FRAME * 100,
    "skipped": b"\x50\x2a\x4d\x18\4\0\0\0abcd" + FRAME * 2,
}


@pytest.mark.parametrize("bomb", list(BOMBS))
def test_a_chunk_that_unpacks_to_more_than_a_chunk_is_refused(tissue: Project, bomb: str) -> None:
    place = level(tissue)
    chunk = place / "c" / "0" / "0"
    chunk.write_bytes(BOMBS[bomb])
    with pytest.raises(NoisySegError, match="damaged, or more than") as caught:
        tissue.labels.read("tissue", "refined")
    assert "make it again" in str(caught.value)
    with pytest.raises(NoisySegError, match="damaged, or more than"):
        tissue.labels.write_box("tissue", "refined", Box(0, 0, 4, 4), np.ones((4, 4), np.int32))
    assert chunk.read_bytes() == BOMBS[bomb]


def test_a_level_of_another_size_is_refused(tissue: Project) -> None:
    place = level(tissue)
    meta = json.loads((place / "zarr.json").read_text("utf-8"))
    meta["shape"] = [2_000_000, 2_000_000]
    (place / "zarr.json").write_text(json.dumps(meta), "utf-8")
    with pytest.raises(NoisySegError, match="damaged"):
        tissue.labels.read("tissue", "refined")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are POSIX's")
class TestLinks:
    def test_a_pipe_in_place_of_a_file_does_not_hang(self, tissue: Project) -> None:
        place = level(tissue)
        for file in (place / "c" / "0" / "0", place / "zarr.json"):
            file.unlink()
            os.mkfifo(file)
            with pytest.raises(NoisySegError, match="not a plain file"):
                tissue.labels.read("tissue", "refined")

    def test_an_endless_file_is_not_read(self, tissue: Project) -> None:
        place = level(tissue)
        (place / "c" / "0" / "0").unlink()
        (place / "c" / "0" / "0").symlink_to("/dev/zero")
        with pytest.raises(NoisySegError, match="not a plain file"):
            tissue.labels.read("tissue", "refined")

    @pytest.mark.parametrize("where", ["labels", "labels/refined", "labels/refined/0/c"])
    def test_nothing_is_written_or_deleted_behind_a_link(
        self, tissue: Project, tmp_path: Path, where: str
    ) -> None:
        level(tissue)
        inside = tissue.path / "images" / "tissue" / where
        outside = tmp_path / "elsewhere"
        inside.rename(outside)
        inside.symlink_to(outside, target_is_directory=True)
        before = {p: p.read_bytes() for p in outside.rglob("*") if p.is_file()}
        tiny, whole = np.full((4, 4), 9, np.int32), np.full((512, 512), 9, np.int32)
        acts = [
            lambda: tissue.labels.write_box("tissue", "refined", Box(0, 0, 4, 4), tiny),
            lambda: tissue.labels.write("tissue", "refined", whole),
            lambda: tissue.labels.remove("tissue", "refined"),
        ]
        for act in acts if where != "labels/refined/0/c" else acts[:1]:
            with pytest.raises(NoisySegError, match="is a link to elsewhere"):
                act()
        assert before == {p: p.read_bytes() for p in outside.rglob("*") if p.is_file()}
        assert tissue.labels.read("tissue", "refined") is not None
