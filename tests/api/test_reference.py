"""The reference pages are what the code says of itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import napari_noisyseg as ns
from napari_noisyseg.cli.commands import COMMANDS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["api", "commands"])
def test_the_page_is_up_to_date(reference, page: str) -> None:
    written = (DOCS / f"{page}.md").read_text("utf-8")
    assert written == getattr(reference, page)(), "docs/ is out of date: make reference"


def test_every_name_and_command_is_on_its_page() -> None:
    api, commands = ((DOCS / f"{page}.md").read_text("utf-8") for page in ("api", "commands"))
    for name in set(ns.__all__) - {"__version__"}:
        assert f"### `{name}`" in api
    for name in COMMANDS:
        assert f"## noisyseg {name}\n" in commands
    assert "\x08" not in commands
