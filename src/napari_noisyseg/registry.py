"""The methods, found by their file names; what they are, without importing torch.

`python -m napari_noisyseg.registry` writes `methods.json` anew; a test holds it true.
"""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast, get_args

from napari_noisyseg import methods
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.method import Method, Needs, Preset

DESCRIPTIONS = Path(__file__).with_name("methods.json")
_CHILD = "import sys; from napari_noisyseg import registry; print(registry.inspect(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Description:
    """What menus, forms and the command line show of a method.

    schema: the settings' JSON schema (types, bounds, descriptions, the paper's defaults);
    presets: every setting's value in each preset.
    """

    name: str
    title: str
    paper: str
    needs: Needs
    shows: tuple[str, ...]
    schema: dict[str, Any]
    presets: dict[Preset, dict[str, bool | int | float | str]]


def names() -> list[str]:
    """The methods in alphabetical order: a name for each file in `methods/`, `_` read as `-`."""
    files = pkgutil.iter_modules(methods.__path__)
    return sorted(file.name.replace("_", "-") for file in files if not file.name.startswith("_"))


@cache
def describe(name: str) -> Description:
    """The method's description, from `methods.json`; a file that is new there is asked itself."""
    _check(name)
    stored = json.loads(DESCRIPTIONS.read_text(encoding="utf-8")).get(name)
    record = stored if stored is not None else json.loads(_ask(name))
    needs = Needs(**{**record["needs"], "labels": tuple(record["needs"]["labels"])})
    return Description(**{**record, "needs": needs, "shows": tuple(record["shows"])})


def load(name: str) -> type[Method]:
    """The method's class; imports torch."""
    _check(name)
    if find_spec("torch") is None:
        raise NoisySegError(
            f"training with {name} needs PyTorch, which is not installed here: "
            'pip install "napari-noisyseg[train]"'
        )
    module = import_module(f"{methods.__name__}.{name.replace('-', '_')}")
    return cast("type[Method]", module.METHOD)


def inspect(name: str) -> str:
    """The description of a method's class as JSON; imports torch."""
    method = load(name)
    defaults = {p: method.Config.from_preset(p).model_dump() for p in get_args(Preset)}
    description = Description(
        name, method.title, method.paper, method.needs, method.shows,
        method.Config.model_json_schema(), defaults,
    )  # fmt: skip
    return json.dumps(asdict(description))


def generate() -> str:
    """The text of `methods.json`; imports torch."""
    every = {name: json.loads(inspect(name)) for name in names()}
    return json.dumps(every, indent=1, ensure_ascii=False) + "\n"


def _check(name: str) -> None:
    if name not in names():
        raise NoisySegError(f"there is no method {name!r}: choose one of {', '.join(names())}")


def _ask(name: str) -> str:
    """`inspect` in a process of its own, so that torch stays out of this one."""
    command = [sys.executable, "-P", "-c", _CHILD, name]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise JobError(f"the method {name} cannot be described: {reason}")
    return answer.stdout


if __name__ == "__main__":
    DESCRIPTIONS.write_text(generate(), encoding="utf-8")
