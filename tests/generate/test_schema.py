"""Whatever is sent to `lima serve`, it does not fail (schemathesis over its OpenAPI schema)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from starlette.routing import Route
from tests.generate.test_server import Running

from lima.generate.settings import ServeSettings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")


@pytest.fixture(scope="module")
def running(tuned_folder: Path) -> Iterator[Running]:
    server = Running(ServeSettings(model=str(tuned_folder), slots=8))
    yield server
    server.stop()


def test_the_schema_is_served_and_names_every_route(running: Running) -> None:
    document = json.loads(running.get("/openapi.json"))
    routes = {route.path_format for route in running.server.app().routes if isinstance(route, Route)}
    described = set(document["paths"])
    assert routes - described == {"/openapi.json"}
    assert described <= routes
    assert document["components"]["schemas"]["ChatRequest"]["properties"]["model"]["enum"] == [
        running.server.name
    ]


def _status(url: str, method: str, body: bytes | None, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            reply.read()
            return int(reply.status)
    except urllib.error.HTTPError as error:
        if error.code < 500 and not json.loads(error.read())["error"]["message"]:
            pytest.fail(f"{error.code} without a message")
        return error.code


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("wrong", [False, True])
def test_no_request_makes_the_server_fail(running: Running, wrong: bool) -> None:
    """Requests that keep to the schema, and such that break it in one place."""
    schema = schemathesis.openapi.from_dict(json.loads(running.get("/openapi.json")))
    seen: Counter[int] = Counter()
    mode = schemathesis.GenerationMode.NEGATIVE if wrong else schemathesis.GenerationMode.POSITIVE
    for operation in schema.get_all_operations():

        @given(case=operation.ok().as_strategy(generation_mode=mode))
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        def send(case: Any) -> None:
            arguments = case.as_transport_kwargs(base_url=running.url)
            body = arguments.get("json", arguments.get("data"))
            data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            status = _status(
                arguments["url"], arguments["method"], data, {"Content-Type": "application/json"}
            )
            seen[status] += 1
            assert status < 500, (status, arguments)

        if wrong and operation.ok().method == "get" and "{" not in operation.ok().path:
            continue  # nothing in them can be wrong
        send()
    assert seen[400 if wrong else 200] > 20, seen
    assert running.is_idle()
