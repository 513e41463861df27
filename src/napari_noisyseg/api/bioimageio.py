"""A package of the bioimage.io model zoo: description (0.5), weights, test tensors, a page."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import __version__

F32 = NDArray[np.float32]
FORMAT = "0.5.4"
OPSET = 17
ADDRESS = "https://pypi.org/project/napari-noisyseg/"


@dataclass(frozen=True)
class About:
    """What a model is. mpp: µm per pixel of the input; logits: a logistic function must follow;
    side: of the input, px, if it is fixed.
    """

    name: str
    description: str
    mpp: float
    channels: tuple[str, ...]
    goes_in: str
    outputs: tuple[str, ...]
    comes_out: str
    paper: str = ""
    logits: bool = False
    side: int | None = None


def package(onnx: bytes, x: F32, y: F32, about: About, author: str) -> bytes:
    """A zip file. x, y: an input and what the file makes of it, (n, channels, h, w)."""
    after = 1 / (1 + np.exp(-y.astype(np.float64))) if about.logits else y
    files = {
        "weights.onnx": onnx,
        "test_input.npy": _npy(x),
        "test_output.npy": _npy(after.astype(np.float32)),
        "README.md": _page(about).encode(),
    }
    described = _description(files, about, author)
    # JSON is YAML too, and needs no further library
    files["rdf.yaml"] = json.dumps(described, indent=1, ensure_ascii=False).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            # the same model is the same file
            file.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return packed.getvalue()


def _description(files: dict[str, bytes], about: About, author: str) -> dict[str, Any]:
    inputs = {
        "id": "x",
        "description": "made from pixels as the page describes",
        "axes": _axes(about, about.channels, {"min": 64, "step": 32}),
        "data": {"type": "float32"},
        "test_tensor": _file(files, "test_input.npy"),
    }
    outputs = {
        "id": "y",
        "description": about.comes_out[:128],
        "axes": _axes(about, about.outputs, None),
        "data": {"type": "float32"},
        "test_tensor": _file(files, "test_output.npy"),
        "postprocessing": [{"id": "sigmoid"}] if about.logits else [],
    }
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": about.name,
        "description": about.description,
        "authors": [{"name": author}],
        "cite": [{"text": about.paper or "napari-noisyseg", "url": ADDRESS}],
        "license": "BSD-3-Clause",
        "documentation": "README.md",
        "tags": ["nuclei", "histopathology", "H&E", "segmentation", "2d"],
        "version_comment": f"napari-noisyseg {__version__}",
        "inputs": [inputs],
        "outputs": [outputs],
        "weights": {"onnx": {**_file(files, "weights.onnx"), "opset_version": OPSET}},
    }


def _axes(
    about: About, channels: tuple[str, ...], size: dict[str, int] | None
) -> list[dict[str, Any]]:
    """Batch, channel, y, x; an output without a size has that of the input."""
    space = []
    for axis in ("y", "x"):
        same = {"tensor_id": "x", "axis_id": axis}
        found = about.side or (size if size is not None else same)
        space.append(
            {"type": "space", "id": axis, "unit": "micrometer", "scale": about.mpp, "size": found}
        )
    names = [name.replace(" ", "_") for name in channels]
    return [{"type": "batch"}, {"type": "channel", "channel_names": names}, *space]


def _file(files: dict[str, bytes], name: str) -> dict[str, str]:
    return {"source": name, "sha256": hashlib.sha256(files[name]).hexdigest()}


def _npy(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()


def _page(about: About) -> str:
    return f"""# {about.name}

{about.description}

**In** (`x`): {len(about.channels)} channels at {about.mpp:g} µm per pixel. {about.goes_in}

**Out** (`y`): {", ".join(about.outputs)}. {about.comes_out}

Separate nuclei are made of it by NoisySeg (`pip install napari-noisyseg`), or by a watershed of
your own. It is meant for research on H&E-stained tissue, and was not validated for diagnosis.

The test tensors show breast tissue of Naylor et al. 2018, doi:10.5281/zenodo.1175282, CC BY 4.0.
"""
