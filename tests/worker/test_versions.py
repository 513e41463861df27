"""A scheduler whose machines differ from ours is told of in a line, and not worked with."""

from __future__ import annotations

from typing import Any

import pytest

from napari_noisyseg import __version__
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.worker.cluster import connect, offers
from napari_noisyseg.worker.cluster.address import Scheduler
from napari_noisyseg.worker.cluster.connect import LostError, broken
from napari_noisyseg.worker.cluster.offers import offers as offers_of

HERE = Scheduler.of("tcp://127.0.0.1:1")
PACKAGES = {"python": "3.11.7.final.0", "distributed": "2026.8.0", "dask": "2026.8.0"}
FACTS = {"host": "box", "package": __version__, "torch": "2.6", "gpu": "", "threads": 1, "pid": 1}


class Told:
    """A client that answers what it was given."""

    def __init__(self, versions: Any = None, facts: Any = None) -> None:
        self.versions, self.facts = versions, facts

    def get_versions(self, check: bool) -> Any:
        return self.versions

    def run(self, call: object, on_error: str) -> Any:
        return self.facts

    def processing(self) -> dict[str, Any]:
        return {}


def versions(scheduler: dict[str, str], worker: dict[str, str]) -> dict[str, Any]:
    return {
        "client": {"packages": PACKAGES},
        "scheduler": {"packages": {**PACKAGES, **scheduler}},
        "workers": {"tcp://w:1": {"packages": {**PACKAGES, **worker}}},
    }


@pytest.mark.parametrize(
    ("scheduler", "worker", "words"),
    [
        ({"python": "3.12.1.final.0"}, {}, "the scheduler has python 3.12 and this machine 3.11"),
        ({"distributed": "2025.1.0"}, {}, "the scheduler has distributed 2025.1.0"),
        ({}, {"dask": "2025.1.0"}, "tcp://w:1 has dask 2025.1.0"),
        ({}, {"distributed": None}, "tcp://w:1 has distributed"),
    ],
)
def test_other_versions_are_named(scheduler: Any, worker: Any, words: str) -> None:
    with pytest.raises(NoisySegError, match=words):
        connect._check_versions(HERE, Told(versions(scheduler, worker)))


def test_the_last_number_of_python_may_differ() -> None:
    connect._check_versions(HERE, Told(versions({"python": "3.11.9.final.0"}, {})))


def test_workers_without_this_program_or_with_another_version_are_told() -> None:
    with pytest.raises(LostError, match="has no worker"):
        offers_of(HERE, Told(facts={}))
    with pytest.raises(NoisySegError, match="lack this program"):
        offers_of(HERE, Told(facts={"tcp://w:1": Exception("No module named napari_noisyseg")}))
    with pytest.raises(NoisySegError, match=r"have napari-noisyseg 0\.0\.9"):
        offers_of(HERE, Told(facts={"tcp://w:1": {**FACTS, "package": "0.0.9"}}))
    mixed = {"tcp://w:1": {**FACTS, "package": "0.0.9"}, "tcp://w:2": FACTS}
    assert [offer.address for offer in offers_of(HERE, Told(facts=mixed))] == ["tcp://w:2"]


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "find_spec", lambda name: None)
    with pytest.raises(NoisySegError, match=r"napari-noisyseg\[cluster\]"):
        offers.look(HERE, "auto")


def test_only_broken_connections_become_a_loss() -> None:
    for error in (OSError("x"), TimeoutError(), ValueError("Worker tcp://w:1 not known")):
        with pytest.raises(LostError), broken("it"):
            raise error
    for other in (ValueError("a number"), KeyError("a"), NoisySegError("a")):
        with pytest.raises(type(other)), broken("it"):
            raise other
