"""From a folder of free data to the starter's files, with scores on what was left out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from napari_noisyseg import __version__
from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.coarse.appearance import MPP
from napari_noisyseg.coarse.outline import F32
from napari_noisyseg.coarse.starter import CENTRES, OUTLINE
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.learning.starter.free import SETS, SOURCES, Field, fields
from napari_noisyseg.learning.starter.train import RECIPES, train
from napari_noisyseg.metrics import aji
from napari_noisyseg.nets.half import HalfUNet
from napari_noisyseg.noise import points

JITTERS = (0, 4, 8)
"""Px by which clicks miss the middle, at most, where outlines are scored."""
OPSET = 17
"""Of ONNX."""


def remake(
    data: Path,
    out: Path,
    names: tuple[str, ...] = (OUTLINE, CENTRES),
    steps: int | None = None,
    seed: int = 0,
    without: str | None = None,
    say: Callable[[str], object] = print,
) -> list[Path]:
    """Train, score on the source that was left out, and write; the files written."""
    if find_spec("onnx") is None:  # said before the hour, not after it
        raise NoisySegError(
            "writing the networks as ONNX needs a further package: pip install onnx"
        )
    learned = fields(data, without)
    nets = train(learned, names, steps, seed, say)
    about: dict[str, Any] = {
        "version": __version__, "seed": seed, "fields": len(learned),
        "steps": {name: steps or RECIPES[name].steps for name in names},
        "learned_from": [name for name in SETS if SOURCES[name] != without],
    }  # fmt: skip
    if without is not None and OUTLINE in nets:
        held = [field for field in fields(data) if field.source == without]
        about["left_out"] = {without: scores(nets[OUTLINE], held)}
        say(f"on {without}, which was left out: {about['left_out'][without]}")
    return write(nets, out, about)


def scores(net: HalfUNet, held: list[Field]) -> dict[str, float]:
    """Mean AJI of outlines at clicks that miss by up to so many px, and of untrained ones."""
    found: dict[str, list[float]] = {}
    for field in held:
        for by in JITTERS:
            places = points(field.labels, by, seed=by)
            clicks = {n: (float(y), float(x)) for n, (y, x) in enumerate(places, 1)}
            known = np.ones(field.labels.shape, bool)
            labels = CoarseLabels(field.rgb, clicks, known, MPP, look=look_of(net))
            found.setdefault(f"outline_{by}", []).append(aji(labels.outlines, field.labels))
            found.setdefault(f"local_{by}", []).append(aji(labels.instances, field.labels))
    return {key: round(float(np.mean(values)), 4) for key, values in found.items()}


def look_of(net: HalfUNet) -> Callable[[F32], F32]:
    """A network of torch as `OutlinePlane` asks for it."""

    def look(squares: F32) -> F32:
        with torch.inference_mode():
            parts = torch.split(torch.from_numpy(squares), 64)
            found = [torch.sigmoid(net(part))[:, 0] for part in parts]
        return torch.cat(found).numpy()

    return look


def write(nets: dict[str, HalfUNet], out: Path, about: dict[str, Any]) -> list[Path]:
    """Each network as safetensors, with what it is in the header, and as ONNX."""
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for name, net in nets.items():
        header = {"network": name, "mpp": MPP, "learned_from": list(SETS), **about}
        weights = {key: value.contiguous() for key, value in net.state_dict().items()}
        content = save(weights, {"about": json.dumps(header)})
        (out / f"{name}.safetensors").write_bytes(content)
        _write_onnx(net, out / f"{name}.onnx")
        files += [out / f"{name}.safetensors", out / f"{name}.onnx"]
    return files


def _write_onnx(net: HalfUNet, path: Path) -> None:
    example = torch.zeros(1, net.inputs, 4 * net.divisor, 4 * net.divisor)
    free = {name: {0: "n", 2: "h", 3: "w"} for name in ("x", "y")}
    with warnings.catch_warnings():
        # torch's older way: it needs `onnx`, but not onnxscript
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (example,), str(path), input_names=["x"], output_names=["y"],
            dynamic_axes=free, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
