from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import content_hash, fingerprint


def test_small_files_are_hashed_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"tissue")
    assert content_hash(tmp_path / "a") == hashlib.sha256(b"tissue").hexdigest()


def test_large_files_are_hashed_by_size_and_three_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "WHOLE", 100)
    monkeypatch.setattr(fingerprint, "PIECE", 10)
    path = tmp_path / "slide"
    content = bytearray(i % 251 for i in range(1001))

    def hash_with(at: int) -> str:
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(changed)
        return content_hash(path)

    path.write_bytes(content)
    own = content_hash(path)
    assert all(hash_with(at) != own for at in (0, 9, 500, 991, 1000))
    assert hash_with(200) == own
    path.write_bytes(content + b"x" * 10)
    assert content_hash(path) != own


def test_a_moved_folder_keeps_its_hash(tmp_path: Path) -> None:
    for name in ("a.zarr", "ü/b.zarr"):
        (tmp_path / name / "0").mkdir(parents=True)
        (tmp_path / name / "zarr.json").write_text("{}")
        (tmp_path / name / "0" / "chunk").write_bytes(b"12")
    first, second = tmp_path / "a.zarr", tmp_path / "ü/b.zarr"
    assert content_hash(first) == content_hash(second)
    (second / "zarr.json").write_text("[]")
    assert content_hash(first) != content_hash(second)


@pytest.mark.parametrize("beside", [".DS_Store", "._a", "Thumbs.db", "labels/nuclei/zarr.json"])
def test_labels_and_droppings_leave_a_folders_hash(tmp_path: Path, beside: str) -> None:
    folder = tmp_path / "a.zarr"
    (folder / "0").mkdir(parents=True)
    (folder / "zarr.json").write_text("{}")
    (folder / ".zattrs").write_text("{}")
    (folder / "0" / "c").write_bytes(b"12")
    before = content_hash(folder)
    (folder / beside).parent.mkdir(parents=True, exist_ok=True)
    (folder / beside).write_text("new")
    assert content_hash(folder) == before
    (folder / "0" / "d").write_bytes(b"3")
    assert content_hash(folder) != before


def test_a_mirax_slide_is_hashed_with_its_index(tmp_path: Path) -> None:
    (tmp_path / "a.mrxs").write_bytes(b"jpeg")
    alone = content_hash(tmp_path / "a.mrxs")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Slidedat.ini").write_text("[GENERAL]")
    assert content_hash(tmp_path / "a.mrxs") != alone


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match=r"there is no file .*gone"):
        content_hash(tmp_path / "gone")
