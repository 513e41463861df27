"""Hostile input: every reader against files damaged at random, with time and memory watched."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import psutil

from . import monsters
from .child import WARM
from .corpus import Sample, build
from .mutate import mutate

SECONDS = 10.0
"""that a file may take"""
MEMORY = 2 * 2**30
"""bytes that the process may have"""
WAITING = 0.5
"""seconds of work in `SECONDS` below which it waits for something"""
STARTING = 300.0
AT_ONCE = 2
LEFTOVERS = (".new-", ".old-", ".part", ".partial", ".export-", ".draft")


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one input.

    outcome: read, refused (in words), internal, hang or memory. half: what was left half-written.
    """

    reader: str
    path: Path
    outcome: str
    words: str = ""
    seconds: float = 0.0
    peak: int = 0
    outside: tuple[str, ...] = ()
    half: tuple[str, ...] = ()

    @property
    def fault(self) -> bool:
        """Whether anything about it is as it must not be."""
        return self.outcome not in ("read", "refused") or bool(self.outside or self.half)


class Child:
    """A reading process, started again after one that had to be killed."""

    def __init__(self, scratch: Path, warm: bool = False) -> None:
        self._scratch, self._words = scratch, [WARM] * warm
        self._process: subprocess.Popen[str] | None = None
        self._answers: Queue[str] = Queue()

    def ask(self, reader: str, path: Path, out: Path) -> Tried:
        """Have a file read, and watch."""
        process = self._process or self._started()
        asked = {"reader": reader, "path": str(path), "out": str(out)}
        assert process.stdin is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        began = time.monotonic()
        outcome = self._watched(process)
        if isinstance(outcome, str):
            self.close()
            return Tried(reader, path, outcome, f"ended by {outcome}", time.monotonic() - began)
        memory = outcome["peak"] > MEMORY
        kind = "memory" if memory else outcome["outcome"]
        return Tried(
            reader, path, kind, outcome["words"], outcome["seconds"], outcome["peak"],
            tuple(outcome["outside"]),
        )  # fmt: skip

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    stream and stream.close()
        self._process = None

    def _started(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "napari_noisyseg.benchmarks.faults.child"]
        command += self._words
        environment = {**os.environ, "NOISYSEG_DEBUG": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        # libraries may keep caches where temporary files belong
        self._scratch.mkdir(parents=True, exist_ok=True)
        environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._scratch))
        environment["TORCHINDUCTOR_CACHE_DIR"] = str(self._scratch / "torch")
        self._process = process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, encoding="utf-8", env=environment,
        )  # fmt: skip
        answers: Queue[str] = Queue()
        self._answers = answers
        assert process.stdout is not None
        lines = process.stdout
        threading.Thread(target=lambda: _all_of(lines, answers), daemon=True).start()
        answers.get(timeout=STARTING)
        return process

    def _watched(self, process: subprocess.Popen[str]) -> dict[str, Any] | str:
        """The answer, or how it ended without one."""
        began, seen = time.monotonic(), psutil.Process(process.pid)
        worked = _cpu(seen)
        while not self._hangs(time.monotonic() - began, _cpu(seen) - worked):
            with contextlib.suppress(Empty):
                answer: dict[str, Any] = json.loads(self._answers.get(timeout=0.05))
                return answer
            if process.poll() is not None:
                return "internal"
            with contextlib.suppress(psutil.Error):
                if seen.memory_info().rss > MEMORY:
                    return "memory"
        return "hang"

    @staticmethod
    def _hangs(seconds: float, worked: float) -> bool:
        """Whether it waits, or works, for too long; on a busy machine its work counts."""
        return worked > SECONDS or seconds > (SECONDS if worked < WAITING else 6 * SECONDS)


def _cpu(process: psutil.Process) -> float:
    """Seconds of processor time that it has had."""
    try:
        return sum(process.cpu_times()[:2])
    except psutil.Error:
        return 0.0


def _all_of(lines: Any, answers: Queue[str]) -> None:
    with contextlib.suppress(ValueError, OSError):
        for line in lines:
            answers.put(line)


@dataclass
class Campaign:
    """The inputs tried so far."""

    folder: Path
    tried: int = 0
    by_reader: dict[str, dict[str, int]] = field(default_factory=dict)
    faults: list[Tried] = field(default_factory=list)

    def note(self, found: Tried) -> None:
        """Count it; what is a fault is kept to be looked at."""
        self.tried += 1
        row = self.by_reader.setdefault(found.reader, {})
        row[found.outcome] = row.get(found.outcome, 0) + 1
        if found.fault:
            self.faults.append(found)

    def counts(self) -> dict[str, int]:
        """The figures of the benchmark that concern input."""
        of = [fault.outcome for fault in self.faults]
        return {
            "inputs": self.tried,
            "internal": of.count("internal"),
            "hangs": of.count("hang"),
            "over_memory": of.count("memory"),
            "outside": sum(bool(fault.outside) for fault in self.faults),
            "half": sum(bool(fault.half) for fault in self.faults),
        }


def run(*, inputs: int, seed: int, folder: Path, readers: Sequence[str] = ()) -> Campaign:
    """Try so many files, the known monsters first, in a scratch folder.

    What was a fault stays in `folder`/kept, to be tried again with `again`.
    """
    chosen = build(folder / "corpus", readers)
    campaign, lock = Campaign(folder), threading.Lock()
    known = [] if readers else monsters.build(folder / "monsters")
    numbers: Iterator[int] = iter(range(inputs))

    def work() -> None:
        child = Child(folder / "temporary", warm=not readers)
        try:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                monster = known[number] if number < len(known) else None
                found = _one(child, folder, number, seed, monster, chosen)
                with lock:
                    campaign.note(found)
        finally:
            child.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(work) for _ in range(AT_ONCE)]:
            done.result()
    return campaign


def _one(
    child: Child,
    folder: Path,
    number: int,
    seed: int,
    monster: Sample | None,
    samples: list[Sample],
) -> Tried:
    """Make an input in a box of its own and have it read."""
    box = folder / "boxes" / f"{number:05d}"
    out = box / "out"
    out.mkdir(parents=True)
    rng = random.Random(f"{seed} {number}")
    sample = monster or _chosen(samples, rng)
    path = _copied(sample.path, box / "in")
    if monster is None:
        mutate(path, rng)
    before = _hidden(box)
    found = child.ask(sample.reader, path, out)
    half = tuple(sorted(_hidden(box) - before))
    if found.outcome == "refused":
        half += tuple(str(p.relative_to(box)) for p in out.iterdir())
    found = Tried(
        found.reader, path, found.outcome, found.words, found.seconds, found.peak, found.outside,
        half,
    )  # fmt: skip
    if found.fault:
        kept = folder / "kept" / box.name
        kept.parent.mkdir(exist_ok=True)
        box.rename(kept)
        (kept / "words.txt").write_text(f"{found.reader} {found.outcome}\n{found.words}\n", "utf-8")
        return Tried(
            found.reader, kept / "in" / path.name, found.outcome, found.words, found.seconds,
            found.peak, found.outside, half,
        )  # fmt: skip
    shutil.rmtree(box)
    return found


def _chosen(samples: list[Sample], rng: random.Random) -> Sample:
    """Any sample, or any reader and one of its samples: of images there are many."""
    if rng.random() < 0.5:
        return rng.choice(samples)
    reader = rng.choice(sorted({sample.reader for sample in samples}))
    return rng.choice([sample for sample in samples if sample.reader == reader])


def _copied(path: Path, folder: Path) -> Path:
    folder.mkdir()
    if path.is_dir() and not path.is_symlink():
        target = folder / path.name
        shutil.copytree(path, target, symlinks=True, copy_function=_copy)
        return target
    _copy(path, folder / path.name)
    return folder / path.name


def _copy(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """A pipe or a link is made again, not read."""
    monsters.copy(Path(path), Path(target))


def _hidden(box: Path) -> set[str]:
    """Names that writers give to what is not whole yet."""
    return {
        str(p.relative_to(box))
        for p in box.rglob(".*")
        if any(mark in p.name for mark in LEFTOVERS)
    }


def again(reader: str, path: Path, out: Path) -> Tried:
    """Try one file once more, in a process of its own."""
    out.mkdir(parents=True, exist_ok=True)
    child = Child(out.parent / "temporary")
    try:
        return child.ask(reader, path, out)
    finally:
        child.close()
