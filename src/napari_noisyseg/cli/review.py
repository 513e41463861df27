"""review: the queue of doubtful nuclei, decisions, a second opinion, and how right the rest is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import NoisySegError
from ..review import audit
from ..review.queue import ReviewItem, ReviewQueue
from ..review.second import Agreement, BlindQueue, agreements, disagreements
from ..store import Project
from ..store.records import State
from ..worker.adoption.clicked import offer
from .output import DryRun, Json, print_json, print_table, say, show
from .paths import ProjectPath, open_project

Serials = Annotated[list[int] | None, typer.Option(metavar="SERIAL", help="May be repeated.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(review)


def review(
    project: ProjectPath,
    next_: Annotated[int, typer.Option("--next", min=1, help="How many to list.")] = 10,
    accept_above: Annotated[
        float | None, typer.Option(metavar="P", help="Accept nuclei with at least this confidence.")
    ] = None,
    clicks: Annotated[
        bool,
        typer.Option("--clicks", help="Without a training: review the outlines at the clicks."),
    ] = False,
    reviewer: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Who decides; saved with each decision.")
    ] = "",
    blind: Annotated[
        bool,
        typer.Option("--blind", help="Judge what others judged, unseen (needs --as)."),
    ] = False,
    agreement: Annotated[
        bool, typer.Option("--agreement", help="How far two people agree, and where they do not.")
    ] = False,
    accept: Serials = None,
    reject: Serials = None,
    unsure: Serials = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """List nuclei to review, with reasons; decide on them.

    Estimates from nuclei chosen at random how right the rest is.
    """
    if accept_above is not None and not 0 <= accept_above <= 1:
        raise NoisySegError(f"--accept-above {accept_above}: give a confidence from 0 to 1")
    if blind and not reviewer.strip():
        raise NoisySegError("--blind needs a name: give --as NAME")
    if blind and accept_above is not None:
        raise NoisySegError("--blind is for one nucleus at a time: leave out --accept-above")
    said: dict[State, list[int]] = {
        "accepted": accept or [], "rejected": reject or [], "unsure": unsure or []
    }  # fmt: skip
    writes = clicks or accept_above is not None or any(said.values())
    if agreement and writes:
        raise NoisySegError("--agreement only reports: do not combine it with decisions")
    if agreement and blind:
        raise NoisySegError("--agreement reports on all reviewers: leave out --blind")
    with open_project(project, write=writes and not dry_run) as opened:
        if agreement:
            _agreement(opened, as_json)
            return
        if clicks and not dry_run:
            offer(opened, tell=say)
        queue = BlindQueue(opened, reviewer) if blind else ReviewQueue(opened, reviewer=reviewer)
        if dry_run:
            _tell_what(queue, said, accept_above, as_json)
            return
        decided = _decide(queue, said)
        accepted = 0 if accept_above is None else queue.accept_above(accept_above)
        document = _state(opened, queue, accepted + decided["accepted"])
        document["next"] = [_row(item) for item in queue.next(next_)]
        counts = opened.nuclei.counts()
    if as_json:
        print_json(document)
        return
    if not counts.candidates:
        clicked = f"; to review the {counts.points} clicks: --clicks" if counts.points else ""
        say(f"no training has found nuclei yet: 'noisyseg train PROJECT' first{clicked}")
    print(f"{counts.reviewed} of {counts.candidates} reviewed, {counts.accepted} accepted")
    if "audit" in document and document["audit"]["drawn"]:
        print(document["audit"]["words"])
    print_table(document["next"])


def _tell_what(
    queue: ReviewQueue, said: dict[State, list[int]], accept_above: float | None, as_json: bool
) -> None:
    """What would be decided; raises where it could not be."""
    items = _by_serial(queue, said)
    above = None if accept_above is None else len(queue.above(accept_above))
    if as_json:
        print_json({"would_decide": said, "would_accept_above": above})
        return
    for state, serials in said.items():
        for serial in serials:
            show(f"{serial}: {items[serial].state} -> {state}")
    if accept_above is not None:
        show(f"{above} nuclei above {accept_above:g} -> accepted")
    say("nothing is written")


def _by_serial(queue: ReviewQueue, said: dict[State, list[int]]) -> dict[int, ReviewItem]:
    """The nuclei to be judged by their serials, where all that are named are among them."""
    named = [serial for serials in said.values() for serial in serials]
    items = {item.candidate.serial: item for item in queue.items.numbered(named)}
    twice = [serial for serial in items if named.count(serial) > 1]
    if twice:
        raise NoisySegError(f"nucleus {twice[0]} is named more than once: decide on it once")
    unknown = [serial for serial in named if serial not in items]
    if unknown:
        raise NoisySegError(f"nucleus {unknown[0]}: no nucleus with this serial can be reviewed")
    return items


def _decide(queue: ReviewQueue, said: dict[State, list[int]]) -> dict[State, int]:
    """Decide on nuclei by their serials; how many by decision."""
    items = _by_serial(queue, said)
    for state, serials in said.items():
        for serial in serials:
            queue.decide([items[serial].id], state)
    return {state: len(serials) for state, serials in said.items()}


def _state(project: Project, queue: ReviewQueue, accepted: int) -> dict[str, Any]:
    if isinstance(queue, BlindQueue):
        progress = queue.progress()
        return {
            "nuclei": progress.total, "accepted": progress.accepted, "rejected": progress.rejected,
            "unsure": progress.unsure,
        }  # fmt: skip
    counts = project.nuclei.counts()
    return {
        "nuclei": counts.candidates,
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "unsure": counts.unsure,
        "newly_accepted": accepted,
        "audit": _audit(project, queue),
    }


def _audit(project: Project, queue: ReviewQueue) -> dict[str, Any]:
    found = audit.assess(project, queue.items)
    low, value, high = found.precision
    return {
        "drawn": found.draws,
        "not_looked_at": found.rest,
        "precision": round(value, 4) if found.enough else None,
        "precision_low": round(low, 4),
        "precision_high": round(high, 4),
        "stop": found.done,
        "words": audit.sentence(found),
        "advice": audit.advice(found),
    }


def _agreement(project: Project, as_json: bool) -> None:
    found, different = agreements(project), disagreements(project)
    if as_json:
        print_json({"pairs": [_plain(one) for one in found], "disagreements": different})
        return
    if not found:
        raise NoisySegError(
            "no nucleus was judged by two people yet: 'noisyseg review PROJECT --as NAME --blind' "
            "lists those to judge"
        )
    for one in found:
        show(one.words())
    items = {item.id: item for item in ReviewQueue(project).items}
    print_table([_row(items[id]) for id in different if id in items])


def _plain(one: Agreement) -> dict[str, Any]:
    return {
        "first": one.first, "second": one.second, "judged": one.judged, "same": one.same,
        "kappa": None if one.kappa is None else round(one.kappa, 4),
    }  # fmt: skip


def _row(item: ReviewItem) -> dict[str, Any]:
    candidate = item.candidate
    return {
        "nucleus": candidate.id,
        "serial": candidate.serial,
        "image": item.image,
        "x": round(candidate.x, 1),
        "y": round(candidate.y, 1),
        "area_um2": round(candidate.area_um2, 1),
        "score": round(candidate.score, 3),
        "reason": item.reason,
    }
