"""Which device a run uses, said in words, and what helps on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch

from napari_noisyseg.errors import NoisySegError

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Device:
    """name: what torch calls it. words: which it is and how much of its memory is free."""

    name: str
    words: str


def choose(wanted: str = "auto") -> Device:
    """CUDA, else Apple's MPS, else the CPU; or the named one, with an error where it is missing."""
    if wanted not in ("auto", "cpu", "cuda", "mps"):
        raise NoisySegError(f"device {wanted!r}: choose auto, cpu, cuda or mps")
    has_cuda = torch.cuda.is_available()
    has_mps = torch.backends.mps.is_available()
    if wanted == "cuda" and not has_cuda:
        raise NoisySegError(
            "no CUDA device here; use --device auto or cpu",
            window="no graphics card (CUDA) is found here; choose “the fastest available”",
        )
    if wanted == "mps" and not has_mps:
        raise NoisySegError(
            "no Apple MPS device here; use --device auto or cpu",
            window="no Apple graphics (MPS) is found here; choose “the fastest available”",
        )
    if wanted == "cuda" or (wanted == "auto" and has_cuda):
        return Device("cuda", _cuda_words())
    if wanted == "mps" or (wanted == "auto" and has_mps):
        return Device("mps", "Apple GPU (MPS)")
    return Device("cpu", _cpu_words())


def _cuda_words() -> str:
    free, total = torch.cuda.mem_get_info()
    name = torch.cuda.get_device_name()
    return f"{name} ({free / GIB:.0f} of {total / GIB:.0f} GB free)"


def _cpu_words() -> str:
    free = psutil.virtual_memory().available / GIB
    threads = torch.get_num_threads()
    many = "" if threads == 1 else "s"
    return f"CPU ({threads} thread{many}, {free:.0f} GB of memory free)"


def set_threads(count: int | None) -> int:
    """Use `count` threads, or as many as there are physical cores; returns the number."""
    allowed = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else 0
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    threads = count or (min(cores, allowed) if allowed else cores)
    torch.set_num_threads(threads)
    return threads


@contextmanager
def precision(device: str) -> Iterator[None]:
    """bfloat16 where it is faster (CUDA); elsewhere nothing."""
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        with torch.autocast("cuda", torch.bfloat16):
            yield
    else:
        yield


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory, of the device or of the machine, ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in words or "can't allocate memory" in words
    )


def free_cache(device: str) -> None:
    """Give cached memory back after an out-of-memory error."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
