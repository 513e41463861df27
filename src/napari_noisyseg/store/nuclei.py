"""Points, fields, outlines, decisions, classes, rough masks: all that people do, and can undo.

Every writing method is one action, one SQLite transaction: when it returns, it is on the disk.
Errors of all: `NoisySegError` for what is not there (any more), lies outside its image or cannot be
written; nothing is changed then.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store import candidates as found
from napari_noisyseg.store import (
    classes,
    decisions,
    fields,
    judged,
    points,
    repair,
    tracing,
    verdicts,
)
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.packed import Selection
from napari_noisyseg.store.painting import Painting
from napari_noisyseg.store.records import (
    STATES,
    Aspect,
    Candidate,
    Counts,
    Field,
    HistoryEntry,
    JournalEntry,
    Look,
    Nucleus,
    NucleusClass,
    Outline,
    State,
    Verdict,
    Way,
)

_STATES = "SELECT image, origin, state, count(*) FROM nucleus GROUP BY image, origin, state"
_FIELDS = "SELECT image, count(*) FROM field GROUP BY image"
_COMPLETE = "SELECT image, count(*) FROM field WHERE complete = 1 GROUP BY image"
_OUTLINES = "SELECT image, count(*) FROM outline WHERE frozen = 1 GROUP BY image"

# a click changes nothing in how far the review is
_REVIEW = Aspect.OUTLINES | Aspect.DECISIONS | Aspect.CANDIDATES | Aspect.IMAGES


class Nuclei:
    """What people marked and decided, in one project; reach it as `project.nuclei`."""

    def __init__(
        self, context: Context, painting: Painting, images_changed: Callable[[], None]
    ) -> None:
        self._context = context
        self._painting = painting
        self._images_changed = images_changed
        self._judged: tuple[int, dict[int, Counter[str]]] = (-1, {})

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
        """Take nuclei away, with their outlines and decisions."""
        points.remove(self._context, list(dict.fromkeys(ids)))

    def set_class(self, ids: Sequence[str], class_name: str | None, run: str | None = None) -> None:
        """Name the class of nuclei or candidates (None takes it away); a new class is added."""
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

    # outlines and decisions

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

    def machine(self, image: str, ids: Collection[str]) -> dict[str, Outline]:
        """The outlines of these nuclei as a run found them, whatever a person drew since."""
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
        """Put two or more parts in place of a nucleus or candidate, with its decision and class.

        The part that holds the nucleus's point stays the nucleus and comes first; the others are
        new. All outlines are a person's from then on.
        """
        return repair.split(self._context, id, parts, run)

    def merge(self, ids: Sequence[str], outline: Outline, run: str | None = None) -> None:
        """Let the first of these nuclei or candidates, of one image, stand for all of them.

        It keeps its decision and gets the outline; the others go, for later runs as well.
        """
        repair.merge(self._context, ids, outline, run)

    def add_outlined(
        self, image: str, y: float, x: float, outline: Outline, class_name: str | None = None
    ) -> Nucleus:
        """A nucleus that nobody had found, accepted with this outline, as one action."""
        with self.together("add a nucleus"):
            (made,) = self.add_many(image, [(y, x)], [class_name], origin="added")
            self.decide([made.id], "accepted", outlines={made.id: outline})
        return self.get(made.id)

    def set_comment(self, image: str, id: str, words: str) -> None:
        """What a person wants to say of a nucleus or candidate; "" takes it away."""
        repair.set_comment(self._context, image, id, words)

    def comment(self, id: str) -> str:
        """What was said of one nucleus, "" where nothing was."""
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

    def judged(
        self, image: str, run: str | None = None, ids: Collection[str] | None = None
    ) -> list[Candidate]:
        """The nuclei of a review, each once, in order of serial; with `ids` those of them alone.

        They are those of an adopted run (None: the newest) that nobody took away since, and every
        other one with an outline that a person decided on, drew or brought: `run` is "" for these.
        """
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
        return found.adopt(self._context, image, run, candidates, core)

    def adopted_run(self, image: str) -> str | None:
        """The run whose results this image shows."""
        return found.newest_run(self._context, self._context.images.row(image))

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
        """Take a class away; its nuclei are then of the class `into`, or of none."""
        classes.remove(self._context, name, into)

    def class_sizes(self) -> dict[str, int]:
        """How many nuclei each class has, in all images."""
        return classes.sizes(self._context)

    # history

    @contextlib.contextmanager
    def together(self, words: str) -> Iterator[None]:
        """Everything done inside is one action, undone at once; on an error none of it is kept."""
        with self._context.history.action(words):
            yield

    def undo(self) -> str | None:
        """Take the last action back; its words, or None when there is none. Survives a restart."""
        return self._travelled(self._context.history.undo())

    def redo(self) -> str | None:
        """Do again what was undone last; its words, or None when there is none."""
        return self._travelled(self._context.history.redo())

    def _travelled(self, words: str | None) -> str | None:
        if words is not None and self.journal(self.version() - 1)[0].aspects & Aspect.IMAGES:
            self._images_changed()
        return words

    def history(self, limit: int = 100) -> list[HistoryEntry]:
        """The newest actions first, undone and dropped ones included."""
        return self._context.history.entries(limit)

    def journal(self, since: int = 0) -> list[JournalEntry]:
        """What happened after version `since`, oldest first: what a listener must refresh."""
        return self._context.history.journal(since)

    def touched(self, since: int) -> dict[str, set[str]]:
        """Per image the ids of nuclei that actions, undos and redos after version `since` changed.

        In themselves or in their outline; removed ones are among them. Not those of removed images,
        nor what a run found: adopting it changes no nucleus.
        """
        return self._context.history.touched(since)

    def version(self, image: str | None = None, aspects: Aspect = Aspect.NOTHING) -> int:
        """A number that grows with every action, undo, redo and adoption.

        Of one image, or of some aspects only (say `Aspect.POINTS | Aspect.FIELDS` to know
        whether coarse labels are up to date).
        """
        row = self._context.images.row(image).id if image is not None else None
        return self._context.history.version(row, aspects)

    def counts(self, image: str | None = None) -> Counts:
        """How far the work is, in one image or in all."""
        images = self._context.images
        rows = [images.row(image)] if image is not None else images.rows()
        # what belongs to removed images does not count
        shown = {row.id for row in rows}
        database = self._context.database
        rows_of = database.rows(_STATES)
        nuclei = [r for r in rows_of if r[0] in shown and r[1] != points.DROPPED]
        review = self._review()
        done = {s: sum(review[id][s] for id in shown if id in review) for s in ("all", *STATES)}
        fields_, complete_, outlines_ = (
            sum(r[1] for r in database.rows(sql) if r[0] in shown)
            for sql in (_FIELDS, _COMPLETE, _OUTLINES)
        )
        return Counts(
            points=sum(r[3] for r in nuclei if r[1] != points.FOUND_BY_RUN),
            fields=fields_,
            candidates=done["all"],
            accepted=done["accepted"],
            rejected=done["rejected"],
            unsure=done["unsure"],
            outlines=outlines_,
            complete=complete_,
            nuclei=sum(r[3] for r in nuclei if r[1] != points.FOUND_BY_RUN or r[2] == "accepted"),
        )

    def progress(self) -> dict[str, Counts]:
        """How far the review of each image is: the counts of candidates and decisions alone."""
        review, found = self._review(), {}
        for row in self._context.images.rows():
            n = review.get(row.id, Counter())
            found[row.name] = Counts(0, 0, n["all"], n["accepted"], n["rejected"], n["unsure"])
        return found

    def _review(self) -> dict[int, Counter[str]]:
        """`judged.count`, made anew only after something that it depends on."""
        # the version stands still while an action is open, whatever happens in it
        if self._context.history.acting:
            return judged.count(self._context)
        version = self.version(aspects=_REVIEW)
        if self._judged[0] != version:
            self._judged = version, judged.count(self._context)
        return self._judged[1]
