"""The layers of a project that can be exported, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from napari_noisyseg.exchange import derived, nuclei, stored
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.store import ImageRecord, Project

Layer = str
"""A key of `LAYERS`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the nuclei of a layer come from.

    `take` gives None for an image that has nothing of it; `missing` says how to get it. `quick`
    counts the nuclei of an image, where that can be done without making them.
    """

    take: Callable[[Project, ImageRecord], ExportedImage | None]
    missing: str
    quick: Callable[[Project, ImageRecord], int] | None = None

    def count(self, project: Project, record: ImageRecord) -> int:
        """How many nuclei of an image are exported."""
        if self.quick is not None:
            return self.quick(project, record)
        image = self.take(project, record)
        return len(image.nuclei) if image is not None else 0


_CLICK = "click nuclei first (in a large image inside a field)"

LAYERS: Mapping[Layer, Source] = {
    "refined": Source(nuclei.refined, "train first"),
    "accepted": Source(nuclei.accepted, "accept some in the review first"),
    "corrected": Source(stored.corrected, "train mmc or superpixel on rough masks first"),
    "outline": Source(derived.outline, _CLICK, derived.count),
    "local": Source(derived.local, _CLICK, derived.count),
    "rough": Source(stored.rough, "paint or import rough masks first"),
}
