"""A connection to a scheduler, opened within a time limit; whatever goes wrong, said in a line."""

from __future__ import annotations

import contextlib
import logging
import ssl
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.worker.cluster.address import Scheduler
from napari_noisyseg.worker.cluster.security import security

if TYPE_CHECKING:
    from distributed import Client

ANSWER = 5.0
"""Seconds that a scheduler has for its first answer."""
GOODBYE = 3.0
SAME = ("python", "distributed", "dask")
"""What must be equal everywhere: Dask's machines speak only to their like."""
INSTALL = "pip install 'napari-noisyseg[cluster]'"


class LostError(NoisySegError):
    """The scheduler, the worker or the way there is gone; another try may find them again."""


def check_installed() -> None:
    """Raise NoisySegError where Dask is missing."""
    if find_spec("distributed") is None:
        raise NoisySegError(f"another machine is reached by Dask, which is missing: {INSTALL}")


@contextlib.contextmanager
def connected(scheduler: Scheduler, seconds: float = ANSWER) -> Iterator[Client]:
    """A client of the scheduler, of versions that fit. Raises NoisySegError.

    No answer is a LostError.

    Inside, what Dask raises when the connection breaks becomes a LostError.
    """
    check_installed()
    client = _client(scheduler, seconds)
    try:
        with broken(f"the connection to {scheduler.address}"):
            _check_versions(scheduler, client)
            yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=GOODBYE)


def _client(scheduler: Scheduler, seconds: float) -> Client:
    secure = security(scheduler, "client")
    from distributed import Client, versions

    # its own words about a lost connection are no line of ours
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # told in our words by _check_versions
            warnings.simplefilter("ignore", versions.VersionMismatchWarning)
            return Client(scheduler.address, timeout=seconds, security=secure, set_as_default=False)
    except (OSError, TimeoutError, ssl.SSLError, ValueError) as error:
        raise _unanswered(scheduler, seconds, error) from error


def _unanswered(scheduler: Scheduler, seconds: float, error: BaseException) -> NoisySegError:
    if _by_certificate(error):
        return NoisySegError(
            f"{scheduler.address}: its certificate and ours do not match; ask the person who runs "
            "the scheduler for the right ones",
            window=f"{scheduler.address} does not accept this computer's certificate. Ask the "
            "person who runs that machine for the right one.",
        )
    perhaps = "does it take our certificate" if scheduler.encrypted else "does it want tls://"
    return LostError(
        f"{scheduler.address} does not answer within {seconds:g} seconds: is the scheduler "
        f"running, is the address right, {perhaps}, and may this network reach it?",
        window=f"{scheduler.address} does not answer. Is that machine on, is the address right, "
        "and are you in its network?",
    )


def _by_certificate(error: BaseException | None) -> bool:
    while error is not None:
        words = str(error).lower()
        if isinstance(error, ssl.SSLError) or "certificate" in words or "tls" in words.split():
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def broken(what: str) -> Iterator[None]:
    """What Dask raises when a connection breaks, as a LostError that names it."""
    try:
        yield
    except NoisySegError:
        raise
    except (OSError, TimeoutError, EOFError) as error:
        raise LostError(f"{what} broke off") from error
    except (RuntimeError, ValueError, KeyError) as error:
        # Dask's words for a client that is closed and a worker that is no more
        words = str(error).lower()
        if "closed" in words or "not running" in words or "://" in words:
            raise LostError(f"{what} broke off") from error
        raise


def _check_versions(scheduler: Scheduler, client: Client) -> None:
    """Raise NoisySegError, naming both, where scheduler, workers and we are of other versions."""
    found = client.get_versions(check=False)
    here = _packages(found["client"])
    others = {"the scheduler": found["scheduler"], **found["workers"]}
    for where, told in others.items():
        there = _packages(told)
        for name in SAME:
            if there.get(name) != here[name]:
                raise NoisySegError(
                    f"{scheduler.address}: {where} has {name} {there.get(name) or 'unknown'} and "
                    f"this machine {here[name]}: install the same on both",
                    window=f"{scheduler.address} answers, but has other versions of its programs "
                    f"than this computer ({name}). The person who runs it can change that.",
                )


def _packages(told: Any) -> dict[str, str]:
    """Versions by name; of Python major and minor alone."""
    try:
        found = {str(k): str(v) for k, v in dict(told["packages"]).items()}
    except (KeyError, TypeError, ValueError):
        return {}
    found["python"] = ".".join(found.get("python", "").split(".")[:2])
    return found
