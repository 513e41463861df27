"""What people mark: points, fields, rough masks, classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store import classes, fields, points, repair, tracing
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.painting import Painting
from napari_noisyseg.store.records import Field, Nucleus, NucleusClass


class Marks:
    """A part of `project.nuclei`; what is promised there holds here."""

    def __init__(self, context: Context, painting: Painting) -> None:
        self._context = context
        self._painting = painting

    # points

    def add(self, image: str, y: float, x: float, class_name: str | None = None) -> Nucleus:
        """A nucleus at (y, x) in level-0 pixels; a class that is new is added with it."""
        return self.add_many(image, [(y, x)], [class_name])[0]

    def add_many(
        self,
        image: str,
        points_yx: ArrayLike,
        classes: Sequence[str | None] | None = None,
        origin: str = "click",
    ) -> list[Nucleus]:
        """Many nuclei at points (n, 2) of (y, x) as one action; one outside refuses them all."""
        return points.add_many(self._context, image, points_yx, classes, origin)

    def drop(self, image: str, points_yx: ArrayLike) -> None:
        """Remember that at points (n, 2) of (y, x) is no nucleus: nothing is suggested there."""
        points.add_many(self._context, image, points_yx, None, points.DROPPED)

    def dropped(self, image: str) -> NDArray[np.float64]:
        """Places (n, 2) of (y, x) of suggestions that a person dropped."""
        return points.dropped(self._context, image)

    def move(self, id: str, y: float, x: float) -> None:
        """Put a nucleus's point elsewhere in its image; its outline stays."""
        points.move(self._context, id, y, x)

    def remove(self, ids: Sequence[str]) -> None:
        """Remove nuclei, with their outlines and decisions."""
        points.remove(self._context, list(dict.fromkeys(ids)))

    def set_class(self, ids: Sequence[str], class_name: str | None, run: str | None = None) -> None:
        """Name the class of nuclei or candidates (None removes it); a new class is added."""
        repair.set_class(self._context, list(dict.fromkeys(ids)), class_name, run)

    def of(
        self,
        image: str,
        box: Box | None = None,
        every: bool = False,
        ids: Collection[str] | None = None,
    ) -> list[Nucleus]:
        """The nuclei of an image whose point's pixel lies in `box`, in order of serial.

        With `ids` those of them alone.

        Those are a person's marks and the run's finds that a person accepted; with `every` also
        finds that were rejected or left unsure.
        """
        return points.of(self._context, image, box, every, ids)

    def marks(
        self, image: str, box: Box | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Serials (n,) and points (n, 2) of `of`, as arrays: for many nuclei much faster."""
        return points.marks(self._context, image, box)

    def get(self, id: str) -> Nucleus:
        """One nucleus; `NoisySegError` when there is none of this id."""
        return points.get(self._context, id)

    def find(self, which: str) -> tuple[str, str]:
        """Image and id of a nucleus, or of a run's find, by its serial or its id."""
        return tracing.find(self._context, which)

    def run_of(self, id: str) -> str | None:
        """The run that outlined a nucleus as it was decided on, else the newest; None: no run."""
        return tracing.run_of(self._context, id)

    def history_of(self, id: str) -> list[tuple[float, str]]:
        """(Unix seconds, words) of every action on a nucleus that was not undone, oldest first."""
        return tracing.history_of(self._context, id)

    # fields

    def add_field(self, image: str, box: Box, complete: bool = True) -> Field:
        """A field, cut to the image; `complete` promises that every nucleus in it is marked."""
        return fields.add(self._context, image, box, complete)

    def remove_field(self, field_id: str) -> None:
        """Take a field away; the nuclei in it stay."""
        fields.remove(self._context, field_id)

    def change_field(
        self, field_id: str, box: Box | None = None, complete: bool | None = None
    ) -> Field:
        """Give a field another box or another promise."""
        return fields.change(self._context, field_id, box, complete)

    def fields(self, image: str) -> list[Field]:
        """The fields of an image, in the order in which they were drawn."""
        return fields.of(self._context, image)

    def known(self, image: str, box: Box | None = None) -> NDArray[np.bool_]:
        """Bool (h, w) of `box` (else of the image): inside a field that is declared complete."""
        return fields.known(self._context, image, box)

    # rough masks

    def paint(
        self,
        image: str,
        box: Box,
        before: NDArray[np.int32],
        after: NDArray[np.int32],
        plane: str = "rough",
    ) -> None:
        """One stroke: the pixels (h, w) of `box` as they were and as they are now."""
        self._painting.paint(image, box, before, after, plane)

    def painted(
        self, image: str, plane: str = "rough", box: Box | None = None
    ) -> NDArray[np.int32]:
        """Int32 (h, w) of `box` cut to the image, 0 where nothing is painted."""
        return self._painting.painted(image, plane, box)

    def highest_painted(self, image: str, plane: str = "rough") -> int:
        """The largest number that was ever painted in an image, 0 where there is none."""
        return self._painting.highest(image, plane)

    def planes(self, image: str) -> list[str]:
        """Planes that were ever painted on in this image."""
        return self._painting.planes(image)

    # classes

    def classes(self) -> list[NucleusClass]:
        """All classes, in the order in which they came."""
        return classes.listed(self._context)

    def add_class(self, name: str, color: str | None = None) -> NucleusClass:
        """A new class; without a colour (#rrggbb) the next of a colour-blind safe palette."""
        return classes.add(self._context, name, color)

    def set_color(self, name: str, color: str) -> None:
        """Another colour (#rrggbb) for a class."""
        classes.recolor(self._context, name, color)

    def rename_class(self, name: str, new: str) -> None:
        """Another name for a class; its nuclei go with it."""
        classes.rename(self._context, name, new)

    def remove_class(self, name: str, into: str | None = None) -> None:
        """Remove a class; its nuclei get the class `into`, or none."""
        classes.remove(self._context, name, into)

    def class_sizes(self) -> dict[str, int]:
        """How many nuclei each class has, in all images."""
        return classes.sizes(self._context)
