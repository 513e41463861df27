"""Make docs/api.md and docs/commands.md from the docstrings: `make reference`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import napari_noisyseg as ns
from napari_noisyseg.cli.reference import documented

HERE = Path(__file__).resolve().parent
HEADING = """\
# {title}

<!-- Made from the docstrings by `make reference`: change them, not this page. -->

{about}
"""
GROUPS: dict[str, tuple[str, ...]] = {
    "Without a project": ("outline", "predict", "metrics"),
    "A project": ("Project", "Box", "import_file", "derive", "suggest", "adapt", "export"),
    "Training": ("train", "Training"),
    "The review": ("Review",),
    "Errors": ("NoisySegError", "JobError"),
    "Pieces and samples": ("coarse", "stains", "noise", "meta", "losses", "samples"),
}
WRITTEN = {"Project": ("create", "open", "close", "images", "image", "add_image", "add_array",
                       "remove_image", "set_mpp", "pixels"),
           "Box": ()}  # fmt: skip
"""Of large classes, the methods that a script needs."""
ABOUT = """\
`import napari_noisyseg as ns` loads neither torch nor Qt nor napari; each name is loaded when it is
first used. Everything is typed (`py.typed`). Points are (y, x) in level-0 pixels, the middle of the
first pixel is (0, 0); sizes in µm come from the image's µm per pixel (`mpp`). Labels are int32
(H, W), 0 background and one number a nucleus. Wrong input raises `NoisySegError`, whose message
says what is wrong and how to mend it. A whole path is in
[an example](examples/clicks_to_qupath.py); the reusable parts have [snippets](pieces.md).
"""


def api() -> str:
    """The page of the Python interface."""
    parts = [HEADING.format(title="Python", about=ABOUT)]
    for group, names in GROUPS.items():
        parts.append(f"## {group}\n")
        for name in names:
            parts += _one(name, getattr(ns, name))
    return "\n".join(parts).rstrip() + "\n"


def _one(name: str, offered: Any) -> Iterator[str]:
    if inspect.ismodule(offered):
        first = (inspect.getdoc(offered) or "").splitlines()[0]
        yield f"### `{name}`\n\n{first}\n"
        names = [n for n in getattr(offered, "__all__", ()) if not n.isupper()]
        if names:
            yield f"Has {', '.join(f'`{n}`' for n in names)}.\n"
        return
    yield f"### `{name}`\n\n{_signature(name, offered)}\n{_words(offered)}\n"
    if not inspect.isclass(offered) or issubclass(offered, Exception):
        return
    for method, found in _methods(name, offered):
        if isinstance(found, property):
            yield f"#### `{name}.{method}`\n\n{_words(found)}\n"
        else:
            call = getattr(offered, method)
            yield f"#### `{name}.{method}`\n\n{_signature(method, call)}\n{_words(call)}\n"


def _methods(name: str, kind: type) -> Iterator[tuple[str, Any]]:
    wanted = WRITTEN.get(name)
    for method, found in vars(kind).items():
        if method.startswith("_") or not (callable(found) or isinstance(
            found, (property, classmethod, staticmethod))):  # fmt: skip
            continue
        if wanted is None or method in wanted:
            yield method, found


def _signature(name: str, call: Callable[..., Any]) -> str:
    found = inspect.signature(call)
    kept = [p for p in found.parameters.values() if p.name not in ("self", "cls")]
    text = str(found.replace(parameters=kept)).replace("'", "").replace("\"starter\"", "'starter'")
    if inspect.isclass(call) and issubclass(call, Exception):
        return ""
    lines = textwrap.wrap(f"{name}{text}", 96, subsequent_indent="    ")
    return "```python\n" + "\n".join(lines) + "\n```\n"


def _words(offered: Any) -> str:
    return inspect.getdoc(offered) or ""


def commands() -> str:
    """The page of the command line."""
    about = (
        "`noisyseg COMMAND --help` prints the same. Wrong input ends with code 2 and one line that "
        "says how to mend it, a failed job with 1.\n"
        "`-q` says errors only, `-v` more; `--install-completion` lets the shell complete commands "
        "and options.\n"
    )
    return HEADING.format(title="Command line", about=about) + "\n" + documented()


if __name__ == "__main__":
    (HERE / "api.md").write_text(api(), "utf-8")
    (HERE / "commands.md").write_text(commands(), "utf-8")
