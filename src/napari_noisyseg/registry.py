"""The methods, found by their file names; what they are, without importing torch.

`python -m napari_noisyseg.registry` writes `methods.json` again; a test holds it true.
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
from napari_noisyseg.method import Method, Needs, Preset, Value

DESCRIPTIONS = Path(__file__).with_name("methods.json")
PRESETS_PAGE = Path(__file__).parents[2] / "docs" / "presets.md"
PRESETS_HEAD = """# What the presets change, and why

`paper` is the paper. `recommended` (for a GPU with time) is the paper with our improvements;
`small` is that, shortened for laptops. An empty cell means the paper's value. This page is made
from the code by `python -m napari_noisyseg.registry`, and a test compares them."""
PRESETS_COLUMNS = """| setting | paper | recommended | small | why not the paper's |
|---|---|---|---|---|"""
_CHILD = "import sys; from napari_noisyseg import registry; print(registry.inspect(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Description:
    """What menus, forms and the command line show of a method.

    schema: the settings' JSON schema (types, bounds, descriptions, the paper's defaults);
    presets: every setting's value in each preset; reasons: why some of them are not the paper's.
    """

    name: str
    title: str
    paper: str
    needs: Needs
    shows: tuple[str, ...]
    schema: dict[str, Any]
    presets: dict[Preset, dict[str, Value]]
    reasons: dict[Preset, dict[str, str]]


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
    every: tuple[Preset, ...] = get_args(Preset)
    defaults = {p: method.Config.from_preset(p).model_dump() for p in every}
    reasons = {p: method.Config.reasons(p) for p in every}
    description = Description(
        name, method.title, method.paper, method.needs, method.shows,
        method.Config.model_json_schema(), defaults, reasons,
    )  # fmt: skip
    return json.dumps(asdict(description))


def generate() -> str:
    """The text of `methods.json`; imports torch."""
    every = {name: json.loads(inspect(name)) for name in names()}
    return json.dumps(every, indent=1, ensure_ascii=False) + "\n"


def presets_page() -> str:
    """docs/presets.md: what each preset changes of each paper, and why; imports no torch."""
    lines = [PRESETS_HEAD]
    for name in names():
        described = describe(name)
        paper = described.presets["paper"]
        lines += [f"\n## `{name}`: {described.title}\n", f"{described.paper}\n"]
        lines.append(PRESETS_COLUMNS)
        for setting in sorted(described.reasons["small"] | described.reasons["recommended"]):
            values = [described.presets[p][setting] for p in ("paper", "recommended", "small")]
            shown = ["" if n and v == paper[setting] else f"{v}" for n, v in enumerate(values)]
            why = {p: described.reasons[p].get(setting) for p in ("recommended", "small")}
            reason = why["recommended"] or why["small"] or ""
            lines.append(f"| `{setting}` | {' | '.join(shown)} | {reason} |")
    return "\n".join(lines) + "\n"


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
    if PRESETS_PAGE.parent.is_dir():  # a checkout: the package carries no docs
        PRESETS_PAGE.write_text(presets_page(), encoding="utf-8")
