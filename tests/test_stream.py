"""Answers of a server piece by piece: real HTTP on loopback, by a server that writes what each test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

from lima.errors import LimaError
from lima.remote.endpoint import Endpoint
from lima.remote.stream import stream_answer

Serve = Callable[..., Endpoint]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that sends these lines, with a pause after each, to every request."""
    servers: list[ThreadingHTTPServer] = []

    def start(
        lines: Sequence[str], *, kind: str = "text/event-stream", status: int = 200, pause: float = 0.0
    ) -> Endpoint:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
                assert asked["stream"] is True
                self.send_response(status)
                self.send_header("content-type", kind)
                self.end_headers()
                for line in lines:
                    self.wfile.write(line.encode() + b"\n\n")
                    self.wfile.flush()
                    time.sleep(pause)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "m", "a-secret-key")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def event(text: str) -> str:
    return "data: " + orjson.dumps({"choices": [{"delta": {"content": text}}]}).decode()


def test_pieces_come_as_they_are_written(serve: Serve) -> None:
    role = 'data: {"choices": [{"delta": {"role": "assistant"}}]}'
    lines = [": a comment", role, event("one "), event("two"), "data: [DONE]"]
    endpoint = serve(lines, pause=0.2)
    started = time.monotonic()
    times = {piece: time.monotonic() - started for piece in stream_answer(endpoint, {"messages": []})}
    assert list(times) == ["one ", "two"]
    assert times["two"] - times["one "] > 0.1


def test_a_server_that_does_not_stream_answers_in_one_piece(serve: Serve) -> None:
    reply = '{"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}'
    assert list(stream_answer(serve([reply], kind="application/json"), {})) == ["whole"]


@pytest.mark.parametrize(
    ("lines", "status", "problem"),
    [
        ([event("half")], 200, "broke off"),
        (["no"], 503, "HTTP 503"),
        (['data: {"error": "a-secret-key is over its limit"}'], 200, r"\[key\] is over"),
    ],
)
def test_what_goes_wrong_is_said_without_the_key(
    serve: Serve, lines: list[str], status: int, problem: str
) -> None:
    with pytest.raises(LimaError, match=problem) as caught:
        list(stream_answer(serve(lines, status=status), {}))
    assert "a-secret-key" not in str(caught.value)


def test_leaving_early_ends_the_request(serve: Serve) -> None:
    pieces = stream_answer(serve([event(str(n)) for n in range(1000)], pause=0.01), {})
    assert next(pieces) == "0"
    pieces.close()
    for _ in range(100):
        if not any(thread.name.endswith("(_work)") for thread in threading.enumerate()):
            return
        time.sleep(0.05)
    raise AssertionError("the request goes on")
