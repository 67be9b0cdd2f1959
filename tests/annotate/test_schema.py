"""Whatever is sent to any route, the server does not fail (schemathesis over the OpenAPI schema)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.annotate.conftest import MakeSite, field
from tests.annotate.test_dialogues import parrots
from tests.annotate.test_review import desk

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")


HOMES = {"compare": "/work", "dialogue": "/dialogue", "review": "/review/write"}


@pytest.mark.slow
@pytest.mark.parametrize("who", ["nobody", "rater", "lead"])
@pytest.mark.parametrize("kind", ["compare", "dialogue", "review"])
def test_no_request_makes_the_server_fail(site: MakeSite, tmp_path: Path, who: str, kind: str) -> None:
    here = {
        "compare": lambda: site(30),
        "dialogue": lambda: parrots(tmp_path, site),
        "review": lambda: desk(site, tmp_path, count=30),
    }[kind]()
    here.app.state.site.lead_attempts.burst = here.app.state.site.answering.burst = 1e9
    browser = {
        "nobody": here.browser,
        "rater": lambda: here.rater(here.app.state.site.work.groups[0]),
        "lead": here.lead,
    }[who]()
    page = browser.get({"nobody": "/lead/sign-in", "rater": HOMES[kind], "lead": "/lead"}[who]).text
    csrf = field(page, "csrf")
    schema = schemathesis.openapi.from_dict(here.app.openapi())
    seen = set()
    for operation in schema.get_all_operations():

        @given(case=operation.ok().as_strategy())
        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        def send(case: object) -> None:
            arguments = case.as_transport_kwargs(base_url="http://127.0.0.1")  # type: ignore[attr-defined]
            body = arguments.get("data")
            if isinstance(body, dict) and len(body) % 2:
                arguments["data"] = body | {"csrf": csrf}
            keep = {
                name: arguments[name]
                for name in ("method", "url", "params", "data", "json")
                if arguments.get(name)
            }
            reply = browser.request(**keep, follow_redirects=False)
            seen.add(reply.status_code)
            assert reply.status_code < 500, (keep, reply.text)

        send()
    assert 200 in seen
