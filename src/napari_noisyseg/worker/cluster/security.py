"""Certificates for tls://, from the environment or Dask's own settings; never from a project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.worker.cluster.address import Scheduler

CA, CERT, KEY = "NOISYSEG_TLS_CA", "NOISYSEG_TLS_CERT", "NOISYSEG_TLS_KEY"
_HOW = (
    f"set {CA}, {CERT} and {KEY} to the files that whoever runs the scheduler gave you, or "
    "distributed.comm.tls in ~/.config/dask/"
)


def security(scheduler: Scheduler, role: Literal["client", "worker"]) -> Any:
    """Dask's `Security` for tls://, None for tcp://. Raises NoisySegError without certificates."""
    if not scheduler.encrypted:
        return None
    from distributed.security import Security

    given = {
        "tls_ca_file": os.environ.get(CA),
        f"tls_{role}_cert": os.environ.get(CERT),
        f"tls_{role}_key": os.environ.get(KEY),
    }
    found = Security(require_encryption=True, **{k: v for k, v in given.items() if v})
    for name in given:
        _check(scheduler, name, getattr(found, name))
    return found


def _check(scheduler: Scheduler, name: str, value: str | None) -> None:
    """A setting must name a file that is there, or hold a certificate itself."""
    if not value and name.endswith("_key"):
        return  # the certificate's file may hold both
    if not value:
        raise NoisySegError(
            f"{scheduler.address}: tls:// needs certificates and none are set: {_HOW}",
            window=f"{scheduler.address} wants to know who you are, and no certificate is set up "
            "on this computer. Whoever looks after that machine can do it.",
        )
    if "-----BEGIN" not in value and not regular_file.is_file(Path(value).expanduser()):
        raise NoisySegError(
            f"{scheduler.address}: there is no certificate {value}: {_HOW}",
            window=f"The certificate {value} is not there. Whoever looks after {scheduler.address} "
            "can give you another.",
        )
