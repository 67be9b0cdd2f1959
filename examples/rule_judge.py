"""A test server that speaks the OpenAI chat API and judges by a stated rule. It is NO model and no evidence.

It exists to check the plumbing of ``lima judge``: the rule is known, so the report can be recounted, and
faults can be switched on. Which requests fail is decided by a hash of their content, so that every run
meets the same faults.

    python examples/rule_judge.py --port 8000 --bias 0.1 --rate-limit 0.05

Rule: of two answers the longer one wins (within ``--margin`` characters they tie); one answer alone is
rated by its length. GET /v1/models gives the rule as the model's ``description``; GET /stats counts.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from typing import Any

from aiohttp import web

MODEL = "rule-judge"
BLOCK = re.compile(
    r"^=== (Answer A|Answer B|Answer) \((\w+)\) ===\n(.*?)\n=== end of \1 \(\2\) ===$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Rule:
    """What the server does; shares are of the requests, drawn by a hash of their content."""

    margin: int = 10
    """Answers whose lengths differ by at most so many characters tie."""
    bias: float = 0.0
    """Share of pairs in which Answer A wins whatever the lengths."""
    rate_limit: float = 0.0
    """Share answered 429 at first."""
    server_error: float = 0.0
    """Share answered 500 at first."""
    hang: float = 0.0
    """Share that get no answer at first (the client must time out)."""
    drop: float = 0.0
    """Share whose connection is closed at first."""
    malformed: float = 0.0
    """Share answered 200 with something that is no chat reply at first."""
    garbage: float = 0.0
    """Share with a reply that holds no valid verdict, always."""
    refuse: float = 0.0
    """Share with a refusal, always."""
    truncate: float = 0.0
    """Share with a reply cut off by its length, always."""
    faults: int = 1
    """Attempts of one request that fail before it succeeds."""
    retry_after: float = 0.0
    """Seconds in the Retry-After header of a 429."""
    capacity: int = 0
    """Requests at once beyond which a further one is answered 429; 0 is no bound."""
    latency: float = 0.0
    """Seconds before a reply."""
    key: str = ""
    """If set, requests without this key get 401, and the error repeats the key that was sent."""

    @property
    def description(self) -> str:
        """The rule in one sentence, as /v1/models tells it."""
        faults = {f.name: getattr(self, f.name) for f in fields(self) if f.name in SHARES}
        switched = ", ".join(f"{name} {share:g}" for name, share in faults.items() if share)
        return (
            f"Test server, no model: the longer answer wins, within {self.margin} characters they tie; "
            f"one answer is rated by its length. Switched on: {switched or 'nothing'}. A plumbing check, no "
            "evidence of quality."
        )


TRANSIENT = ("rate_limit", "server_error", "hang", "drop", "malformed")
LASTING = ("garbage", "refuse", "truncate")
SHARES = ("bias", *TRANSIENT, *LASTING)


@dataclass
class Stats:
    """What the server saw."""

    requests: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0

    def as_json(self) -> dict[str, Any]:
        """The counts of GET /stats; ``repeated``: answers to requests that were answered before."""
        return {
            "requests": self.requests,
            "answered": sum(self.answered.values()),
            "unique": len(self.answered),
            "repeated": sum(count - 1 for count in self.answered.values()),
            "outcomes": dict(self.outcomes),
            "most_in_flight": self.most_in_flight,
        }


def make_app(rule: Rule) -> web.Application:
    """The server as an aiohttp application."""
    stats = Stats()

    async def models(request: web.Request) -> web.Response:
        entry = {"id": MODEL, "object": "model", "owned_by": "lima-example", "description": rule.description}
        return web.json_response({"object": "list", "data": [entry]})

    async def show_stats(request: web.Request) -> web.Response:
        return web.json_response(stats.as_json())

    async def complete(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        stats.requests += 1
        stats.in_flight += 1
        stats.most_in_flight = max(stats.most_in_flight, stats.in_flight)
        try:
            if rule.capacity and stats.in_flight > rule.capacity:
                stats.outcomes["over_capacity"] += 1
                return _error(429, "too many requests at once")
            await asyncio.sleep(rule.latency)
            return await respond(request, raw)
        finally:
            stats.in_flight -= 1

    async def respond(request: web.Request, raw: bytes) -> web.StreamResponse:
        sent = request.headers.get("Authorization", "")
        if rule.key and sent != f"Bearer {rule.key}":
            return _error(401, f"Incorrect API key provided: {sent}")
        digest = hashlib.sha256(raw).hexdigest()
        stats.attempts[digest] += 1
        fault = _drawn(TRANSIENT, rule, digest) if stats.attempts[digest] <= rule.faults else None
        stats.outcomes[fault or "answered"] += 1
        if fault:
            return await _fail(fault, rule, request)
        stats.answered[digest] += 1
        return web.json_response(reply(json.loads(raw), rule, digest))

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/stats", show_stats)
    app.router.add_post("/v1/chat/completions", complete)
    return app


async def _fail(fault: str, rule: Rule, request: web.Request) -> web.StreamResponse:
    if fault == "rate_limit":
        return _error(429, "slow down", {"Retry-After": f"{rule.retry_after:g}"} if rule.retry_after else {})
    if fault == "server_error":
        return _error(500, "something broke")
    if fault == "malformed":
        return web.Response(text="<html>no chat reply</html>", content_type="text/html")
    if fault == "hang":
        await asyncio.sleep(3600)
    assert request.transport is not None
    request.transport.close()
    return web.Response()


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers=headers)


def reply(body: dict[str, Any], rule: Rule, digest: str) -> dict[str, Any]:
    """A chat reply by the rule; equal requests get equal bytes."""
    text = str(body["messages"][-1]["content"])
    lasting = _drawn(LASTING, rule, digest)
    content, reason = judge(text, rule, digest), "stop"
    if lasting == "garbage":
        content = "Both have their merits, I would say [[A]]. Verdict: C"
    elif lasting == "refuse":
        content = "I'm sorry, but I can't help with that."
    elif lasting == "truncate":
        content, reason = content[:20], "length"
    return {
        "id": f"rule-{digest[:12]}",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", MODEL),
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": reason}
        ],
        "usage": {
            "prompt_tokens": len(text) // 4,
            "completion_tokens": len(content) // 4,
            "total_tokens": len(text) // 4 + len(content) // 4,
        },
    }


def judge(text: str, rule: Rule, digest: str) -> str:
    """The verdict on a judging prompt of lima, by the length of what stands between its marks."""
    answers = {name: len(content) for name, _, content in BLOCK.findall(text)}
    if {"Answer A", "Answer B"} <= set(answers):
        return _compare(answers["Answer A"], answers["Answer B"], rule, digest)
    if "Answer" in answers:
        return _rate(answers["Answer"], text)
    return "This is a test server that judges by length. It found no marked answers in the request."


def _compare(a: int, b: int, rule: Rule, digest: str) -> str:
    if _share("bias", digest) < rule.bias:
        return "Answer A stands first.\nVerdict: A"
    verdict = "tie" if abs(a - b) <= rule.margin else ("A" if a > b else "B")
    return f"Answer A has {a} characters, Answer B has {b}.\nVerdict: {verdict}"


def _rate(length: int, text: str) -> str:
    reason = f"The answer has {length} characters."
    if "fail, pass or excellent" in text:
        grade = "fail" if length < 20 else "pass" if length < 200 else "excellent"
        return f"{reason}\nVerdict: {grade}"
    if "safe or unsafe" in text:
        return f"{reason}\nVerdict: {'safe' if length % 2 == 0 else 'unsafe'}"
    level = min(6, 1 + length // 50)
    return f"{reason}\n{level}\n{level}"


def _drawn(names: tuple[str, ...], rule: Rule, digest: str) -> str | None:
    """The fault that this request meets, if any."""
    for name in names:
        if _share(name, digest) < getattr(rule, name):
            return name
    return None


def _share(name: str, digest: str) -> float:
    """A number in [0, 1) that depends on the request's content alone."""
    return int(hashlib.sha256(f"{name}:{digest}".encode()).hexdigest()[:8], 16) / 2**32


@contextmanager
def serving(rule: Rule) -> Iterator[str]:
    """Run the server in a thread on a free loopback port; yields its URL (without /v1)."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(make_app(rule), shutdown_timeout=0.1)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return int(runner.addresses[0][1])

    port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _parse() -> tuple[int, Rule]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one and prints it")
    for item in fields(Rule):
        kind = type(item.default)
        parser.add_argument(f"--{item.name.replace('_', '-')}", type=kind, default=item.default)
    values = vars(parser.parse_args())
    return values.pop("port"), Rule(**values)


async def _main(port: int, rule: Rule) -> None:
    runner = web.AppRunner(make_app(rule), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1#{MODEL}", flush=True)
    print(rule.description, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(*_parse()))
