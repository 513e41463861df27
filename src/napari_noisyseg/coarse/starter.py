"""The networks that come with the package, run by ONNX Runtime: no torch is needed.

Their structure and weights are `models/*.onnx`. Other weights of the same structure (adapted to a
project's own corrections) are taken from a safetensors file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json, regular_file
from napari_noisyseg.coarse import belief
from napari_noisyseg.errors import NoisySegError

F32 = NDArray[np.float32]
Weights = Mapping[str, F32]
OUTLINE, CENTRES = "outline", "centres"
THREADS = 2
MOST = 64
"""Squares that are worked on at once."""


class Network:
    """One of the networks. Raises NoisySegError when it is missing or damaged.

    belief: what of its finds are nuclei, where that was learned and lies beside its weights.
    """

    def __init__(self, name: str, weights: Weights | None = None) -> None:
        import onnxruntime as ort  # a tenth of a second

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads(), 1
        options.log_severity_level = 3
        structure, self.belief = model(name), belief.of_tensors(weights or {})
        try:
            self._session = ort.InferenceSession(
                with_weights(structure, weights or {}), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has a dozen classes of its own
            raise NoisySegError(
                f"the starter's network “{name}” cannot be read ({str(error)[:120]}): install "
                "napari-noisyseg again; until then the untrained outlines (local) are used"
            ) from error

    def logits(self, x: F32) -> F32:
        """(n, channels, h, w) to (n, outputs, h, w)."""
        parts = [self._session.run(None, {"x": x[i : i + MOST]})[0] for i in range(0, len(x), MOST)]
        return np.asarray(np.concatenate(parts), np.float32)


def threads() -> int:
    """CPU threads of a network: what `noisyseg cluster worker --threads` allows, else two."""
    told = os.environ.get("NOISYSEG_THREADS", "")
    return int(told) if told.isdecimal() and int(told) else THREADS


def model(name: str) -> bytes:
    """The network as it is shipped. Raises NoisySegError when it is not there."""
    try:
        return (files("napari_noisyseg") / "models" / f"{name}.onnx").read_bytes()
    except OSError as error:
        raise NoisySegError(
            f"the starter's network “{name}” is missing: install napari-noisyseg again; until then "
            "the untrained outlines (local) are used"
        ) from error


@lru_cache(maxsize=2)
def shipped(name: str) -> Network:
    """The network with the weights that it is shipped with; one for all who ask."""
    return Network(name)


def with_weights(structure: bytes, weights: Weights) -> bytes:
    """An ONNX file with other weights in place of its own, by their names and of the same sizes.

    What was learned beside them (`belief`) is passed over. In the file (protocol buffers) each
    tensor is its name (field 8) and then its raw data (9). Raises ValueError for a name or size
    that the file does not have.
    """
    changed = bytearray(structure)
    for name, values in belief.without(weights).items():
        raw = np.ascontiguousarray(values, "<f4").tobytes()
        head = b"\x42" + _varint(len(name)) + name.encode() + b"\x4a" + _varint(len(raw))
        at = structure.find(head)
        if at < 0:
            raise ValueError(f"the network has no weights “{name}” of {values.size} numbers")
        changed[at + len(head) : at + len(head) + len(raw)] = raw
    return bytes(changed)


def _varint(number: int) -> bytes:
    """A number as protocol buffers write it: seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


class AtClick:
    """Squares around clicks to the probability of the nucleus at each, (n, SIDE, SIDE)."""

    def __init__(self, network: Network) -> None:
        self._network, self.belief = network, network.belief

    def __call__(self, squares: F32) -> F32:
        """Of (n, CHANNELS, SIDE, SIDE)."""
        return probability(self._network.logits(squares))[:, 0]


def at_click(network: Network) -> AtClick:
    """How a network looks at clicks."""
    return AtClick(network)


def probability(logits: F32) -> F32:
    """The logistic function, float32."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def model_weights(name: str) -> dict[str, F32]:
    """The weights that a network is shipped with. Raises NoisySegError when they are not there."""
    return read_weights(Path(str(files("napari_noisyseg") / "models" / f"{name}.safetensors")))[0]


def packed(weights: Weights, about: Mapping[str, Any]) -> bytes:
    """A safetensors file with what it is in its header."""
    from safetensors.numpy import save

    plain = {key: np.ascontiguousarray(value, np.float32) for key, value in weights.items()}
    return bytes(save(plain, {"about": json.dumps(dict(about))}))


def read_weights(path: Path) -> tuple[dict[str, F32], dict[str, Any]]:
    """Weights of a safetensors file and what its header says. Raises NoisySegError."""
    from safetensors import SafetensorError, safe_open

    regular_file.check(path)
    try:
        with safe_open(path, framework="numpy") as opened:
            weights = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            about = (opened.metadata() or {}).get("about", "{}")
    # types that NumPy does not have are a TypeError or an AttributeError
    except (OSError, SafetensorError, *bounded_json.WRONG) as error:
        raise NoisySegError(f"{path}: no weights can be read from it ({error})") from error
    for name, values in weights.items():
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise NoisySegError(f"{path}: its weights {name!r} are no finite numbers")
    return weights, bounded_json.record(bounded_json.parse(about, str(path)), str(path))
