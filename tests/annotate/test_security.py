"""Secrets, forms from elsewhere, sizes, rates, and text that tries to run."""

from __future__ import annotations

import json
import logging
import re
import socket
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.annotate.conftest import MakeSite, Site, cookie_of, field, form

from lima.annotate import people
from lima.annotate.people import digest
from lima.annotate.security import LARGEST_BODY, RateLimit, Refused
from lima.annotate.tables import invitations, metadata, sessions
from lima.evaluate.protocol import Protocol


def test_pages_allow_no_inline_script_and_no_other_origin(site: MakeSite) -> None:
    here = site()
    for browser, path in ((here.rater(), "/work"), (here.lead(), "/lead"), (here.browser(), "/lead/sign-in")):
        reply = browser.get(path)
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["referrer-policy"] == "same-origin"
        assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|<style|\son\w+=", reply.text)
        assert not re.search(r'(src|href)="(https?:)?//', reply.text)


def test_files_of_pages_are_kept_for_good_under_an_address_of_their_content(site: MakeSite) -> None:
    here = site()
    page = here.rater().get("/work").text
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(addresses) >= 4
    version = addresses[0].split("/")[2]
    for address in [
        *addresses,
        f"/static/{version}/send.js",
    ]:  # a script's imports have the address of the script
        reply = here.browser().get(address)
        assert reply.status_code == 200
        assert "immutable" in reply.headers["cache-control"]
    for gone in (f"/static/{version}/none.js", "/static/0123abcd/send.js", "/static/send.js"):
        assert here.browser().get(gone).status_code == 404
        assert here.browser().get(gone).headers["cache-control"] == "no-store"


def test_tokens_and_codes_are_stored_as_hashes(site: MakeSite) -> None:
    here = site()
    code = people.invite(here.base, "crowd", "", here.clock())
    token = cookie_of(here.rater(), "rater")
    with here.base.read() as connection:
        assert digest(token) in connection.scalars(sa.select(sessions.c.token_hash)).all()
        assert digest(code) in connection.scalars(sa.select(invitations.c.code_hash)).all()
        for table in metadata.sorted_tables:
            stored = str(connection.execute(sa.select(table)).all())
            assert token not in stored
            assert code not in stored


def test_cookies_are_out_of_reach_for_scripts_and_other_sites(site: MakeSite) -> None:
    here = site(public_url="https://study.example.org")
    code = people.invite(here.base, "crowd", "", here.clock())
    cookie = here.browser().get(f"/join/{code}").headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "secure"))
    lead_cookie = here.browser().get("/lead/sign-in").headers["set-cookie"].lower()
    assert all(part in lead_cookie for part in ("httponly", "samesite=strict", "secure"))


def test_no_secret_reaches_the_log(site: MakeSite, caplog: pytest.LogCaptureFixture) -> None:
    here = site()
    with caplog.at_level(logging.DEBUG):
        code = people.invite(here.base, "crowd", "", here.clock())
        browser = here.browser()
        page = browser.get(f"/join/{code}").text
        browser.post(f"/join/{code}", data={"csrf": field(page, "csrf")})
        here.lead()
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name == "lima.annotate")
    assert "GET /join/{code} 200" in ours
    everything = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("http")
    )  # the test's own client logs its requests
    assert code not in everything
    assert cookie_of(browser, "rater") not in everything


def test_an_invitation_works_once_and_a_preview_does_not_use_it_up(site: MakeSite) -> None:
    here = site()
    code = people.invite(here.base, "crowd", "", here.clock())
    here.browser().get(f"/join/{code}")
    browser = here.browser()
    csrf = field(browser.get(f"/join/{code}").text, "csrf")
    for _ in range(2):  # a double click
        assert browser.post(f"/join/{code}", data={"csrf": csrf}).url.path == "/work"
    other = here.browser().get(f"/join/{code}")
    assert other.status_code == 410
    assert "used already" in other.text


def test_a_revoked_invitation_or_rater_has_no_entry(site: MakeSite) -> None:
    here = site()
    code = people.invite(here.base, "crowd", "", here.clock())
    people.revoke_invitation(here.base, 1, here.clock())
    assert "no longer valid" in here.browser().get(f"/join/{code}").text
    rater = here.rater()
    people.remove_rater(here.base, 1, here.clock(), keep_answers=True)
    assert rater.get("/work").status_code == 401


@pytest.mark.parametrize("path", ["/answer", "/undo"])
@pytest.mark.parametrize("csrf", ["", "0" * 32, "\N{SNOWMAN}"])
def test_a_form_without_our_token_is_refused(site: MakeSite, path: str, csrf: str) -> None:
    rater = site().rater()
    sent = form(rater.get("/work").text, pairwise="first") | {"csrf": csrf}
    assert rater.post(path, data=sent).status_code == 403


def test_a_form_from_another_site_is_refused(site: MakeSite) -> None:
    rater = site().rater()
    sent = form(rater.get("/work").text, pairwise="first")
    assert rater.post("/answer", data=sent, headers={"sec-fetch-site": "cross-site"}).status_code == 403


LEAD_FORMS = [
    "/lead/sign-out",
    "/lead/invitations",
    "/lead/invitations/many",
    "/lead/invitations/1/revoke",
    "/lead/raters/1/invitations",
    "/lead/raters/1/revoke",
    "/lead/raters/1/exclude",
    "/lead/raters/1/forget",
    "/lead/export",
    "/lead/close",
    "/lead/adjudicate",
    "/lead/panel/exclude",
    "/lead/panel/forget",
]


@pytest.mark.parametrize("path", LEAD_FORMS)
def test_the_console_is_the_leads_alone(site: MakeSite, path: str) -> None:
    here = site()
    rater, lead = here.rater(), here.lead()
    csrf = field(rater.get("/work").text, "csrf")
    values = {"csrf": csrf, "group": "crowd", "comparison": "x"}
    assert rater.post(path, data=values).status_code == 401
    assert lead.post(path, data=values).status_code == 403


def test_the_list_above_names_every_form_of_the_console(site: MakeSite) -> None:
    paths = {
        re.sub(r"\{\w+\}", "1", path)
        for path, methods in site().app.openapi()["paths"].items()
        if path.startswith("/lead/") and "post" in methods
    }
    assert paths - {"/lead/sign-in"} == set(LEAD_FORMS)


def test_downloads_need_the_lead(site: MakeSite) -> None:
    assert site().rater().get("/lead/export/preferences.jsonl").status_code == 401


def test_guessing_the_leads_secret_is_slow(site: MakeSite) -> None:
    here = site()
    browser = here.browser()
    csrf = field(browser.get("/lead/sign-in").text, "csrf")
    codes = [
        browser.post("/lead/sign-in", data={"secret": f"guess {n}", "csrf": csrf}).status_code
        for n in range(12)
    ]
    assert codes == [401] * 10 + [429] * 2


def test_one_rater_cannot_answer_for_another(site: MakeSite) -> None:
    here = site()
    one, other = here.rater(), here.rater()
    theirs, mine = one.get("/work").text, other.get("/work").text
    sent = form(theirs, pairwise="first") | {"csrf": field(mine, "csrf")}
    assert other.post("/answer", data=sent).status_code == 404


def test_large_bodies_are_refused_with_and_without_a_length(site: MakeSite) -> None:
    rater = site().rater()
    large = b"pairwise=" + b"x" * LARGEST_BODY
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert rater.post("/answer", content=large, headers=kind).status_code == 413
    chunks = (large[i : i + 1024] for i in range(0, len(large), 1024))
    assert rater.post("/answer", content=chunks, headers=kind).status_code in (400, 413)


def test_other_host_names_are_not_served(site: MakeSite) -> None:
    """A foreign page could point its own name at this machine (DNS rebinding)."""
    browser = site().browser()
    assert browser.get("/health", headers={"host": "evil.example"}).status_code == 421
    assert browser.get("/health", headers={"host": "localhost:8400"}).status_code == 200


def test_rates_are_limited_by_name() -> None:
    limit = RateLimit(per_second=1, burst=2)
    limit.check("one", 0.0)
    limit.check("one", 0.0)
    with pytest.raises(Refused):
        limit.check("one", 0.5)
    limit.check("other", 0.5)
    limit.check("one", 1.5)


def test_the_documentation_of_the_api_is_not_served(site: MakeSite) -> None:
    browser = site().browser()
    assert {browser.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")} == {404}


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "<svg><script>alert(1)</script></svg>",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "```<script>\nalert(1)\n```",
    "</div></main><form action=/undo>",
    "$\\href{javascript:alert(1)}{x}$",
]


def test_a_models_text_stays_text_on_the_page(site: MakeSite, tmp_path: Path) -> None:
    folder = tmp_path / "attack"
    here = _attacked(site, folder, json.dumps("\n\n".join(ATTACKS)))
    page = here.rater().get("/work").text
    assert page.count("<script") == 1, "our own module"
    assert page.count("<form") == 3, "the view, the answer, undo"
    assert page.count("</main>") == 1
    assert not re.search(r"<(img|svg|iframe|object|embed)\b", page)
    assert not re.search(r'(href|src)="(?![/#]|https?:)', page)


def _attacked(site: MakeSite, folder: Path, text: str) -> Site:
    folder.mkdir()
    row = f'{{"id": "c", "messages": [{{"role": "user", "content": {text}}}], "a": {text}, "b": {text}}}\n'
    (folder / "comparisons.jsonl").write_text(row)
    (folder / "protocol.yaml").write_text(Protocol().to_yaml())
    return site(folder=folder)


def test_two_studies_on_one_host_leave_each_other_signed_in(site: MakeSite) -> None:
    """Browsers send a cookie to every port of its host."""
    one, other = site(4), site(5)
    first = one.rater()
    second = TestClient(other.app, base_url="http://127.0.0.1", cookies=first.cookies)
    code = people.invite(other.base, "crowd", "", other.clock())
    welcome = second.get(f"/join/{code}")
    assert second.post(f"/join/{code}", data={"csrf": field(welcome.text, "csrf")}).status_code == 200
    both = TestClient(one.app, base_url="http://127.0.0.1", cookies=second.cookies)
    assert "question-" in second.get("/work").text
    assert "question-" in both.get("/work").text


def test_a_cookie_of_a_former_version_still_lets_in(site: MakeSite) -> None:
    here = site(4)
    token = cookie_of(here.rater(), "rater")
    browser = TestClient(here.app, base_url="http://127.0.0.1", cookies={"lima_rater": token})
    assert "question-" in browser.get("/work").text


@pytest.mark.parametrize(
    ("host", "name", "status"),
    [
        ("0.0.0.0", "192.0.2.7:8400", 200),
        ("0.0.0.0", "[2001:db8::1]:8400", 200),
        ("0.0.0.0", socket.gethostname().upper(), 200),
        ("0.0.0.0", "evil.example", 421),
        ("127.0.0.1", "192.0.2.7", 421),
        ("127.0.0.1", "LOCALHOST", 200),
    ],
)
def test_a_server_on_every_address_answers_to_the_machines_names(
    site: MakeSite, host: str, name: str, status: int
) -> None:
    browser = site(4, host=host).browser()
    assert browser.get("/health", headers={"host": name}).status_code == status


def test_under_a_path_every_address_has_it(site: MakeSite) -> None:
    """A proxy takes the path off what it sends on; links, forms, cookies and redirects have it."""
    here = site(4, public_url="https://study.example.org/first/")
    code = people.invite(here.base, "crowd", "", here.clock())
    browser = TestClient(here.app, base_url="https://study.example.org", follow_redirects=False)
    welcome = browser.get(f"/join/{code}")
    assert "Path=/first" in welcome.headers["set-cookie"]
    token = next(iter(browser.cookies.values()))
    browser.headers["cookie"] = f"lima_rater_{here.name}={token}"
    entered = browser.post(f"/join/{code}", data={"csrf": field(welcome.text, "csrf")})
    assert entered.headers["location"] == "/first/work"
    page = browser.get("/work").text
    for address in re.findall(r'(?:href|action|src)="(/[^"]*)"', page):
        assert address.startswith("/first/"), address
    lead = browser.get("/lead")
    assert lead.headers["location"] == "/first/lead/sign-in"
