"""The project's runs as rows: when, which method, how far, how well; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Failed, Finished
from napari_noisyseg.gui.controllers.progress import RunProgress
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.parent import client

SIGNS = {
    "running": "▶ running",
    "stopped": "❚❚ stopped",
    "finished": "✓ finished",
    "few": "! few steps",
    "failed": "✗ failed",
    "lost": "? lost",
    "damaged": "✗ damaged",
}
"""a run's state by sign and word, so that colour carries nothing"""
RESUMABLE = ("stopped", "few", "failed", "lost")
PREDICTS = ("finished", "few", "stopped")
"""states of runs that left a checkpoint to go on from, and a model"""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the table shows it; `state` is one of `SIGNS`."""

    id: str
    method: str
    state: str
    result: str


def state_of(progress: RunProgress) -> str:
    """A run's state by its last word."""
    match progress.end:
        case None:
            return "running"
        case Finished(stopped=stopped):
            return "stopped" if stopped else "few" if progress.few else "finished"
        case Failed():
            return "lost" if progress.end in (client.LOST, client.KILLED) else "failed"


def run_row(run: Run, progress: RunProgress) -> RunRow:
    """What the table says of a run."""
    try:
        spec = run.spec()
    except NoisySegError:
        return RunRow(run.id, "?", "damaged", "")
    method = ("↪ " if spec.get("predicts") else "") + str(spec.get("method", "?"))
    return RunRow(run.id, method, state_of(progress), result_of(progress))


def result_of(progress: RunProgress) -> str:
    """What a run has come to, in a few words."""
    if isinstance(progress.end, Finished) and "nuclei" in progress.end.figures:
        return f"{progress.end.figures['nuclei']:,.0f} nuclei"
    if progress.best is not None:
        return f"loss {progress.best:.3g}"
    return ""


def read_ended(run: Run) -> RunProgress:
    """A run that has ended, from its file; one that ended without a word is lost."""
    progress = RunProgress()
    progress.take_all(run.said())
    if progress.end is None:
        progress.take(client.lost(run))
    return progress


def when_of(run_id: str) -> str:
    """A run's id begins with its time in UTC: as local time, today's without the date."""
    try:
        made = datetime.strptime(run_id.split("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return run_id
    local = made.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%d %b %H:%M")


def read_all(runs: list[Run]) -> dict[str, RunProgress]:
    """Runs that have ended, by id."""
    return {run.id: read_ended(run) for run in runs}
