from __future__ import annotations

import pytest
import torch

from napari_noisyseg import registry
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.training.device import choose, is_out_of_memory, precision, set_threads
from napari_noisyseg.training.plan import settings


@pytest.mark.parametrize(
    ("device", "budget", "preset"),
    [
        ("cpu", None, "small"), ("mps", None, "small"), ("cuda", None, "recommended"),
        ("cuda", 60, "small"), ("cuda", 3600, "recommended"), ("cpu", 3600, "small"),
    ],
)  # fmt: skip
def test_the_preset_follows_device_and_time(device: str, budget: float | None, preset: str) -> None:
    config, words = settings(registry.load("scnet"), {}, device, budget)
    assert config.preset == preset
    assert words.startswith(f"preset {preset} (")


def test_what_a_person_sets_stands_over_the_preset() -> None:
    config, words = settings(registry.load("scnet"), {"preset": "paper", "width": 8}, "cpu", None)
    assert (config.preset, config.width, config.crop) == ("paper", 8, 224)
    assert "as asked" in words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"widht": 8}, "'widht' is not one of"),
        ({"width": 1}, "setting width: .* greater than or equal to 4"),
        ({"preset": "huge"}, "small or paper"),
    ],
)
def test_impossible_settings_are_named(given: dict[str, object], words: str) -> None:
    with pytest.raises(NoisySegError, match=words):
        settings(registry.load("scnet"), given, "cpu", None)


def test_a_device_is_chosen_and_named() -> None:
    assert choose("cpu").name == "cpu"
    assert "GB" in choose("cpu").words
    best = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose("auto").name in (best, "mps")
    with pytest.raises(NoisySegError, match="choose auto, cpu, cuda or mps"):
        choose("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_said_to_be_missing() -> None:
    with pytest.raises(NoisySegError, match="--device auto"):
        choose("cuda")


def test_threads_are_set_and_the_cpu_computes_exactly() -> None:
    before = torch.get_num_threads()
    try:
        assert set_threads(2) == torch.get_num_threads() == 2
        assert 1 <= set_threads(None) <= 1024
    finally:
        torch.set_num_threads(before)
    with precision("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_out_of_memory_is_told_from_other_errors() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
    )
    assert not is_out_of_memory(RuntimeError("size mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))
