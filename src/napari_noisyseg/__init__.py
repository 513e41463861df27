"""From cheap annotation of H&E slides to nuclei masks you can trust.

    import napari_noisyseg as ns

    labels = ns.outline("field.png", points, mpp=0.25)

Each name below is loaded when it is first used: importing the package loads neither torch nor Qt
nor napari. docs/api.md describes them all.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import coarse, losses, meta, metrics, noise, samples, stains
    from .api.files import export, import_file
    from .api.learning import adapt, suggest
    from .api.models import export_model
    from .api.outlines import derive, outline
    from .api.predicting import predict
    from .api.reviews import Review
    from .api.trainings import Training, train
    from .errors import JobError, NoisySegError
    from .slides import Box
    from .store import Project

__version__ = "0.1.0"

__all__ = [
    "Box", "JobError", "NoisySegError", "Project", "Review", "Training", "__version__", "adapt",
    "coarse", "derive", "export", "export_model", "import_file", "losses", "meta", "metrics",
    "noise", "outline", "predict", "samples", "stains", "suggest", "train",
]  # fmt: skip

_PLACES = {
    "Box": "slides", "JobError": "errors", "NoisySegError": "errors", "Project": "store",
    "Review": "api.reviews", "Training": "api.trainings", "adapt": "api.learning",
    "derive": "api.outlines", "export": "api.files", "export_model": "api.models",
    "import_file": "api.files", "outline": "api.outlines", "predict": "api.predicting",
    "suggest": "api.learning", "train": "api.trainings",
}  # fmt: skip
"""The module that has a name; the other names are modules themselves."""


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        found = getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)
        globals()[name] = found
        return found
    if name in __all__:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
