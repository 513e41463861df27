"""Make docs/api.md and docs/commands.md from the docstrings: `make reference`."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from typer.cli import get_docs_for_click

import napari_noisyseg as ns
from napari_noisyseg.cli.commands import COMMANDS, add

HERE = Path(__file__).resolve().parent
HEADING = """\
# {title}

<!-- Made from the docstrings by `make reference`: change them, not this page. -->

{about}
"""
GROUPS: dict[str, tuple[str, ...]] = {
    "Without a project": ("outline", "predict", "export_model", "metrics"),
    "A project": ("Project", "Box", "import_file", "derive", "suggest", "adapt", "export"),
    "Training": ("train", "Training"),
    "The review": ("Review",),
    "Errors": ("NoisySegError", "JobError"),
    "Pieces and samples": ("coarse", "stains", "noise", "meta", "losses", "samples"),
}
WRITTEN = {"Project": ("create", "open", "close", "images", "image", "add_image", "add_array",
                       "remove_image", "relink", "set_mpp", "pixels"),
           "Box": ()}  # fmt: skip
"""Of large classes, the methods that a script needs."""
NOT_CALLED = ("Project", "Training")
"""Classes that other names make."""
ABOUT = """\
`import napari_noisyseg as ns` loads neither torch nor Qt nor napari; each name is loaded when it is
first used. Everything is typed (`py.typed`). Points are (y, x) in level-0 pixels; the middle of the
first pixel is (0, 0). Sizes in µm come from the image's µm per pixel (`mpp`). Labels are int32
(H, W): 0 is background, and each nucleus has its own number. Wrong input raises `NoisySegError`;
its message says what is wrong and how to correct it. [An example](examples/clicks_to_qupath.py)
shows all steps; the reusable parts have [snippets](pieces.md).
"""


COMMAND_LINE = """\
`noisyseg COMMAND --help` prints the same. Wrong input ends with exit code 2 and one line that says
how to correct it; a failed job ends with exit code 1. Results (tables, JSON, the paths of what was
written) go to stdout; notes, progress and errors go to stderr. `-q` leaves out notes and progress,
so that stderr has only errors; `-v` also prints how long the command took and where an error
happened; both may be put anywhere. `--json` prints one JSON document. `noisyseg
--install-completion` lets your shell complete commands and options. Bars, tables and colours appear
only on a terminal; output into a file is plain text.
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
        names = [n for n in getattr(offered, "__all__", _own(offered)) if not n.isupper()]
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


def _own(module: ModuleType) -> list[str]:
    return [
        name for name, found in vars(module).items()
        if not name.startswith("_") and getattr(found, "__module__", "") == module.__name__
    ]  # fmt: skip


def _methods(name: str, kind: type) -> Iterator[tuple[str, Any]]:
    wanted = WRITTEN.get(name)
    # of what is chosen also what it takes from other classes
    chosen = {method: inspect.getattr_static(kind, method) for method in wanted or ()}
    for method, found in (vars(kind) if wanted is None else chosen).items():
        if method.startswith("_") or not (callable(found) or isinstance(
            found, (property, classmethod, staticmethod))):  # fmt: skip
            continue
        yield method, found


def _signature(name: str, call: Callable[..., Any]) -> str:
    """The call as it is typed, a parameter a line where it is long; "" for what is not called."""
    if inspect.isclass(call) and (issubclass(call, Exception) or name in NOT_CALLED):
        return ""
    found = inspect.signature(call)
    parts, starred = [], False
    for parameter in found.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts, starred = [*parts, "*"], True
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        parts.append(f"{star}{parameter.name}: {parameter.annotation}{default}")
    gives = "" if inspect.isclass(call) else f" -> {found.return_annotation}"
    line = f"{name}({', '.join(parts)}){gives}"
    if len(line) > 96:
        line = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){gives}"
    return f"```python\n{line}\n```\n"


def _words(offered: Any) -> str:
    return inspect.getdoc(offered) or ""


def commands() -> str:
    """The page of the command line."""
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.callback()(lambda: None)
    for name in COMMANDS:
        one = typer.Typer()
        add(one, name)
        app.registered_commands += [c for c in one.registered_commands if _name(c) == name]
        app.registered_groups += one.registered_groups
    group = typer.main.get_command(app)
    with group.make_context("noisyseg", ["methods"]) as context:
        pages = [
            get_docs_for_click(
                obj=command, ctx=context, indent=1, name=name, call_prefix="noisyseg",
                title=f"noisyseg {name}",
            )
            for name, command in group.commands.items()  # type: ignore[attr-defined]
        ]  # fmt: skip
    text = "\n".join(pages)
    # the terminal's way of leaving lines as they are, and the page's
    text = re.sub(r"\x08\n(Examples?):\n((?:  .*\n)+)", _fenced, text)
    return HEADING.format(title="Command line", about=COMMAND_LINE) + "\n" + text.strip() + "\n"


def _name(command: typer.models.CommandInfo) -> str:
    return command.name or getattr(command.callback, "__name__", "")


def _fenced(found: re.Match[str]) -> str:
    return f"**{found[1]}**:\n\n```sh\n{textwrap.dedent(found[2])}```\n"


if __name__ == "__main__":
    (HERE / "api.md").write_text(api(), "utf-8")
    (HERE / "commands.md").write_text(commands(), "utf-8")
