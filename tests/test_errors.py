from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_noisyseg
from napari_noisyseg.errors import JobError, NoisySegError, in_window, names_command

SOURCE = Path(napari_noisyseg.__file__).parent
WINDOW = {"NoisySegError": ("window",), "JobError": ("window",), "Failed": ("window", "remedy")}
"""errors, and where they keep the window's words for each of their own"""


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("mark a field (--field x,y,w,h, or Annotate ▸ field)", "mark a field (Annotate ▸ field)"),
        ("click (Annotate ▸ points, or --points) first", "click (Annotate ▸ points) first"),
        ("import some (--masks, --clean) or accept", "import some or accept"),
        ("say which (--channel 1 to 3), or save", "say which, or save"),
        ("add points (noisyseg create --points, noisyseg import --as points)", "add points"),
        ("too small (3 x 4 pixels)", "too small (3 x 4 pixels)"),
        ("a.noisyseg folder (napari-noisyseg)", "a.noisyseg folder (napari-noisyseg)"),
    ],
)  # fmt: skip
def test_the_window_leaves_out_what_only_the_command_line_can_do(words: str, shown: str) -> None:
    assert in_window(NoisySegError(words)) == shown
    assert str(NoisySegError(words)) == words


def test_an_error_may_have_words_for_the_window() -> None:
    error = JobError("use --device cpu", window="choose the processor")
    assert (str(error), in_window(error)) == ("use --device cpu", "choose the processor")
    assert in_window(ValueError("3")) == "3"


def errors() -> Iterator[tuple[str, ast.Call]]:
    """Every error that is made in the package, but those of the command line itself."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE)
        if name.parts[0] in ("cli", "benchmarks"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in WINDOW:
                yield f"{name}:{node.lineno}", node


def literal(node: ast.expr) -> str:
    """The words of a string as far as they are known before it is made."""
    parts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
    return " ".join(part for part in parts if isinstance(part, str))


def test_no_error_names_a_command_in_the_window() -> None:
    found = list(errors())
    assert len(found) > 100
    for where, call in found:
        own = {keyword.arg: literal(keyword.value) for keyword in call.keywords}
        for i, words in enumerate(map(literal, call.args)):
            places = WINDOW[call.func.id]  # type: ignore[attr-defined]
            shown = own.get(places[min(i, len(places) - 1)]) or in_window(NoisySegError(words))
            assert not names_command(shown), where
