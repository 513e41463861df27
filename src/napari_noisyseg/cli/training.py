"""methods, train, runs, stop."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import psutil
import typer

from .. import bounded_json, events, registry
from ..errors import JobError, NoisySegError
from ..method import Needs
from .output import Json, Progress, print_json, print_table, say, show
from .paths import ProjectPath, open_project
from .projects import run_row

RunId = Annotated[str, typer.Argument(metavar="RUN", help="As 'noisyseg runs' lists it.")]
SchedulerAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Work on the workers of this Dask scheduler: tls://HOST:PORT."
    ),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Allow tcp:// beyond this machine, unencrypted.")
]

if TYPE_CHECKING:
    from ..api.trainings import Meter, Training

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(help="Where to compute; auto: on a GPU if there is one."),
]
MOST_SEEDS = 2**32 - 1


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(methods)
    app.command()(train)
    app.command()(runs)
    app.command()(stop)
    app.command()(replay)


def methods(as_json: Json = False) -> None:
    """List the methods: paper, what each needs and shows."""
    described = [registry.describe(name) for name in registry.names()]
    if as_json:
        print_json([asdict(method) for method in described])
        return
    for method in described:
        show(f"{method.name:22s}{method.title}")
        show(f"{'':22s}{method.paper}")
        show(f"{'':22s}needs {_in_words(method.needs)}; shows {', '.join(method.shows) or '–'}\n")


def _in_words(needs: Needs) -> str:
    wanted = [name for name, value in asdict(needs).items() if value is True and name != "halves"]
    return ", ".join(wanted) or "nothing"


def train(
    project: ProjectPath,
    method: Annotated[str, typer.Option(help="One of 'noisyseg methods'.")],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes through the tiles. Default: the method's.")
    ] = None,
    time_budget: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="Limit for the whole run.")
    ] = None,
    device: Device = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEEDS, help="Fixes every random choice.")
    ] = 0,
    config: Annotated[Path | None, typer.Option(help="A JSON file of settings.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method, or several."),
    ] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Continue a run.")] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|starter|none",
            help="Start from a run's weights; with the networks of the package (as preset small "
            "does), or without.",
        ),
    ] = None,
    scheduler: SchedulerAddress = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Train in a child process and write the refined nuclei.

    It learns from every annotated image.
    """
    from ..api.trainings import Training
    from ..store.spec import RunSpec
    from ..worker.parent import client

    if epochs and time_budget:
        raise NoisySegError("give only one of --epochs and --time-budget")
    began = psutil.Process().create_time()
    settings = {**_config_file(config), **dict(_setting(text) for text in set_ or ())}
    with open_project(project) as opened:
        spec = RunSpec(
            method=method,
            config=settings,
            epochs=epochs,
            time_budget=time_budget,
            deadline=None if time_budget is None else began + time_budget,
            device=device,
            seed=seed,
            resume=resume,
            init=init,
            scheduler=scheduler,
            insecure=insecure,
        )
        training = Training(client.start(opened, spec))
        final = _follow(training)
    _report(project, training.run, final, as_json)


def _config_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    settings = bounded_json.read(path, bounded_json.RECORD_BYTES)
    if not isinstance(settings, dict):
        raise NoisySegError(f"{path}: must hold one JSON object of settings")
    return settings


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise NoisySegError(f"--set {text!r}: write KEY=VALUE")
    try:
        return key, bounded_json.parse(value, f"--set {key}")
    except NoisySegError:
        return key, value


def _follow(training: Training) -> events.Event:
    """Show the run's events until it ends; Ctrl+C asks it to stop and waits for its results."""
    with Progress(training.id) as bar:
        while True:
            try:
                for event in training.events():
                    _show(event, training.meter, bar)
                assert training.last is not None
                return training.last
            except KeyboardInterrupt:
                say("stopping at the next step; results are written first")
                training.stop()


def _show(event: events.Event, meter: Meter, bar: Progress) -> None:
    """One event as a step of the bar, or as a line for a person."""
    done = meter.take(event)
    if done is not None:
        bar.update(*done)
    elif isinstance(event, events.Started) and event.note:
        say(event.note)
    elif isinstance(event, events.Warned):
        say(event.message)


def _report(path: Path, run: Any, final: events.Event, as_json: bool) -> None:
    if isinstance(final, events.Failed):
        raise JobError(f"run {run.id}: {final.message} {final.hint}".strip())
    adopt_if_free(path)
    if _skipped(path, run.id):
        raise JobError(f"run {run.id} has finished, but its results are not in the project yet")
    assert isinstance(final, events.Finished)
    if as_json:
        print_json({"run": run.id, "dir": str(run.dir), "state": run.state(), **final.figures})
    else:
        show(run.dir)


def _skipped(path: Path, run: str) -> str:
    """Why the project did not take in a run's results; empty where it did, or is to do so."""
    with open_project(path) as opened:
        return opened.runs.get(run).skipped


def adopt_if_free(path: Path) -> None:
    """Take finished runs into the project, unless napari holds it (it will do so itself)."""
    from ..worker.adoption.adopt import adopt_finished

    try:
        opened = open_project(path, write=True)
    except NoisySegError as error:
        say(f"the project is open elsewhere; that program will take in the results ({error})")
        return
    with opened:
        adopt_finished(opened, say)


def runs(project: ProjectPath, as_json: Json = False) -> None:
    """List the runs: method, state, figures, origin."""
    from ..worker.adoption.gains import rounds

    with open_project(project) as opened:
        bought = [row.document() for row in rounds(opened)]
        rows = [run_row(run) for run in opened.runs.list()]
    if as_json:
        of_run = {row["run"]: row for row in bought}
        print_json([{**row, "round": of_run.get(row["run"])} for row in rows])
        return
    print_table(rows)
    if any(row["decisions"] for row in bought):
        print("\ngain of each round, on decisions made after it began:")
        print_table(bought)


def stop(project: ProjectPath, run: RunId) -> None:
    """Ask a run to stop at its next step; it can be resumed."""
    with open_project(project) as opened:
        found = opened.runs.get(run)
        if found.state() not in ("running", "waiting"):
            raise NoisySegError(f"run {found.id} is not running (it is {found.state()})")
        found.request_stop()
    say(f"{found.id} stops at its next step")


def replay(
    project: ProjectPath,
    run: RunId,
    as_json: Json = False,
) -> None:
    """Repeat a run outside the project, and compare the labels."""
    from ..api.trainings import Training
    from ..worker.adoption.found import read_results
    from ..worker.parent import client

    with open_project(project) as opened:
        first = opened.runs.get(run)
    with tempfile.TemporaryDirectory(prefix="noisyseg-") as folder:
        again = client.replay(first, Path(folder))
        final = _follow(Training(again))
        if isinstance(final, events.Failed):
            raise JobError(f"run {first.id}, done again: {final.message} {final.hint}".strip())
        pairs = list(zip(read_results(first.dir), read_results(again.dir), strict=True))
        differ = sum(int((one.labels != other.labels).sum()) for one, other in pairs)
    pixels = sum(one.labels.size for one, _ in pairs)
    if as_json:
        print_json({"run": first.id, "same": not differ, "pixels": pixels, "differ": differ})
    else:
        print("the same labels" if not differ else f"{differ} of {pixels} pixels differ")
