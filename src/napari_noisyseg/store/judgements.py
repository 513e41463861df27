"""Outlines and decisions: what runs found and what people say of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store import candidates as found
from napari_noisyseg.store import decisions, repair, verdicts
from napari_noisyseg.store.columns import Columns
from napari_noisyseg.store.marks import Marks
from napari_noisyseg.store.packed import Selection
from napari_noisyseg.store.records import (
    STATES,
    Candidate,
    Look,
    Nucleus,
    Outline,
    State,
    Verdict,
    Way,
)
from napari_noisyseg.store.spots import SpotReader
from napari_noisyseg.store.verdicts import AsFound


class Judgements(Marks):
    """A part of `project.nuclei`; what is promised there holds here."""

    def set_outline(self, id: str, box: Box, mask: NDArray[np.bool_], origin: str) -> None:
        """The outline that a person drew or brought: bool (h, w) of `box`. Freezes it."""
        self.set_outlines({id: Outline(box, np.asarray(mask, bool))}, origin)

    def set_outlines(self, outlines: Mapping[str, Outline], origin: str) -> None:
        """Many outlines as one action."""
        decisions.set_outlines(self._context, outlines, origin)

    def outline(self, id: str) -> Outline | None:
        """The outline that a person drew or decided on, or None."""
        return decisions.outline(self._context, id)

    def outlines(
        self, image: str, states: Sequence[State] = ("accepted",), box: Box | None = None
    ) -> list[tuple[Nucleus, Outline]]:
        """Nuclei in these states with their outlines (rejected ones with what was rejected)."""
        return decisions.outlines(self._context, image, states, box)

    def settled(
        self, image: str, box: Box, labels: NDArray[np.int32], rejected: bool = False
    ) -> NDArray[np.int32]:
        """A run's nuclei, int32 (h, w) of `box`, as a person has left them: in a new array.

        With the outlines that were accepted or drawn, and without what was rejected; with
        `rejected` that stays, so that the decision can be taken back.
        """
        return decisions.settled(self._context, image, box, labels, rejected)

    def decide(
        self,
        ids: Sequence[str],
        state: State,
        run: str | None = None,
        reviewer: str = "",
        outlines: Mapping[str, Outline] | None = None,
        look: Look | None = None,
    ) -> None:
        """Decide on nuclei or candidates as one action; `look`: how it came about, to be kept.

        Accepting freezes the outline given, else the frozen one there is, else that of the
        candidate of `run` (None: of the newest run adopted); without any it is refused.
        """
        decisions.decide(self._context, ids, state, run, reviewer, outlines or {}, look)

    def judge_blind(
        self, ids: Sequence[str], state: State, reviewer: str, ms: int | None = None
    ) -> None:
        """Keep what a second person says of nuclei of one image, beside the decision that stands.

        "unreviewed" takes it back.
        """
        verdicts.judge_blind(self._context, ids, state, reviewer, ms)

    def verdicts(
        self, image: str | None = None, ways: Sequence[Way] = ("queue", "audit", "blind")
    ) -> list[Verdict]:
        """What each person said of each nucleus (of one image, or of all), the first look first."""
        return verdicts.of(self._context, image, ways)

    def machine(self, image: str, ids: Collection[str]) -> dict[str, AsFound]:
        """These nuclei as a run found them, whatever a person drew or said since."""
        return verdicts.machine(self._context, image, ids)

    def of_run(self, image: str, run: str, ids: Collection[str]) -> dict[str, Outline]:
        """The outlines of these nuclei as one run found them; those it lacks are left out."""
        return verdicts.of_run(self._context, image, run, ids)

    def adopted(self) -> dict[str, float]:
        """When each run's results came into the project first (Unix seconds)."""
        return verdicts.adopted(self._context)

    def looks(self) -> int:
        """How many nuclei of the project were looked at one by one."""
        return verdicts.looks(self._context)

    def looked_at(self, id: str) -> bool:
        """Whether a nucleus with a decision was looked at by itself, not with many at once."""
        return verdicts.looked_at(self._context, id)

    def split(self, id: str, parts: Sequence[Outline], run: str | None = None) -> list[Nucleus]:
        """Replace a nucleus or candidate by two or more parts, with its decision and class.

        The part that holds the nucleus's point stays the nucleus and comes first; the others are
        new. All outlines are a person's from then on.
        """
        return repair.split(self._context, id, parts, run)

    def merge(self, ids: Sequence[str], outline: Outline, run: str | None = None) -> None:
        """Merge nuclei or candidates of one image into the first of them.

        It keeps its decision and gets the outline; the others go, for later runs as well.
        """
        repair.merge(self._context, ids, outline, run)

    def add_outlined(
        self, image: str, y: float, x: float, outline: Outline, class_name: str | None = None
    ) -> Nucleus:
        """A nucleus that nobody had found, accepted with this outline, as one action."""
        with self._context.history.action("add a nucleus"):
            (made,) = self.add_many(image, [(y, x)], [class_name], origin="added")
            self.decide([made.id], "accepted", outlines={made.id: outline})
        return self.get(made.id)

    def set_comment(self, image: str, id: str, words: str) -> None:
        """Set a person's comment on a nucleus or candidate; "" removes it."""
        repair.set_comment(self._context, image, id, words)

    def comment(self, id: str) -> str:
        """The comment on one nucleus, "" where there is none."""
        return repair.comment(self._context, id)

    def comments(self, image: str) -> Mapping[str, str]:
        """Comments by nucleus id."""
        return repair.comments(self._context, image)

    def candidates(
        self, image: str, run: str | None = None, box: Box | None = None
    ) -> list[Candidate]:
        """Refined nuclei of an adopted run (None: the newest), in order of serial.

        With what a person said of each; frozen outlines stand in place of the run's, and stand
        here also where the run found nothing. Rejected ones are among them: see `state`.
        """
        return found.of(self._context, image, run, box)

    def selection(
        self, image: str, states: Sequence[State] = STATES, of_run: bool = True
    ) -> Selection:
        """Very many nuclei, to be read as columns piece by piece.

        Those of `candidates` that are in these states; without `of_run` those of `outlines`.
        """
        return Selection(self._context, image, states, of_run)

    def spots(self, image: str) -> SpotReader:
        """Reads where the nuclei of `candidates` lie, and nothing else of them, piece by piece."""
        return SpotReader(self._context, image)

    def judged(
        self, image: str, run: str | None = None, ids: Collection[str] | None = None
    ) -> list[Candidate]:
        """The nuclei of a review, each once, in order of serial; with `ids` those of them alone.

        They are those of an adopted run (None: the newest) that nobody removed since, and every
        other one with an outline that a person decided on, drew or brought: `run` is "" for these.
        """
        return found.judged(self._context, image, run, ids).by_serial().candidates()

    def judged_columns(
        self, image: str, run: str | None = None, ids: Collection[str] | None = None
    ) -> Columns:
        """The same as columns, in no order: of very many nuclei much faster, in less memory."""
        return found.judged(self._context, image, run, ids)

    def adopt(
        self, image: str, run: str, candidates: Sequence[Candidate], core: Box | None = None
    ) -> list[Candidate]:
        """Take over what a run found in an image; not part of the undo history.

        core: the tile that the candidates are all of; what the run found elsewhere stays.

        Gives back the candidates in the same order with their ids and serials for life: those of
        the nucleus named by `id` where the project knows it, else of the earlier nucleus with the
        best IoU from 0.5 on, else new ones. No frozen outline changes.
        """
        columns = Columns.of(candidates, run)
        row = self._context.images.row(image)
        for candidate in candidates:
            if not candidate.outline.fits:
                decisions.check(candidate.outline, row.height, row.width)
        self.adopt_columns(image, run, columns, core)
        names = zip(candidates, columns.ids, columns.serials.tolist(), strict=True)
        return [replace(c, id=id, serial=serial, run=run) for c, id, serial in names]

    def adopt_columns(self, image: str, run: str, nuclei: Columns, core: Box | None = None) -> None:
        """The same of very many; they get their ids and serials in place."""
        found.adopt(self._context, image, run, nuclei, core)

    def adopted_run(self, image: str) -> str | None:
        """The run whose results this image shows."""
        return found.newest_run(self._context, self._context.images.row(image))
