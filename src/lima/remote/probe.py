"""Which request fields does a server honour? Each is tried on short requests whose outcome would differ.

A server that takes a field without a word may still ignore it: a seed that changes nothing, a penalty that
is no field of the API. The verdicts: ``honoured``, ``ignored``, ``refused`` (an error) and ``unclear``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lima import console
from lima.commands import command
from lima.errors import LimaError
from lima.files import write_json
from lima.remote.client import complete_all, describe_model, run_async
from lima.remote.endpoint import Endpoint, parse_address, read_key, with_extras
from lima.remote.limits import Counters, Limits
from lima.remote.log import CallLog, ChatCall, Reply, read_json_reply
from lima.remote.sampling import Sampling, parameters
from lima.remote.settings import ProbeSettings

Finding = Literal["honoured", "ignored", "refused", "unclear"]

STORY = "Write the first sentence of a surprising story."
COUNT = "Count from 1 to 20, separated by spaces."
ECHO = "Write the word yes fifty times, separated by spaces."
TRIES = 3


@dataclass(frozen=True)
class Result:
    """What was found of one request field."""

    name: str
    finding: Finding
    evidence: str


@dataclass(frozen=True)
class Throughput:
    """One round of requests sent at once."""

    at_once: int
    requests_per_second: float
    rate_limited: int
    failed: int


@dataclass(frozen=True)
class Trial:
    """One request field to try.

    ``bodies`` are the requests, as what they add to a plain one; ``judge`` reads their texts, which come
    in the same order, into a finding and its evidence.
    """

    name: str
    prompt: str
    bodies: tuple[dict[str, Any], ...]
    judge: Callable[[Sequence[Reply]], tuple[Finding, str]] = field(repr=False)


def probe(settings: ProbeSettings) -> tuple[list[Result], list[Throughput]]:
    """Try every field and print what was found."""
    if settings.dry_run:
        trials = make_trials()
        calls = sum(len(trial.bodies) for trial in trials) + sum(settings.at_once)
        console.note(f"{len(trials)} fields to try, {calls} requests to {settings.address}")
        return [], []
    endpoint = parse_address(settings.address, read_key(settings.api_key_env, settings.api_key_file))
    endpoint = with_extras(endpoint, settings.header, settings.query)
    results, rounds = run_async(_probe(endpoint, settings))
    console.table(
        f"{endpoint.address}: request fields",
        ["field", "finding", "evidence"],
        [[result.name, result.finding, result.evidence] for result in results],
    )
    console.table(
        "requests at once",
        ["at once", "requests/s", "429", "failed"],
        [[row.at_once, f"{row.requests_per_second:.1f}", row.rate_limited, row.failed] for row in rounds],
    )
    if settings.out:
        found = {"fields": [asdict(row) for row in results], "at_once": [asdict(row) for row in rounds]}
        write_json(settings.out, {"address": endpoint.address, **found})
    console.done(
        [settings.out] if settings.out else [], command("judge", "STUDY", "--judge", endpoint.address)
    )
    return results, rounds


def make_trials() -> list[Trial]:
    """All fields that lima sends to one kind of server or another, and some that it must know of."""
    free = tuple({"temperature": 1.0, "seed": seed} for seed in range(TRIES))
    return [
        Trial("temperature", STORY, _narrowed(free, temperature=0.0), _narrows),
        Trial("top_p", STORY, _narrowed(free, top_p=1e-6), _narrows),
        Trial("top_k", STORY, _narrowed(free, top_k=1), _narrows),
        Trial("seed", STORY, (free[0], *free), _seed),
        Trial("max_tokens", COUNT, ({"max_tokens": 4},), _length),
        Trial("max_completion_tokens", COUNT, ({"max_tokens": None, "max_completion_tokens": 4},), _length),
        Trial("stop", COUNT, ({"stop": [" 5"]},), _stop),
        *(
            Trial(name, ECHO, ({}, {name: value}), _changed)
            for name, value in (
                ("frequency_penalty", 2.0),
                ("presence_penalty", 2.0),
                ("repetition_penalty", 1.8),
                ("repeat_penalty", 1.8),
            )
        ),
        Trial("logprobs", COUNT, ({"logprobs": True},), _logprobs),
        Trial("an unknown field", COUNT, ({"lima_no_such_field": 1},), _unknown),
    ]


async def _probe(endpoint: Endpoint, settings: ProbeSettings) -> tuple[list[Result], list[Throughput]]:
    await describe_model(endpoint)
    trials = make_trials()
    with tempfile.TemporaryDirectory() as folder, console.progress("probe", len(trials), "fields") as tracker:
        results, answered = [], 0
        for number, trial in enumerate(trials):
            batch = Batch(trial.prompt, trial.bodies, Path(folder) / f"{number}.jsonl", at_once=4)
            replies, _ = await _ask(endpoint, settings, batch)
            results.append(_result(trial, replies))
            answered += sum(reply.answer is not None for reply in replies)
            tracker.advance(1, trial.name)
        if not answered:
            raise LimaError(f"{endpoint.address}: no request was answered; the last: {results[-1].evidence}.")
        rounds = []
        for count in settings.at_once:
            bodies = tuple({"seed": seed} for seed in range(count))
            batch = Batch(COUNT, bodies, Path(folder) / f"at-once-{count}.jsonl", at_once=count)
            began = time.monotonic()
            replies, counters = await _ask(endpoint, settings, batch)
            seconds = time.monotonic() - began
            limited = counters.outcomes.get("rate_limited", 0)
            rounds.append(Throughput(count, round(len(replies) / seconds, 1), limited, counters.failed))
    return results, rounds


@dataclass(frozen=True)
class Batch:
    """Requests that differ from a plain one by ``bodies``; a field with the value None is left out."""

    prompt: str
    bodies: Sequence[dict[str, Any]]
    log: Path
    at_once: int


async def _ask(endpoint: Endpoint, settings: ProbeSettings, batch: Batch) -> tuple[list[Reply], Counters]:
    """The replies in the order of the bodies."""
    plain, _ = parameters(Sampling(max_tokens=64), settings.server)
    messages = [{"role": "user", "content": batch.prompt}]
    requests = []
    for number, extra in enumerate(batch.bodies):
        sent = {"model": endpoint.model, "messages": messages, **plain, **extra}
        sent = {name: value for name, value in sent.items() if value is not None}
        requests.append(ChatCall(id=f"{number:03d}", body=sent))
    counters = Counters()
    limits = Limits(batch.at_once, batch.at_once, settings.timeout, attempts=3, give_up_after=10**9)
    with CallLog(batch.log) as calls:
        replies = [r async for r in complete_all(requests, endpoint, calls, limits=limits, counters=counters)]
    return sorted(replies, key=lambda reply: reply.request.id), counters


def _result(trial: Trial, replies: Sequence[Reply]) -> Result:
    failed = [reply.last for reply in replies if reply.answer is None]
    if not failed:
        return Result(trial.name, *trial.judge(replies))
    last = failed[0]
    finding: Finding = "refused" if last.outcome == "rejected" else "unclear"
    return Result(trial.name, finding, f"{last.outcome} {last.http or ''} {' '.join(last.raw.split())[:80]}")


def _texts(replies: Sequence[Reply]) -> list[str]:
    return [reply.answer.content for reply in replies if reply.answer]


def _seed(replies: Sequence[Reply]) -> tuple[Finding, str]:
    texts = _texts(replies)
    same, different = texts[0] == texts[1], len(set(texts[1:]))
    evidence = (
        f"one seed twice: {'equal' if same else 'different'}; {TRIES} seeds: {different} different texts"
    )
    if different == 1:
        return "unclear", f"{evidence}: the server never varies"
    return ("honoured" if same else "ignored"), evidence


def _narrowed(free: Sequence[dict[str, Any]], **field: float) -> tuple[dict[str, Any], ...]:
    """The same requests with a field that leaves one candidate a token, then without it."""
    return (*({**body, **field} for body in free), *free)


def _narrows(replies: Sequence[Reply]) -> tuple[Finding, str]:
    """With the field seeds must not matter; without it they must, or nothing is shown."""
    texts = _texts(replies)
    narrow, free = len(set(texts[:TRIES])), len(set(texts[TRIES:]))
    evidence = f"{TRIES} seeds: {narrow} different texts with it, {free} without"
    if free == 1:
        return "unclear", f"{evidence}: the server never varies"
    return ("honoured" if narrow == 1 else "ignored"), evidence


def _length(replies: Sequence[Reply]) -> tuple[Finding, str]:
    answer = replies[0].answer
    assert answer is not None
    evidence = f"asked for 4 tokens: {answer.completion_tokens or 'unknown'}, {answer.finish_reason!r}"
    return ("honoured" if answer.finish_reason == "length" else "ignored"), evidence


def _stop(replies: Sequence[Reply]) -> tuple[Finding, str]:
    text = _texts(replies)[0]
    evidence = f"stop ' 5' in a count: {text[:40]!r}"
    if " 5" in text:
        return "ignored", evidence
    return ("honoured" if "4" in text else "unclear"), evidence


def _changed(replies: Sequence[Reply]) -> tuple[Finding, str]:
    plain, penalised = (text.count("yes") for text in _texts(replies))
    evidence = f"'yes' {plain} times without, {penalised} times with it"
    if plain < 2:
        return "unclear", evidence
    return ("honoured" if penalised != plain else "ignored"), evidence


def _logprobs(replies: Sequence[Reply]) -> tuple[Finding, str]:
    given = read_json_reply(replies[0].last.raw)["choices"][0].get("logprobs")
    return ("honoured" if given else "ignored"), "in the reply" if given else "not in the reply"


def _unknown(replies: Sequence[Reply]) -> tuple[Finding, str]:
    return "ignored", "taken without a word: a field that is misspelt shows no error"
