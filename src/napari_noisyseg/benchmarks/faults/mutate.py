"""Damage and malice: a sound file or folder, changed at random, by a seed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

LARGEST = 2**26
"""Bytes of a file that is changed; a giant stays one."""
ODD_NUMBERS = (0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63, 2**64)
ODD_VALUES: tuple[Any, ...] = (
    None, True, "", "x" * 100_000, "\ud800", "\x1b[2J", "../../x", "/dev/zero", "\0", [], {}, [[]],
    -1, 0, 0.5, 1e308, float("inf"), float("nan"), 10**30, 10**400, 2**31, 2**63, -(2**63),
    {"a": None}, [None], [1e400], "NaN", "=HYPERLINK(1)",
)  # fmt: skip
UNFIT = (struct.error, ValueError, IndexError, KeyError, TypeError, AttributeError)
JSON_NAMES = (".json", ".geojson", ".zattrs", ".zarray", ".zgroup")


def mutate(path: Path, rng: random.Random) -> None:
    """Change a file, or something in a folder, in place."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if path.is_dir():
            _in_folder(path, rng)
        else:
            _file(path, rng)


def _in_folder(folder: Path, rng: random.Random) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    # text first: pixels are many and alike
    known = [p for p in files if p.suffix in (".json", ".jsonl", ".sqlite", ".npz", ".safetensors")]
    if not files:
        return
    chosen = rng.choice(known if known and rng.random() < 0.8 else files)
    if rng.random() < 0.2:
        rng.choice((_gone, _empty, _pipe, _device, _directory, _giant, _loop))(chosen, rng)
    else:
        _file(chosen, rng)


def _gone(path: Path, rng: random.Random) -> None:
    path.unlink()


def _empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def _pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice(("/dev/zero", "/dev/null", "/dev/tty", "/proc/self/mem")))


def _directory(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _giant(path: Path, rng: random.Random) -> None:
    with path.open("r+b") as file:
        file.truncate(2**31)


def _loop(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(path)


def _file(path: Path, rng: random.Random) -> None:
    if not path.is_file() or path.stat().st_size > LARGEST:
        return
    if path.suffix == ".sqlite" and rng.random() < 0.8:
        _database(path, rng)
        return
    data = path.read_bytes()
    structured, changed = _structured(path), None
    if structured and rng.random() < 0.75:
        # what was damaged before may have no structure any more
        with contextlib.suppress(
            struct.error, ValueError, IndexError, KeyError, TypeError, AttributeError
        ):
            changed = structured(data, rng)
    path.write_bytes(_bytes(data, rng) if changed is None else changed)


def _structured(path: Path) -> Callable[[bytes, random.Random], bytes | None] | None:
    name = path.name
    if name.endswith(JSON_NAMES):
        return _json
    return {
        ".jsonl": _lines, ".csv": _table, ".tif": _tiff, ".svs": _tiff, ".png": _png,
        ".npz": _npz, ".safetensors": _safetensors, ".vms": _table,
    }.get(path.suffix)  # fmt: skip


# --- bytes ---------------------------------------------------------------------------------------


def _bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if not changed:
            break
        at = rng.randrange(min(len(changed), rng.choice((64, 1024, 2**40))))
        match rng.randrange(6):
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at:]
            case 2:
                del changed[at : at + rng.randrange(1, 64)]
            case 3:
                changed[at:at] = rng.randbytes(rng.randrange(1, 64))
            case 4:
                length = rng.choice((1, 2, 4, 8))
                changed[at : at + length] = (rng.choice(ODD_NUMBERS) % 256**length).to_bytes(
                    length, rng.choice(("little", "big"))
                )
            case _:
                changed[at:at] = changed[at : at + rng.randrange(1, 4096)]
    return bytes(changed)


# --- text ----------------------------------------------------------------------------------------


def _json(data: bytes, rng: random.Random) -> bytes | None:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if rng.random() < 0.05:
        depth = rng.choice((50, 100, 5_000, 200_000))
        return b"[" * depth + b"]" * depth
    return json.dumps(changed_document(document, rng)).encode("utf-8", "surrogatepass")


def changed_document(document: Any, rng: random.Random) -> Any:
    """A JSON document with something in it replaced, left out or doubled."""
    if not isinstance(document, (dict, list)) or not document or rng.random() < 0.1:
        return rng.choice(ODD_VALUES)
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = rng.choice(keys)
    if rng.random() < 0.1:
        del document[key]
    elif isinstance(document, list) and rng.random() < 0.1:
        document.extend(document[:1] * rng.choice((1, 3, 1000)))
    else:
        document[key] = changed_document(document[key], rng)
    return document


def _lines(data: bytes, rng: random.Random) -> bytes | None:
    lines = data.splitlines(keepends=True)
    if not lines:
        return None
    at = rng.randrange(len(lines))
    changed = _json(lines[at], rng)
    if changed is not None:
        lines[at] = changed + b"\n"
    if rng.random() < 0.1:
        lines *= rng.choice((2, 1000))
    return b"".join(lines)


def _table(data: bytes, rng: random.Random) -> bytes | None:
    rows = [line.split(b",") for line in data.splitlines()]
    row = rng.choice(rows)
    odd = rng.choice(ODD_VALUES)
    text = odd if isinstance(odd, str) else json.dumps(odd)
    row[rng.randrange(len(row))] = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        rows *= rng.choice((2, 5000))
    return rng.choice((b"\n", b"\r\n", b"\r")).join(b",".join(row) for row in rows)


# --- images --------------------------------------------------------------------------------------


def _tiff(data: bytes, rng: random.Random) -> bytes | None:
    """A field of a tag of a page gets another value; or a page points to an earlier one."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    offset = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    changed, pages = bytearray(data), list[int]()
    head, entry, number = ("Q", 20, "Q") if big else ("H", 12, "I")
    while offset and offset not in pages and offset + 8 < len(data) and len(pages) < 64:
        pages.append(offset)
        count = struct.unpack_from(order + head, data, offset)[0]
        end = offset + struct.calcsize(head) + entry * count
        if end + struct.calcsize(number) > len(data):
            return None
        offset = struct.unpack_from(order + number, data, end)[0]
        if rng.random() < 0.05:
            struct.pack_into(order + number, changed, end, rng.choice(pages))
        for _ in range(rng.choice((0, 1, 1, 3))):
            at = pages[-1] + struct.calcsize(head) + entry * rng.randrange(max(count, 1))
            field, form = rng.choice(((0, "H"), (2, "H"), (4, number), (entry - 4, "I")))
            top = 256 ** struct.calcsize(order + form)
            value = rng.choice((*ODD_NUMBERS, rng.randrange(64), rng.randrange(len(data))))
            struct.pack_into(order + form, changed, at + field, value % top)
    return bytes(changed)


def _png(data: bytes, rng: random.Random) -> bytes | None:
    """A byte of a chunk is changed, and its checksum mended."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], bytearray(data[at + 8 : at + 8 + length])))
        at += 12 + length
    kind, body = chunks[0] if rng.random() < 0.5 else rng.choice(chunks)
    if body:
        if kind == b"IHDR" and rng.random() < 0.5:
            struct.pack_into(">I", body, rng.choice((0, 4)), rng.choice(ODD_NUMBERS) % 2**32)
        else:
            body[rng.randrange(len(body))] = rng.randrange(256)
    written = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:8] + written


# --- arrays, models, the database ----------------------------------------------------------------


def _npz(data: bytes, rng: random.Random) -> bytes | None:
    """An array's header tells another shape or type, or an array has another name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        return None
    name = rng.choice(list(members))
    match rng.randrange(4):
        case 0:
            members[rng.choice(("x.npy", "../x.npy", "labels.npy"))] = members.pop(name)
        case 1:
            members[name] = _bytes(members[name], rng)
        case 2:
            shape = rng.choice((b"(10**9,)", b"(2**40, 2)", b"(-1, 3)", b"()", b"(0, 5)", b"'x'"))
            members[name] = _with_header(members[name], b"'shape': ", b"}", shape)
        case _:
            kind = rng.choice((b"'|O'", b"'<f8'", b"'|S9'", b"'<M8[s]'", b"'<c16'", b"'>i8'"))
            members[name] = _with_header(members[name], b"'descr': ", b",", kind)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((0, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _with_header(array: bytes, before: bytes, after: bytes, value: bytes) -> bytes:
    length = int.from_bytes(array[8:10], "little")
    header, rest = array[10 : 10 + length].rstrip(), array[10 + length :]
    start = header.find(before) + len(before)
    end = header.find(after, start)
    made = header[:start] + value + header[end:]
    made = made.ljust(length - 1)[: max(length - 1, len(made))] + b"\n"
    return array[:8] + len(made).to_bytes(2, "little") + made + rest


def _safetensors(data: bytes, rng: random.Random) -> bytes | None:
    """The header is changed, also inside the texts of JSON that it holds; or the numbers are."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        return None
    body = bytearray(data[8 + length :])
    if rng.random() < 0.3 and body:
        at = rng.randrange(0, len(body) - 3, 4)
        body[at : at + 4] = struct.pack("<f", rng.choice((float("nan"), float("inf"), 1e38)))
    elif rng.random() < 0.6 and header.get("__metadata__"):
        about = header["__metadata__"]
        key = rng.choice(list(about))
        about[key] = _changed_text(about[key], rng)
    else:
        header = changed_document(header, rng)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + bytes(body)


def _changed_text(text: str, rng: random.Random) -> str:
    try:
        return json.dumps(changed_document(json.loads(text), rng))
    except (ValueError, RecursionError):
        return str(rng.choice(ODD_VALUES))


def _database(path: Path, rng: random.Random) -> None:
    """A cell of the project's database gets another value, of another type as well."""
    connection = sqlite3.connect(path)
    try:
        tables = [
            r[0] for r in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        table = rng.choice([t for t in tables if not t.startswith("sqlite_")])
        names = [r[1] for r in connection.execute(f"PRAGMA table_info('{table}')")]
        odd = rng.choice((*ODD_VALUES, b"\x00\xff" * 9, rng.randbytes(40)))
        if isinstance(odd, (list, dict)) or (isinstance(odd, int) and abs(odd) >= 2**63):
            odd = json.dumps(odd)
        if isinstance(odd, str):
            odd = odd.encode("utf-8", "replace").decode()
        where = f"rowid = (SELECT rowid FROM '{table}' ORDER BY random() LIMIT 1)"
        if rng.random() < 0.3 or table.endswith("_log"):
            where = "1"
        with connection:
            connection.execute(
                f"UPDATE OR IGNORE '{table}' SET \"{rng.choice(names)}\" = ? WHERE {where}", (odd,)
            )
        if rng.random() < 0.1:
            connection.execute(f"PRAGMA user_version = {rng.choice((0, 1, 3, 99, -1))}")
    # no database any more, or one without tables
    except (sqlite3.Error, IndexError):
        path.write_bytes(_bytes(path.read_bytes(), rng))
    finally:
        connection.close()
