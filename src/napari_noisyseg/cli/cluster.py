"""cluster: machines that train and predict for others."""

from __future__ import annotations

from typing import Annotated

import typer

from ..worker.cluster.address import Scheduler
from .output import Json, print_json, say, show
from .training import Insecure

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="tcp://HOST:PORT or tls://…")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    cluster = typer.Typer(
        help="Work for a Dask scheduler, or see who works for it.", no_args_is_help=True
    )
    cluster.command()(worker)
    cluster.command()(workers)
    app.add_typer(cluster, name="cluster")


def worker(
    address: Address,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads for a task. Default: all physical cores.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the scheduler calls this worker.")] = None,
    insecure: Insecure = False,
) -> None:
    """Train and predict for a scheduler, one task at a time, until interrupted."""
    from ..worker.cluster.serve import serve

    serve(Scheduler.of(address, insecure), threads, name, say)


def workers(address: Address, insecure: Insecure = False, as_json: Json = False) -> None:
    """See who works for a scheduler, and what each offers."""
    from dataclasses import asdict

    from ..worker.cluster.connect import connected
    from ..worker.cluster.offers import offers

    scheduler = Scheduler.of(address, insecure)
    with connected(scheduler) as client:
        found = offers(scheduler, client)
    if as_json:
        print_json([asdict(offer) for offer in found])
        return
    for offer in found:
        show(offer.words())
