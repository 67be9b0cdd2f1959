"""Servers that misbehave: what they send is no verdict, what they take is paid for, and a run comes to an end."""

import hashlib
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.evaluate.conftest import MakeStudy
from tests.evaluate.test_judge import grades, preferences, run
from tests.hostile import answering, said

from lima.errors import LimaError
from lima.evaluate.settings import Task
from lima.files import read_json
from lima.remote.probe import probe
from lima.remote.settings import ProbeSettings


def refuses(body: dict[str, Any]) -> bool:
    """Four of ten requests, by a hash of what they say."""
    return hashlib.sha256(str(body["messages"]).encode()).digest()[0] % 10 < 4


def wrong(message: str = "This content is not allowed.") -> web.Response:
    return web.json_response({"error": {"message": message}}, status=400)


def test_refused_requests_are_set_apart_and_the_run_ends(make_study: MakeStudy) -> None:
    study = make_study(60)
    with answering(lambda body, _: wrong() if refuses(body) else said("Hm.\nVerdict: A")) as (url, bodies):
        run(study, url, limit=20)
        run(study, url)  # no error, although more than 20 are refused in all
        asked = len(bodies)
        rows = preferences(study)
        run(study, url)
        assert len(bodies) == asked == 120  # each question once
        run(study, url, retry_rejected=True)
        assert len(bodies) == 120 + sum(row.status == "error" for row in rows)
    counts = Counter(row.status for row in rows)
    assert counts == {"ok": 120 - counts["error"], "error": counts["error"]}
    assert counts["error"] > 20
    facts = read_json(next(study.folder.glob("judges/*/run.json")))["facts"]
    assert facts["set_apart"] == counts["error"]


def test_a_text_that_a_server_forbids_is_no_wrong_key(make_study: MakeStudy) -> None:
    """Some servers answer a prompt that their moderation flags as they answer a key that may not: HTTP 403."""
    study, flagged = (
        make_study(40),
        web.json_response({"error": {"message": "Your input was flagged"}}, status=403),
    )
    body = flagged.body

    def answer(asked: dict[str, Any], before: int) -> web.Response:
        if 0 < next(number) < 79 and refuses(
            asked
        ):  # the last one is answered: later than all that were refused
            return web.Response(body=body, status=403, content_type="application/json")
        return said("Verdict: A")

    number = count()
    with answering(answer) as (url, bodies):
        run(study, url, concurrency=1)
        assert len(bodies) == 80
        run(study, url)
        assert len(bodies) == 80  # each question once, and the run ended
    assert {row.status for row in preferences(study)} == {"ok", "error"}


def test_a_key_that_ends_stops_the_run_and_the_rest_is_asked_later(make_study: MakeStudy) -> None:
    study, left = make_study(40), iter(range(30))

    def answer(_: dict[str, Any], __: int) -> web.Response:
        if next(left, None) is None:
            time.sleep(1.1 if not late else 0)
            late.append(1)
            return web.json_response({"error": {"message": "no longer"}}, status=403)
        return said("Verdict: A")

    late: list[int] = []
    with answering(answer) as (url, _), pytest.raises(LimaError, match=r"20 requests in a row failed.*403"):
        run(study, url, concurrency=1)
    with answering(lambda *_: said("Verdict: B")) as (url, bodies):
        run(study, url, moved=True)
        assert len(bodies) == 50
    assert Counter(row.status for row in preferences(study)) == {"ok": 80}


def test_a_server_that_takes_no_request_is_named_with_the_way_out(make_study: MakeStudy) -> None:
    study = make_study(30)
    with answering(lambda body, _: wrong("No.") if "max_tokens" in body else said("Verdict: A")) as (
        url,
        bodies,
    ):
        for _ in range(2):  # a second run finds the same: nothing is set apart before the first answer
            with pytest.raises(LimaError, match=r"20 .*No.*--server openai.*--extra NAME=null"):
                run(study, url, concurrency=1)
        assert len(bodies) == 40
        assert not study.preferences.exists()
        run(study, url, server="openai")
    assert Counter(row.status for row in preferences(study))["ok"] == 60


def test_what_was_answered_before_a_server_died_is_in_the_study(make_study: MakeStudy) -> None:
    study = make_study(30)
    dead = web.json_response
    answers = iter(range(10))

    def answer(body: dict[str, Any], before: int) -> web.Response:
        alive = next(answers, None) is not None
        return said("Verdict: A") if alive else dead({"error": {"message": "gone"}}, status=500)

    with answering(answer) as (url, _), pytest.raises(LimaError, match="20 requests in a row failed"):
        run(study, url, attempts=1, concurrency=1)
    assert Counter(row.status for row in preferences(study)) == {"ok": 10, "error": 20}


@pytest.mark.parametrize("task", ["pairwise", "helpfulness", "quality", "safety"])
def test_a_judge_that_repeats_its_prompt_gives_no_verdict(
    make_study: MakeStudy, task: Task, capfd: pytest.CaptureFixture[str]
) -> None:
    study = make_study(3)
    with answering(lambda body, _: said(body["messages"][0]["content"])) as (url, _):
        run(study, url, task=task)
    rows = preferences(study) if task == "pairwise" else grades(study)
    assert {row.status for row in rows} == {"echo"}
    assert "6 replies only repeat the prompt" in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize(
    "failed",
    [said("Verdict: A", "error"), said("Verdict: A", "abort"), said("Verdict: A", error={"code": 502})],
)
def test_failed_generations_are_tried_again_a_few_times_and_then_missing(
    make_study: MakeStudy, failed: web.Response
) -> None:
    study = make_study(1)
    body = failed.body
    with answering(lambda *_: web.Response(body=body, content_type="application/json")) as (url, bodies):
        run(study, url, backoff=0.001)
    assert [row.status for row in preferences(study)] == ["error", "error"]
    assert len(bodies) == 2 * 3


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": "10", "completion_tokens": 5}, {"prompt_tokens": -9}, [1, 2], 3]
)
def test_an_unreadable_bill_is_unknown_and_ends_a_budget(
    make_study: MakeStudy, tmp_path: Path, usage: object
) -> None:
    study, prices = make_study(30), tmp_path / "prices.yaml"
    prices.write_text("rule-judge: {input: 1.0, output: 1.0}\n")
    with answering(lambda *_: said("Verdict: A", usage=usage)) as (url, bodies):
        run(study, url, prices=prices, max_cost=100.0, start_concurrency=2)
        assert len(bodies) <= 2
    facts = read_json(next(study.folder.glob("judges/*/run.json")))["facts"]
    assert facts["cost"] == "unknown"
    assert set(facts["statuses"]) == {"ok"}


def test_replies_without_an_answer_are_paid_for(make_study: MakeStudy, tmp_path: Path) -> None:
    """Content that is a number is no answer, but its 15 tokens cost 15: a budget of 100 is kept."""
    study, prices = make_study(30), tmp_path / "prices.yaml"
    prices.write_text("rule-judge: {input: 1000000.0, output: 1000000.0}\n")
    with answering(lambda body, before: said("Verdict: A" if before else 5)) as (url, bodies):
        run(study, url, prices=prices, max_cost=100.0, backoff=0.001, start_concurrency=1, concurrency=1)
        assert len(bodies) == 6
    facts = read_json(next(study.folder.glob("judges/*/run.json")))["facts"]
    assert (facts["calls"], facts["cost"]) == (6, 90.0)


def test_verdicts_in_odd_wrappings_count(make_study: MakeStudy) -> None:
    study = make_study(12)
    odd = [
        lambda: said([{"type": "text", "text": "Hm.\nVerdict: A"}]),
        lambda: web.Response(status=201, body=said("Hm.\nVerdict: A").body),
        lambda: web.Response(body=b"\xef\xbb\xbf" + bytes(said("Hm.\nVerdict: A").body)),  # type: ignore[arg-type]
        lambda: web.Response(body=bytes(said("\ud83d Hm.\nVerdict: A", score=float("nan")).body)),  # type: ignore[arg-type]
    ]
    with answering(lambda body, _: odd[body["seed"] % 4]()) as (url, bodies):
        run(study, url)
        assert {body["seed"] % 4 for body in bodies} == {0, 1, 2, 3}
    assert {row.status for row in preferences(study)} == {"ok"}


def test_dates_in_old_forms_are_waited_for(make_study: MakeStudy) -> None:
    study = make_study(2)
    dates = ["Wed Oct 21 07:28:00 2015", "Wed, 21 Oct 2015 07:28:00 -0000"]

    def answer(body: dict[str, Any], before: int) -> web.Response:
        if before:
            return said("Verdict: A")
        return web.json_response({}, status=429, headers={"Retry-After": dates[body["seed"] % 2]})

    with answering(answer) as (url, _):
        run(study, url)
    assert {row.status for row in preferences(study)} == {"ok"}


def test_a_probe_without_any_answer_is_an_error() -> None:
    down = web.json_response({"error": {"message": "down"}}, status=400).body
    with (
        answering(lambda *_: web.Response(body=down, status=400)) as (url, _),
        pytest.raises(LimaError, match=r"no request was answered.*down"),
    ):
        probe(ProbeSettings(address=f"{url}#m", at_once=(1,)))
