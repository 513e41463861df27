"""Which modules of the package a module can reach: all that its figures can depend on.

Read from the sources, so that nothing is imported: every `import`, those inside functions too, what
is started with `python -m`, and what is loaded by a name that only a running program knows. Of the
methods a table reaches those that benchmarks on its way name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

PACKAGE = "napari_noisyseg"
ROOT = Path(__file__).parents[1]
BY_NAME: Mapping[str, tuple[str, ...]] = {
    "benchmarks.trainings": ("cli.projects", "cli.training", "cli.predict", "cli.adapt"),
}
"""modules that load others by name, and which"""
REGISTRY, METHODS = "registry", "methods"
"""what loads a method by its name, and where they lie"""
FILES: Mapping[str, tuple[str, ...]] = {
    "benchmarks.unseen": ("models/*",),
    "benchmarks.rough": ("models/*",),
    "benchmarks.scnet": ("models/*",),
}
"""files beside the code on which figures of a module depend: the starter's networks, which every
method could read with, where a table lets them"""
PRESETS = "methods.json"
"""of every method; who reaches one reaches it"""
NO_FIGURES = ("benchmarks", "benchmarks.ledger", "benchmarks.reach", "learning.presets")
"""what keeps rows and what lists benchmarks: no row depends on it; and what presets change, which
stands resolved in PRESETS, each method's apart"""


class Import(NamedTuple):
    """Something taken from a module, by its dotted name inside the package; name None: all of it.

    The package itself is the module "".
    """

    module: str
    name: str | None


def reached(module: str, root: Path = ROOT) -> list[Path]:
    """Files that a module of the package can reach, itself first among equals: sorted paths.

    module: its dotted name inside the package. A package that merely hands a name on from one of
    its modules is passed by: that module counts, and not the others that it hands on.
    """
    seen = _closed([module], set(), root)
    if REGISTRY in seen:
        seen = _closed(_loaded(seen, root), seen, root)
    beside = {path for one in seen for path in _beside(one, root)}
    if any(one.startswith(f"{METHODS}.") for one in seen):
        beside.add(root / PRESETS)
    return sorted({_file(one, root) for one in seen} | beside)


def _closed(waiting: list[str], seen: set[str], root: Path) -> set[str]:
    """These modules, what was seen before, and all that they reach but for methods by name."""
    seen = set(seen)
    while waiting:
        one = waiting.pop()
        if one in seen or one in NO_FIGURES:
            continue
        seen.add(one)
        waiting += _next(one, root)
    return seen


def _loaded(seen: set[str], root: Path) -> list[str]:
    """Methods that are loaded by name: those that a benchmark on the way names in its source."""
    named: set[str] = set()
    for one in seen:
        if one.startswith("benchmarks."):
            named |= _words(_file(one, root).read_text(encoding="utf-8"))
    return [
        one for one in _every(METHODS, root) if one.rpartition(".")[2].replace("_", "-") in named
    ]


@cache
def _words(text: str) -> frozenset[str]:
    """All strings that stand in a source."""
    constants = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return frozenset(value for value in constants if isinstance(value, str))


def _next(module: str, root: Path) -> Iterator[str]:
    file = _file(module, root)
    text = file.read_text(encoding="utf-8")
    for found in imports(text, module, file.name == "__init__.py"):
        yield from _resolved(found, root)
    yield from BY_NAME.get(module, ())


def _resolved(found: Import, root: Path) -> Iterator[str]:
    """The module that holds what is imported; none for a name of a package that hands it on."""
    if found.name is not None and _is_module(inner := _joined(found.module, found.name), root):
        yield inner
        return
    file = _file(found.module, root)
    if found.name is None or file.name != "__init__.py":
        yield found.module
        return
    handed = _handed_on(file.read_text(encoding="utf-8"), found.module).get(found.name)
    if handed is None:
        yield found.module
    else:
        yield from _resolved(handed, root)


@cache
def imports(text: str, module: str, is_package: bool) -> tuple[Import, ...]:
    """What a source takes from the package, but for what only type checkers read."""
    found: list[Import] = []
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        found += _of_node(node, module, is_package)
        waiting += ast.iter_child_nodes(node)
    return tuple(found)


def _of_node(node: ast.AST, module: str, is_package: bool) -> Iterable[Import]:
    if isinstance(node, ast.Import):
        return [Import(_inside(alias.name), None) for alias in node.names if _ours(alias.name)]
    if isinstance(node, ast.ImportFrom):
        source = _source(node, module, is_package)
        return [] if source is None else [Import(source, alias.name) for alias in node.names]
    if isinstance(node, ast.List | ast.Tuple):
        return list(_commands(node.elts))
    return []


def _commands(words: list[ast.expr]) -> Iterator[Import]:
    """Modules that `python -m` runs, in a command written as a list of words."""
    values = [word.value if isinstance(word, ast.Constant) else None for word in words]
    for flag, name in pairwise(values):
        if flag == "-m" and isinstance(name, str) and _ours(name):
            yield Import(_inside(name), "__main__")


def _source(node: ast.ImportFrom, module: str, is_package: bool) -> str | None:
    """The module of the package that `from … import` names; None for other people's."""
    if not node.level:
        return _inside(node.module) if node.module and _ours(node.module) else None
    parts = module.split(".") if module else []
    up = node.level - 1 if is_package else node.level
    return _joined(".".join(parts[: len(parts) - up]), node.module or "")


def _handed_on(text: str, package: str) -> dict[str, Import]:
    """Names that a package's own file imports for others to take, and where they are from."""
    found: dict[str, Import] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom):
            source = _source(node, package, is_package=True)
            for alias in node.names if source is not None else ():
                found[alias.asname or alias.name] = Import(str(source), alias.name)
    return found


def _ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def _inside(name: str) -> str:
    return name.removeprefix(PACKAGE).removeprefix(".")


def _joined(module: str, name: str) -> str:
    return f"{module}.{name}" if module and name else module or name


def _file(module: str, root: Path) -> Path:
    path = root.joinpath(*module.split(".")) if module else root
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _is_module(module: str, root: Path) -> bool:
    return _file(module, root).is_file()


def _every(package: str, root: Path) -> list[str]:
    return [f"{package}.{path.stem}" for path in sorted(_file(package, root).parent.glob("*.py"))
            if path.stem != "__init__"]  # fmt: skip


def _beside(module: str, root: Path) -> Iterator[Path]:
    for pattern in FILES.get(module, ()):
        yield from root.glob(pattern)
