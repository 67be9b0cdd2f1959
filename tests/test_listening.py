"""Our own servers against clients that begin requests and never end them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI

from lima.remote.patience import PatientProtocol

PATIENCE = 0.4
HEAD = b"POST /slow HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n"


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server whose one page answers after twice the patience that it has with requests."""
    monkeypatch.setattr(PatientProtocol, "seconds", PATIENCE)
    app = FastAPI()

    @app.post("/slow")
    def slow() -> str:
        time.sleep(2 * PATIENCE)
        return "done"

    config = uvicorn.Config(app, port=0, http=PatientProtocol, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def connect(port: int, sent: bytes) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port), timeout=10)
    found.sendall(sent)
    return found


def test_a_request_that_never_ends_ends_its_connection_and_a_slow_answer_does_not(port: int) -> None:
    begun = time.monotonic()
    unfinished = [connect(port, sent) for sent in (b"", b"GET /sl", HEAD[:-4], HEAD, HEAD + b"1")]
    whole = connect(port, HEAD + b"12")
    assert [one.recv(100) for one in unfinished] == [b""] * 5
    assert time.monotonic() - begun < 2 * PATIENCE, "cut off before the whole one is answered"
    assert b"200 OK" in whole.recv(1_000)
    time.sleep(1.5 * PATIENCE)  # at rest between two requests, which uvicorn's own limit is for
    whole.sendall(HEAD + b"12")
    assert b"200 OK" in whole.recv(1_000)
    whole.sendall(HEAD[:20])
    assert whole.recv(1_000) == b"", "the second one that ends in the middle"
