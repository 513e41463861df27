"""Which addresses a scheduler may have, and which are safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_noisyseg.errors import NoisySegError, in_window
from napari_noisyseg.worker.cluster.address import Scheduler
from napari_noisyseg.worker.cluster.connect import LostError, connected
from napari_noisyseg.worker.cluster.offers import Offer, able
from napari_noisyseg.worker.cluster.security import CA, CERT, KEY, security


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tcp://127.0.0.1:8786", "tcp://127.0.0.1:8786"),
        (" tcp://localhost ", "tcp://localhost:8786"),
        ("tcp://[::1]:99", "tcp://[::1]:99"),
        ("tls://lab.example.org", "tls://lab.example.org:8786"),
        ("tls://10.0.0.5:1/", "tls://10.0.0.5:1"),
    ],
)
def test_an_address_is_read(text: str, found: str) -> None:
    assert Scheduler.of(text).address == found


@pytest.mark.parametrize(
    "text",
    ["", "here", "http://a:1", "tcp://", "tcp://a:port", "tcp://a:99999", "tls://a:1/x",
     "tls://a:1?k=v", "127.0.0.1:8786", "tcp://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(NoisySegError, match="tcp://HOST:PORT"):
        Scheduler.of(text)


def test_a_password_does_not_come_into_the_project() -> None:
    with pytest.raises(NoisySegError, match="name or password") as told:
        Scheduler.of("tls://me:secret@lab:8786")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("host", ["10.0.0.5", "lab", "localhost.example.org", "0.0.0.0"])
def test_beyond_this_machine_it_must_be_encrypted(host: str) -> None:
    with pytest.raises(NoisySegError, match="--insecure") as told:
        Scheduler.of(f"tcp://{host}:8786")
    assert "--" not in in_window(told.value)
    assert Scheduler.of(f"tcp://{host}:8786", insecure=True).address == f"tcp://{host}:8786"


def test_tls_needs_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (CA, CERT, KEY):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NoisySegError, match="needs certificates"):
        security(Scheduler.of("tls://lab"), "client")
    monkeypatch.setenv(CA, str(tmp_path / "ca.pem"))
    with pytest.raises(NoisySegError, match=r"no certificate .*ca\.pem"):
        security(Scheduler.of("tls://lab"), "client")


def test_no_answer_is_told_in_time() -> None:
    scheduler = Scheduler.of("tcp://127.0.0.1:9")
    with pytest.raises(LostError, match="does not answer"), connected(scheduler, seconds=0.5):
        pass


def test_a_gpu_comes_first_and_then_who_is_free() -> None:
    scheduler = Scheduler.of("tcp://127.0.0.1")
    plain = Offer("a", "a", "1", "2.6", "", 8, 1)
    busy = Offer("b", "b", "1", "2.6", "A100", 4, 1, busy=2)
    free = Offer("c", "c", "1", "2.6", "A100", 4, 1)
    bare = Offer("d", "d", "1", "", "", 4, 1)
    assert able(scheduler, [plain, bare, busy, free], "auto") == [free, busy, plain]
    assert able(scheduler, [busy, plain], "cpu") == [plain, busy]
    assert able(scheduler, [plain, free], "cuda") == [free]
    with pytest.raises(NoisySegError, match="no worker has a GPU"):
        able(scheduler, [plain], "cuda")
    with pytest.raises(NoisySegError, match="no worker has PyTorch"):
        able(scheduler, [bare], "auto")
