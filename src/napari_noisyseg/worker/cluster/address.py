"""Where a scheduler listens, and whether the way there is safe; needs no Dask."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from napari_noisyseg.errors import NoisySegError

PORT = 8786
"""Dask's own, where none is given"""
_FORM = "write tcp://HOST:PORT or tls://HOST:PORT"


@dataclass(frozen=True, slots=True)
class Scheduler:
    """A scheduler's address, checked. insecure: unencrypted although beyond this machine."""

    address: str
    insecure: bool = False

    @classmethod
    def of(cls, text: str, insecure: bool = False) -> Self:
        """Read an address. Raises NoisySegError for none, and for an unsafe one."""
        scheme, host, port = _parts(text)
        if scheme == "tcp" and not _is_here(host) and not insecure:
            raise NoisySegError(
                f"{text}: tcp:// is not encrypted, and whoever reaches that scheduler can run "
                "programs on every machine; use tls://, or add --insecure in a network that you "
                "trust",
                window=f"{text} is not encrypted: anybody in that network could run programs on "
                "those machines. Ask for an address that begins with tls://.",
            )
        host = f"[{host}]" if ":" in host else host
        return cls(f"{scheme}://{host}:{port}", insecure)

    @property
    def encrypted(self) -> bool:
        """Whether it is spoken to with certificates."""
        return self.address.startswith("tls://")


def _parts(text: str) -> tuple[str, str, int]:
    try:
        found = urlsplit(text.strip())
        host, port = found.hostname or "", found.port or PORT
    except ValueError as error:
        raise NoisySegError(f"{text!r} is no scheduler's address ({error}): {_FORM}") from error
    rest = found.path.strip("/") or found.query or found.fragment
    if found.scheme not in ("tcp", "tls") or not host or rest:
        raise NoisySegError(f"{text!r} is no scheduler's address: {_FORM}")
    if "@" in found.netloc:
        raise NoisySegError(
            "the scheduler's address holds a name or password, which would be kept in the project: "
            "leave it out; tls:// knows people by their certificates"
        )
    return found.scheme, host, port


def _is_here(host: str) -> bool:
    """Whether a host is surely this machine: names but `localhost` can be anybody's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
