"""The client against a real server on the loopback: faults are told apart, counted, retried within bounds."""

import asyncio
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from examples.rule_judge import MODEL, Rule, serving
from tests.hostile import listening

from lima.errors import LimaError
from lima.files import read_jsonl
from lima.remote.client import _retry_after, complete_all, describe_model, run_async
from lima.remote.endpoint import Endpoint, check_variable_name, parse_address, read_key, with_extras
from lima.remote.limits import Budget, Counters, Gate, Limits, Price, read_price
from lima.remote.log import Attempt, CallLog, ChatCall, Reply
from lima.remote.sampling import DIALECTS, Sampling, parameters

QUICK = Limits(backoff=0.01, timeout=5)


def requests(count: int) -> list[ChatCall]:
    return [
        ChatCall(
            id=f"r{i:04d}", body={"model": MODEL, "messages": [{"role": "user", "content": f"text {i}"}]}
        )
        for i in range(count)
    ]


def send(
    url: str, path: Path, asked: Iterable[ChatCall], key: str = "", **options: Any
) -> tuple[list[Reply], Counters]:
    counters = options.setdefault("counters", Counters())
    options.setdefault("limits", QUICK)

    async def collect() -> list[Reply]:
        with CallLog(path) as log:
            return [
                reply
                async for reply in complete_all(asked, parse_address(f"{url}#{MODEL}", key), log, **options)
            ]

    return asyncio.run(collect()), counters


def stats(url: str) -> dict[str, Any]:
    async def get() -> Any:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/stats") as response:
            return await response.json()

    result: dict[str, Any] = asyncio.run(get())
    return result


def test_every_request_gets_its_reply_and_is_logged(tmp_path: Path) -> None:
    with serving(Rule()) as url:
        replies, counters = send(url, tmp_path / "log.jsonl", requests(200))
        assert stats(url)["unique"] == 200
    assert sorted(reply.request.id for reply in replies) == [f"r{i:04d}" for i in range(200)]
    assert all(reply.answer is not None for reply in replies)
    assert (counters.done, counters.calls, counters.failed) == (200, 200, 0)
    logged = list(read_jsonl(tmp_path / "log.jsonl", Attempt))
    assert len(logged) == 200
    assert all(row.outcome == "replied" and row.http == 200 for row in logged)


def test_faults_are_told_apart_counted_and_retried(tmp_path: Path) -> None:
    rule = Rule(rate_limit=0.1, server_error=0.1, drop=0.1, malformed=0.1, hang=0.02)
    with serving(rule) as url:
        limits = Limits(backoff=0.01, timeout=0.5)
        replies, counters = send(url, tmp_path / "log.jsonl", requests(300), limits=limits)
        seen = stats(url)["outcomes"]
    assert all(reply.answer is not None for reply in replies)
    assert counters.outcomes == {
        "rate_limited": seen["rate_limit"],
        "server_error": seen["server_error"],
        "dropped": seen["drop"],
        "timeout": seen["hang"],
        "replied": 300 + seen["malformed"],
    }
    assert counters.malformed == seen["malformed"]
    assert counters.retried == counters.calls - 300 == sum(seen.values()) - 300
    assert min(counters.outcomes.values()) > 0


def test_retries_are_bounded_and_the_failure_is_no_answer(tmp_path: Path) -> None:
    with serving(Rule(server_error=1.0, faults=99)) as url:
        limits = Limits(backoff=0.001, attempts=3)
        replies, counters = send(url, tmp_path / "log.jsonl", requests(5), limits=limits)
        assert stats(url)["requests"] == 15  # 5 requests x 3 attempts
    assert [reply.answer for reply in replies] == [None] * 5
    assert (counters.failed, counters.retried, counters.done) == (5, 10, 0)
    attempts = [(row.id, row.attempt) for row in read_jsonl(tmp_path / "log.jsonl", Attempt)]
    assert sorted(attempts) == [(f"r{i:04d}", n) for i in range(5) for n in (1, 2, 3)]


def test_a_dead_server_stops_the_run(tmp_path: Path) -> None:
    with serving(Rule(server_error=1.0, faults=99)) as url:
        limits = Limits(backoff=0.001, attempts=2, give_up_after=7)
        with pytest.raises(LimaError, match="7 requests in a row failed; the last: server_error, HTTP 500"):
            send(url, tmp_path / "log.jsonl", requests(500), limits=limits)
        assert stats(url)["requests"] < 100
    with pytest.raises(LimaError, match="no server answers"):
        asyncio.run(describe_model(parse_address(f"{url}#{MODEL}")))


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    with serving(Rule(rate_limit=1.0, retry_after=0.4)) as url:
        began = time.monotonic()
        replies, counters = send(url, tmp_path / "log.jsonl", requests(1))
        assert time.monotonic() - began >= 0.4
    assert replies[0].answer is not None
    assert counters.outcomes == {"rate_limited": 1, "replied": 1}
    with serving(Rule(rate_limit=1.0, retry_after=3600)) as url:  # longer than we wait: a failure, at once
        began = time.monotonic()
        replies, _ = send(url, tmp_path / "other.jsonl", requests(1))
        assert time.monotonic() - began < 5
    assert replies[0].answer is None


def test_retry_after_reads_seconds_and_dates() -> None:
    assert _retry_after("2.5") == 2.5
    assert _retry_after("-1") == 0
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0  # in the past
    assert (_retry_after("Wed, 21 Oct 2099 07:28:00 GMT") or 0) > 1e9
    assert (_retry_after("Wed Oct 21 07:28:00 2099") or 0) > 1e9  # asctime: no zone
    assert (_retry_after("Wed, 21 Oct 2099 07:28:00 -0000") or 0) > 1e9
    for text in ("soon", None, "nan", "99999999999999 Oct 2099"):
        assert _retry_after(text) is None, text
    assert _retry_after("1e400") == math.inf


def test_concurrency_grows_on_clean_rounds_and_shrinks_on_429(tmp_path: Path) -> None:
    with serving(Rule(latency=0.01)) as url:
        send(url, tmp_path / "a.jsonl", requests(400), limits=Limits(concurrency=32))
        assert stats(url)["most_in_flight"] == 32
    gate = Gate(8, 64)
    for limit in (8, 16, 32, 64, 64):
        assert gate.limit == limit
        for _ in range(limit):
            gate.clean()
    gate.shrink(entered=0)
    gate.shrink(entered=0)  # of the same round: says nothing new
    assert gate.limit == 32
    gate.shrink(entered=1)
    assert gate.limit == 16
    for _ in range(16):
        gate.clean()
    assert gate.limit == 17  # after a 429 it grows by one


def test_it_finds_the_capacity_of_a_server_and_loses_nothing(tmp_path: Path) -> None:
    with serving(Rule(latency=0.01, capacity=5)) as url:
        replies, counters = send(url, tmp_path / "a.jsonl", requests(600))
        seen = stats(url)["outcomes"]
    assert all(reply.answer is not None for reply in replies)
    assert counters.outcomes["rate_limited"] == seen["over_capacity"]
    # Once it has found the bound, a 429 comes once in a few rounds of 5: far fewer than the answers.
    assert 0 < seen["over_capacity"] < 600 * 0.2


def test_budgets_stop_the_run_and_leave_the_rest_unasked(tmp_path: Path) -> None:
    with serving(Rule(latency=0.01)) as url:
        replies, counters = send(url, tmp_path / "a.jsonl", requests(100), budget=Budget(calls=30))
        assert len(replies) == stats(url)["requests"] == 30
        assert counters.stopped == "budget of 30 calls"
        replies, counters = send(url, tmp_path / "b.jsonl", requests(3000), budget=Budget(seconds=0.3))
        assert 0 < len(replies) < 3000
        assert counters.stopped == "budget of 0.3 seconds"


def test_a_budget_in_money_is_kept(tmp_path: Path) -> None:
    # A request has 6 or 7 characters, 1 token by the server's count; its reply has 87, 21 tokens.
    price = Price(input=100_000, output=50_000)  # 0.1 a token in, 0.05 a token out: 1.15 a call
    with serving(Rule()) as url:
        counters = Counters(price=price)
        replies, _ = send(
            url, tmp_path / "a.jsonl", requests(200), budget=Budget(cost=57.5), counters=counters
        )
    assert counters.cost == pytest.approx(1.15 * len(replies))
    assert 40 <= len(replies) <= 50  # 50 calls cost 57.5
    assert counters.stopped == "budget of 57.5 in money"


def test_unknown_cost_is_unknown_not_zero(tmp_path: Path) -> None:
    assert Counters().cost is None
    counters = Counters(price=Price(input=1, output=1), unmetered=1)
    assert counters.cost is None
    assert "cost unknown" in counters.note()
    path = tmp_path / "prices.yaml"
    path.write_text("gpt-4o-mini: {input: 0.15, output: 0.6}\n")
    price = read_price(path, "gpt-4o-mini")
    assert price is not None
    assert price.of(2_000_000, 1_000_000) == pytest.approx(0.9)
    assert read_price(path, "other") is None
    path.write_text("m: {input: cheap}\n")
    with pytest.raises(LimaError, match=r"prices.yaml: m.input"):
        read_price(path, "m")


def test_the_key_is_in_no_file_and_no_error(tmp_path: Path) -> None:
    secret = "sk-very-secret-0123456789"
    with serving(Rule(key=secret)) as url:
        replies, _ = send(url, tmp_path / "good.jsonl", requests(3), key=secret)
        assert all(reply.answer for reply in replies)
        wrong = "sk-wrong-key-987654321"  # the server repeats it in its error
        with pytest.raises(LimaError) as caught:
            send(url, tmp_path / "bad.jsonl", requests(3), key=wrong)
    assert "the key is missing or wrong (HTTP 401: Incorrect API key provided: Bearer [key])" in str(
        caught.value
    )
    endpoint = parse_address(f"{url}#{MODEL}", secret)
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    for text in (written, str(caught.value), repr(endpoint), endpoint.address):
        assert secret not in text
        assert wrong not in text
    assert "[key]" in written


def test_headers_and_query_go_with_every_request_and_stay_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_KEY", "azure-secret-123456")
    seen: list[tuple[str, str | None]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.path_qs, request.headers.get("api-key")))
        return web.json_response({"error": {"message": f"no, {request.headers['api-key']}"}}, status=400)

    endpoint = parse_address("http://127.0.0.1:1/v1#m")
    with listening(answer) as port:
        endpoint = with_extras(
            parse_address(f"http://127.0.0.1:{port}/openai#m"),
            ("api-key=env:AZURE_KEY",),
            ("api-version=2024-06-01",),
        )

        async def collect() -> list[Reply]:
            with CallLog(tmp_path / "log.jsonl") as log:
                return [r async for r in complete_all(requests(1), endpoint, log, limits=QUICK)]

        asyncio.run(collect())
    assert seen == [("/openai/chat/completions?api-version=2024-06-01", "azure-secret-123456")]
    assert "azure-secret" not in (tmp_path / "log.jsonl").read_text() + repr(endpoint)
    for wrong, why in (
        ("api-key", "NAME=VALUE"),
        ("x=env:NOT_SET", "NOT_SET is not set"),
        ("x=a\nb", "carry"),
    ):
        with pytest.raises(LimaError, match=why):
            with_extras(endpoint, (wrong,), ())


def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        hosts.append(request.headers["Host"])
        choice = {"message": {"content": "x"}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice]})

    def ask(address: str, log: str) -> list[Reply]:
        async def collect() -> list[Reply]:
            with CallLog(tmp_path / log) as calls:
                endpoint = parse_address(address)
                return [r async for r in complete_all(requests(1), endpoint, calls, limits=QUICK)]

        return asyncio.run(collect())

    with listening(answer) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert ask("http://judge.invalid/v1#m", "a.jsonl")[0].answer is not None
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        assert ask(f"http://127.0.0.1:{port}/v1#m", "b.jsonl")[0].answer is not None
    assert hosts == ["judge.invalid", f"127.0.0.1:{port}"]


def test_keys_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", " abc\n")
    monkeypatch.delenv("NO_KEY", raising=False)
    assert read_key("SOME_KEY") == "abc"
    assert read_key("NO_KEY") == ""
    (tmp_path / "key").write_text("xyz\n")
    assert read_key("SOME_KEY", tmp_path / "key") == "xyz"
    with pytest.raises(LimaError, match="cannot read the key file"):
        read_key("SOME_KEY", tmp_path / "absent")
    with pytest.raises(LimaError) as caught:
        check_variable_name("sk-proj-1234")
    assert "sk-proj" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("localhost:8000#m", "no server address"),
        ("http://a..b/v1#m", "no host name"),
        ("http://localhost:8000", "names no model"),
        ("http://user:secret@localhost:8000#m", "never into the URL"),
        ("https://host/v1?api_key=secret#m", "never into the URL"),
    ],
)
def test_addresses(address: str, problem: str) -> None:
    with pytest.raises(LimaError, match=problem) as caught:
        parse_address(address)
    assert "secret" not in str(caught.value)


def test_a_base_path_is_kept() -> None:
    assert parse_address("https://host/api/v3/#m/x") == Endpoint("https://host/api/v3", "m/x")


def test_the_server_describes_its_model() -> None:
    with serving(Rule(bias=0.25)) as url:
        card = asyncio.run(describe_model(parse_address(f"{url}#{MODEL}")))
        assert "the longer answer wins" in card.description
        assert "bias 0.25" in card.description
        with pytest.raises(LimaError, match=f"no model 'other' there. It offers: {MODEL}"):
            asyncio.run(describe_model(parse_address(f"{url}#other")))


def test_it_runs_within_a_running_loop() -> None:
    async def notebook_cell(url: str) -> str:
        return run_async(describe_model(parse_address(f"{url}#{MODEL}"))).owner

    with serving(Rule()) as url:
        assert asyncio.run(notebook_cell(url)) == "lima-example"


def test_a_logged_reply_answers_only_the_very_request(tmp_path: Path) -> None:
    with serving(Rule()) as url:
        send(url, tmp_path / "log.jsonl", requests(1))
    log = CallLog(tmp_path / "log.jsonl")
    request = requests(1)[0]
    changed = request.model_copy(update={"body": {**request.body, "temperature": 1.0}})
    assert log.last(request) is not None
    assert log.last(changed) is None
    log.close()


def test_every_parameter_is_sent_and_never_n() -> None:
    for dialect, facts in DIALECTS.items():
        body, _ = parameters(Sampling(0.7, 0.9, 99, 3, 1.2, ("END",)), dialect)
        assert "n" not in body
        assert body[facts.length] == 99
        assert (body["temperature"], body["top_p"], body["seed"], body["stop"]) == (0.7, 0.9, 3, ["END"])
        assert body["frequency_penalty"] == body["presence_penalty"] == 0
        assert facts.penalty is None or body[facts.penalty] == 1.2
    assert parameters(Sampling(), "vllm")[0].keys() >= {"top_k", "min_p", "repetition_penalty"}
    assert parameters(Sampling(repetition_penalty=1.2), "vllm")[1] == [
        "repetition_penalty 1.2 counts the prompt's tokens too on vllm"
    ]
