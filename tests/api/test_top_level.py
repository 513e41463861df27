"""What `import napari_noisyseg` offers, and what it leaves alone."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from importlib.resources import files

import pytest

import napari_noisyseg as ns


def test_the_import_is_light_and_every_name_is_there() -> None:
    code = """
import json, sys
import napari_noisyseg as ns
heavy = [m for m in ("torch", "qtpy", "napari", "numpy") if m in sys.modules]
offered = [n for n in ns.__all__ if n not in ("losses", "meta") and getattr(ns, n) is not None]
print(json.dumps([heavy, offered, "torch" in sys.modules, "qtpy" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, offered, torch, qt = json.loads(done.stdout)
    assert heavy == []
    assert {*offered, "losses", "meta"} == set(ns.__all__)
    assert not torch
    assert not qt


def test_type_checkers_see_what_is_offered() -> None:
    source = ast.parse((files("napari_noisyseg") / "__init__.py").read_text("utf-8"))
    (typed,) = [node for node in source.body if isinstance(node, ast.If)]
    names = {n.name for line in typed.body if isinstance(line, ast.ImportFrom) for n in line.names}
    assert names | {"__version__"} == set(ns.__all__)
    assert (files("napari_noisyseg") / "py.typed").is_file()


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="outlines"):
        _ = ns.outlines
    assert set(ns.__all__) <= set(dir(ns))


@pytest.mark.parametrize("name", [n for n in ns.__all__ if callable(getattr(ns, n))])
def test_each_says_what_it_takes_and_gives(name: str) -> None:
    offered = getattr(ns, name)
    assert len(inspect.getdoc(offered) or "") > 60
    if inspect.isfunction(offered):
        words = inspect.getdoc(offered) or ""
        assert "Raises" in words
        assert "Returns" in words
        # every parameter is described, but those that speak for themselves
        for parameter in set(inspect.signature(offered).parameters) - {"file"}:
            assert parameter in words, parameter
