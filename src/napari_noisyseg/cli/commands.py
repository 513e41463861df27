"""Every command: the module that has it, and its line in `noisyseg --help`.

A module is imported only when one of its commands is asked for: all of them together take seconds.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import typer

COMMANDS: Mapping[str, tuple[str, str]] = {
    "open": ("show", "Open napari with the panel, on a project or on images."),
    "demo": ("show", "Open napari on the bundled field, its points placed, ready to train."),
    "samples": ("samples", "Copy the sample images, points and nuclei into a folder, to try with."),
    "create": (
        "projects",
        "Make a project from images and the annotation at hand, paired by file name.",
    ),
    "add": ("projects", "Add more images to a project."),
    "info": ("projects", "Images, fields, nuclei by state, runs; or where one nucleus comes from."),
    "derive": (
        "projects",
        "Derive coarse labels from points, or superpixels, and keep them in the project.",
    ),
    "suggest": (
        "suggest",
        "Propose the nuclei that bear no point yet; with --keep-above, mark the sure ones.",
    ),
    "worth": (
        "worth",
        "Tell the bias of rough masks, what they miss, and what they keep of the truth.",
    ),
    "adapt": (
        "adapt",
        "Learn the outlines at clicks from accepted and redrawn nuclei, in seconds.",
    ),
    "methods": ("training", "Every method: its paper, what it needs, what it shows."),
    "train": (
        "training",
        "Train in a child process and write the refined nuclei of every annotated image.",
    ),
    "runs": ("training", "Every run: method, state, figures, where it came from."),
    "stop": ("training", "Ask a run to stop at its next step; its checkpoint resumes."),
    "replay": (
        "training",
        "Do a run again from its folder, beside the project, and compare the labels.",
    ),
    "predict": (
        "predict",
        "Predict nuclei on other images and whole slides, with a trained model or the starter.",
    ),
    "review": (
        "review",
        "List the nuclei that most need a look, with the reason; decide; how right the rest is.",
    ),
    "export": (
        "exchange",
        "Write the nuclei of every image, one file an image, in another program's format.",
    ),
    "import": (
        "exchange",
        "Bring in points, rough masks or trusted masks; files pair with images by name.",
    ),
    "evaluate": ("exchange", "Score label images against the truth; folders pair by file name."),
    "simulate": (
        "simulate",
        "Make noisy labels of true ones, the same for the same seed and file name.",
    ),
    "cluster": ("cluster", "Work for a Dask scheduler, or see who works for it."),
    "benchmark": ("benchmark", "Run a benchmark and print its figures."),
    "doctor": ("doctor", "Check Qt, OpenGL, torch, CUDA/MPS, slides, zarr and the disk."),
    "model": ("models", "Models for other programs: ONNX, and packages for the bioimage.io zoo."),
    "starter": ("starter", "The networks that come with the package."),
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
