"""Every command: the module that has it, and its line in `noisyseg --help`.

A module is imported only when one of its commands is asked for: all of them together take seconds.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import typer

COMMANDS: Mapping[str, tuple[str, str]] = {
    "open": ("show", "Open napari with the panel, on a project or on images."),
    "demo": ("show", "Open napari on the bundled field, ready to train."),
    "samples": ("samples", "Copy the sample images, points and nuclei into a folder."),
    "create": (
        "projects",
        "Create a project from images and annotation files.",
    ),
    "add": ("projects", "Add more images to a project."),
    "field": ("fields", "Declare fields in which every nucleus is marked."),
    "info": (
        "projects",
        "List images, fields, nuclei and runs, or one nucleus in detail.",
    ),
    "derive": (
        "projects",
        "Make coarse labels from points, or superpixels, and save them.",
    ),
    "suggest": (
        "suggest",
        "Propose nuclei that have no point yet.",
    ),
    "worth": (
        "worth",
        "Tell whether rough masks are too large or small, or incomplete.",
    ),
    "adapt": (
        "adapt",
        "Learn from accepted, redrawn and rejected nuclei.",
    ),
    "methods": ("training", "List the methods: paper, what each needs and shows."),
    "train": (
        "training",
        "Train in a child process and write the refined nuclei.",
    ),
    "runs": ("training", "List the runs: method, state, figures, origin."),
    "stop": ("training", "Ask a run to stop at its next step; it can be resumed."),
    "replay": (
        "training",
        "Repeat a run outside the project, and compare the labels.",
    ),
    "predict": (
        "predict",
        "Find nuclei in other images and whole slides.",
    ),
    "review": (
        "review",
        "List nuclei to review, with reasons; decide on them.",
    ),
    "export": (
        "exchange",
        "Write the nuclei of each image into a file for another program.",
    ),
    "import": (
        "exchange",
        "Import points, rough masks or trusted masks.",
    ),
    "evaluate": (
        "exchange",
        "Score label images against the truth.",
    ),
    "simulate": (
        "simulate",
        "Make noisy labels from true ones.",
    ),
    "cluster": ("cluster", "Work for a Dask scheduler, or see who works for it."),
    "benchmark": ("benchmark", "Run a benchmark and print its figures."),
    "doctor": ("doctor", "Check Qt, OpenGL, torch, CUDA/MPS, slides, zarr and the disk."),
    "model": (
        "models",
        "Export models for other programs: ONNX, or bioimage.io.",
    ),
    "starter": ("starter", "Train the networks that come with the package again."),
}


def register(app: typer.Typer, wanted: str | None) -> None:
    """Add the wanted command to the app; where it is none, all of them, by name and line only."""
    if wanted is not None and wanted in COMMANDS:
        add(app, wanted)
        return
    for name, (_, words) in COMMANDS.items():
        app.command(name, help=words)(_nothing)


def add(app: typer.Typer, name: str) -> None:
    """Add a command, with those of its module, as it is: options, words and examples."""
    from .examples import epilog

    importlib.import_module(f".{COMMANDS[name][0]}", __package__).register(app)
    for command in app.registered_commands:
        function = command.callback
        command.epilog = epilog(command.name or (function.__name__ if function else ""))
    for group in app.registered_groups:
        for command in group.typer_instance.registered_commands if group.typer_instance else ():
            command.epilog = epilog(str(group.name))


def _nothing() -> None:
    """Stands for a command that is only listed."""
