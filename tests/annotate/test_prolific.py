"""Prolific's API against a stand-in that takes what its reference describes: shown first, sent on demand, no key about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.annotate.conftest import MakeSite, Site, enter, form, free_port, make_study
from tests.annotate.prolific import TOKEN, StandIn, running

from lima import cli
from lima.annotate import people
from lima.annotate.prolific.draft import FILE_NAME
from lima.errors import LimaError
from lima.evaluate.protocol import Protocol
from lima.files import write_text

DRAFT = ("--name", "Which is better?", "--reward", "300", "--minutes", "20", "--places", "30")
PUBLIC = ("--public-url", "https://study.example/s")


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with running(free_port()) as found:
        yield found


@pytest.fixture
def api(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    url = server.url
    server.__init__()  # type: ignore[misc]
    server.url = url
    monkeypatch.setenv("PROLIFIC_TOKEN", TOKEN)
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = make_study(tmp_path / "first", 3)
    write_text(found / "protocol.yaml", Protocol(introduction="Ten minutes.").to_yaml())
    return found


def run(api: StandIn, action: str, folder: Path, *flags: str) -> None:
    cli.run(["annotate", "prolific", action, str(folder), "--api", api.url, *flags])


def test_a_draft_is_shown_first_and_made_once(
    api: StandIn, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(api, "draft", folder, *DRAFT, *PUBLIC)
    shown, notes = capsys.readouterr()
    assert (api.changes, "nothing was sent" in notes) == (0, True)
    assert "90.00 in all, 9.00 an hour" in notes
    run(api, "draft", folder, *DRAFT, *PUBLIC, "--yes")
    again, notes = capsys.readouterr()
    assert again == shown  # the codes too
    (made,) = api.studies
    assert json.loads(shown.partition("\n")[2]) == made.model_dump(exclude_unset=True)
    assert made.external_study_url == (
        "https://study.example/s/panel?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    assert (made.description, made.reward, made.estimated_completion_time) == ("Ten minutes.", 300, 20)
    for code, flag in zip(
        made.completion_codes, ("return", "unqualified", "screened", "left", "failed"), strict=True
    ):
        assert f"--panel-{flag} 'https://app.prolific.com/submissions/complete?cc={code.code}'" in notes
    assert "study-1" in notes
    kept = folder / FILE_NAME
    assert oct(kept.stat().st_mode)[-3:] == "600"
    with pytest.raises(LimaError, match="its draft at Prolific is study-1"):
        run(api, "draft", folder, *DRAFT, *PUBLIC, "--yes")
    assert len(api.studies) == 1
    everything = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert TOKEN not in everything + shown + notes


def test_the_command_that_is_shown_serves_the_study(
    api: StandIn, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(api, "draft", folder, *DRAFT, *PUBLIC)
    import shlex

    line = capsys.readouterr().err.partition("serve it:\n")[2]
    assert cli.run([*shlex.split(line)[1:], "--dry-run"]) == 0


def panel_of(site: MakeSite, folder: Path, api: StandIn) -> Site:
    """People who finished, left midway, answered nothing, failed, or were excluded, and their submissions."""
    run(api, "draft", folder, *DRAFT, *PUBLIC, "--yes")
    code = api.studies[0].completion_codes[0].code
    here = site(folder=folder, overlap=0, votes=9, panel="prolific", panel_return="https://app.example/?cc=1")
    for name, answers in (
        ("done", 3),
        ("midway", 1),
        ("idle", 0),
        ("missed", 1),
        ("out", 1),
        ("stranger", 3),
    ):
        browser = here.browser()
        page = enter(browser, PROLIFIC_PID=f"p-{name}", STUDY_ID="study-1", SESSION_ID=f"s-{name}")
        for _ in range(answers):
            browser.post("/answer", data=form(page, pairwise="first"))
            page = browser.get("/work").text
        api.handed_in(f"s-{name}", f"p-{name}", code if name == "done" else None)
    api.handed_in("s-other", "p-stranger", code)
    del api.submissions["s-stranger"]  # p-stranger's id was typed by somebody else
    api.handed_in("s-nobody", "p-nobody", "NOCODE")
    api.handed_in("s-paid", "p-paid", code, "APPROVED")
    ids = {row.name: row.id for row in people.raters_joined(here.base)}
    with here.base.write() as connection:
        people.end_access(connection, ids["crowd:04"], here.clock(), state="failed")
    people.remove_rater(here.base, ids["crowd:05"], here.clock(), keep_answers=False)
    return here


def test_the_studys_own_checks_suggest_and_the_lead_decides(
    api: StandIn, folder: Path, site: MakeSite, capsys: pytest.CaptureFixture[str]
) -> None:
    here = panel_of(site, folder, api)
    database = ("--database", here.base.engine.url.render_as_string(hide_password=False))
    before = api.changes
    capsys.readouterr()
    run(api, "submissions", folder, *database)
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    said = {
        row[1]: (row[0], row[2], " ".join(row[3:]))
        for row in rows
        if len(row) > 2 and row[1].startswith("s-")
    }
    assert said == {
        "s-done": ("crowd:01", "approve", "finished, 3 answers"),
        "s-idle": ("crowd:03", "return", "answered nothing"),
        "s-midway": ("crowd:02", "look", "1 answer, not finished"),
        "s-missed": ("crowd:04", "return", "missed the known answers"),
        "s-out": ("crowd:05", "look", "you excluded this rater after 1 answer"),
        "s-other": ("crowd:06", "look", "came to this study in another visit"),
        "s-nobody": ("–", "look", "nobody came to this study with this id"),
        "s-paid": ("–", "nothing", "approved"),
    }
    run(api, "approve", folder, *database)
    assert api.changes == before
    assert '"s-done"\n' in capsys.readouterr().out
    run(api, "approve", folder, *database, "--yes")
    assert [name for name, one in api.submissions.items() if one["status"] == "APPROVED"] == [
        "s-done",
        "s-paid",
    ]
    run(api, "approve", folder, *database, "--only", "crowd:02", "--yes")
    assert api.submissions["s-midway"]["status"] == "APPROVED"
    run(api, "return", folder, *database, "--yes")
    assert {name: one["told"] for name, one in api.submissions.items() if one["return_requested"]} == {
        "s-idle": ["There was nothing left to do, or the study was not begun."],
        "s-missed": ["Several answers did not match those of comparisons whose answer is known."],
    }
    message = "Most of the answers were given in under a second, so the texts cannot have been read. " * 2
    run(
        api,
        "reject",
        folder,
        *database,
        "--only",
        "s-out",
        "--category",
        "LOW_EFFORT",
        "--message",
        message,
        "--yes",
    )
    assert set(api.rejected) == {"s-out"}
    after = api.changes
    with pytest.raises(LimaError, match="nothing is suggested to approve"):
        run(api, "approve", folder, *database, "--yes")
    with pytest.raises(LimaError, match=r"--only crowd:01: no submission of that name waits"):
        run(api, "return", folder, *database, "--only", "crowd:01", "--yes")
    with pytest.raises(LimaError, match="return of s-nobody needs --reason"):
        run(api, "return", folder, *database, "--only", "s-nobody", "--yes")
    assert api.changes == after


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            400,
            {"error": {"title": "Bad request", "detail": {"reward": ["too low"]}}},
            "too low.*mend what it names",
        ),
        (401, {"error": {"detail": f"Invalid token {TOKEN}"}}, r"\[key\].*put it into PROLIFIC_TOKEN"),
        (403, {"message": "no", "detail": "forbidden"}, "403.*no: forbidden.*of the account"),
        (404, {"error": {"detail": "Not found"}}, "no such study"),
        (429, {"detail": "slow down"}, "wait a minute"),
        (500, {"error": "down\nfor repair"}, "down for repair.*repeat the command later"),
        (302, {}, "it redirects"),
    ],
)
def test_what_the_api_refuses_is_one_line_with_the_remedy(
    api: StandIn, folder: Path, status: int, body: Any, said: str
) -> None:
    api.broken = (status, body)
    with pytest.raises(LimaError, match=said) as caught:
        run(api, "draft", folder, *DRAFT, *PUBLIC, "--yes")
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)
    api.broken = None
    run(api, "draft", folder, *DRAFT, *PUBLIC, "--yes")
    assert len(api.studies) == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"results": [{"id": 3}]}, "another form"),
        ([], "another form"),
        ({"results": [], "meta": {"count": 4}}, "0 of 4"),
    ],
)
def test_a_list_that_cannot_be_read_approves_nobody(
    api: StandIn, folder: Path, site: MakeSite, reply: Any, said: str
) -> None:
    here = site(folder=folder, overlap=0)
    api.broken = (200, reply)
    database = here.base.engine.url.render_as_string(hide_password=False)
    with pytest.raises(LimaError, match=said):
        run(api, "approve", folder, "--database", database, "--prolific-study", "study-1", "--yes")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("draft",), "draft needs --name --reward --minutes --places --public-url"),
        (("draft", *DRAFT, "--public-url", "http://study.example"), "public_url"),
        (("draft", *DRAFT, *PUBLIC, "--reason", "x"), "--reason has no effect on draft"),
        (("reject", "--only", "s", "--category", "OTHER", "--message", "bad"), "100 characters"),
        (("submissions", "--api-key-env", "not a name!"), "takes the name of an environment variable"),
        (("submissions",), "no database, so nobody has come"),
    ],
)
def test_what_a_lead_forgets_is_said_at_once(
    api: StandIn, folder: Path, flags: tuple[str, ...], said: str
) -> None:
    with pytest.raises(LimaError, match=said):
        run(api, flags[0], folder, *flags[1:])
    assert api.changes == 0


def test_without_a_token_or_a_server_the_remedy_is_named(
    api: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROLIFIC_TOKEN")
    with pytest.raises(LimaError, match="export PROLIFIC_TOKEN="):
        run(api, "draft", folder, *DRAFT, *PUBLIC, "--yes")
    monkeypatch.setenv("PROLIFIC_TOKEN", TOKEN)
    api.url, before = f"http://127.0.0.1:{free_port()}", api.url
    with pytest.raises(LimaError, match=r"127\.0\.0\.1:\d+: no answer"):
        run(api, "draft", folder, *DRAFT, *PUBLIC, "--yes")
    api.url = before
