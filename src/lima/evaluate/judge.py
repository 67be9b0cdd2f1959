"""A judge model rates a study: questions -> logged replies -> preferences or grades (LIMA, sections 4 and 5).

The raw replies under ``judges/<hash>/`` are the truth. Rows are always written from them, so that a killed
run repeats no finished request, and ``--reparse`` makes none.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from lima import console
from lima.commands import as_command, command
from lima.errors import LimaError
from lima.evaluate.agreed import taken
from lima.evaluate.forms import Beside
from lima.evaluate.identity import Judge, make_judge
from lima.evaluate.protocol import Plan
from lima.evaluate.questions import Question, Rows, plan, ratings, rows_of, verdict_of
from lima.evaluate.settings import JudgeSettings
from lima.evaluate.study import (
    Study,
    add_preferences,
    check_texts,
    existing_rows,
    noting_plan,
    open_study,
    replace_rater,
)
from lima.evaluate.watch import check_watched, in_order, watched_pairs
from lima.evaluate.wording import read_prompt
from lima.files import read_json, read_jsonl, write_json, write_jsonl
from lima.records import Grade, Preference, Rater
from lima.remote.client import ModelCard, RequestsRejected, complete_all, describe_model, run_async
from lima.remote.endpoint import parse_address, read_key, with_extras
from lima.remote.limits import Budget, Counters, Limits, Price, read_price
from lima.remote.log import Attempt, CallLog, ChatAnswer, ChatCall, read_usage
from lima.runs import open_run

CARD_NAME = "judge.json"
SHOW_EVERY = 0.1
"""Seconds between two movements of the progress bar."""

REJECTED_HINT = (
    "If it does not take a field: --server openai (or another kind) sends other fields, --extra NAME=null leaves "
    "one out."
)

CHARACTERS_PER_TOKEN = 4
"""For the estimate of ``--dry-run`` alone."""


def judge(settings: JudgeSettings) -> Rater:
    """Rate the study, or what of it is not rated yet; returns the rater that stands in ``raters.jsonl``.

    Raises:
        LimaError: no study, a server that is not there or fails without end, a prompt file with a fault.
    """
    study = open_study(settings.study)
    asked, price = _prepare(settings, study)
    rated = rows_of(study, settings.task)
    if settings.dry_run:
        _show_plan(asked, plan(asked, rated), study.folder / "judges" / asked.calls, price)
        return asked.rater("")
    card = _ask_for_card(asked, study.folder / "judges" / asked.calls)
    counters = Counters(price=price)
    while True:
        done = _judge(asked, study, rated, card, counters)
        if isinstance(done, Rater):
            return done
        asked = done


def _judge(
    asked: Judge, study: Study, rated: Rows, card: ModelCard | None, counters: Counters
) -> Rater | Judge:
    """Rate as this judge; or the judge that its server takes in its stead, where it refuses a field by name."""
    settings = asked.settings
    questions = plan(asked, rated)
    folder = study.folder / "judges" / asked.calls
    with open_run(folder / "run.json", "judge", settings) as run:
        description = _introduce(asked, card, folder)
        before = counters.calls
        first = _ask_first(asked, questions, folder, counters)
        if first is not None and (other := taken(asked, *first)):
            return other
        rater = noting_plan(study, asked.rater(description))
        add_preferences(study, rater, [])  # before the verdicts: the plan that it notes is that of now
        done = frozenset({questions[0].id} if counters.calls > before else ())
        outcome = _rate(asked, Work(questions, rated, folder, done), counters)
        if outcome.error and all(row.status == "error" for row in outcome.rows):
            raise outcome.error  # a judge that never answered is no rater
        gone = replace_rater(
            study, rater, outcome.rows, former=lambda row: row.settings.get("calls") == asked.calls
        )
        if outcome.error:
            raise outcome.error
        run.finish(rater=rater.id, **outcome.facts(counters.price))
    _show(asked, outcome, counters, gone)
    target = study.preferences if settings.task == "pairwise" else study.grades
    console.done(
        [target, folder],
        as_command("judge", settings)
        if outcome.unasked and (settings.until == "all" or counters.stopped)
        else command("report", study.folder),
    )
    return rater


@dataclass(frozen=True)
class Work:
    """What one run asks, and where its calls lie."""

    questions: Sequence[Question]
    rated: Rows
    folder: Path
    done: frozenset[str]
    """Questions that this run has asked already."""


def _ask_first(
    judge: Judge, questions: Sequence[Question], folder: Path, counters: Counters
) -> tuple[Attempt, ChatAnswer | None] | None:
    """The first question's attempt, asked now where the log is empty: it tells which fields the server takes."""
    if not questions:
        return None
    with CallLog(folder / "replies.jsonl") as log:
        request = questions[0].request(judge)
        last = log.last(request)
        again = judge.settings.retry_rejected and last is not None and last.refused_for_good
        if not judge.settings.reparse and (again or not log.outcomes):
            run_async(_send(judge, iter([request]), log, counters, (len(questions), len(questions))))
            last = log.last(request)
    return None if last is None else (last, verdict_of(judge, questions[0], last)[1])


@dataclass(frozen=True)
class Outcome:
    """What all runs of one judge have brought so far."""

    rows: Sequence[Preference | Grade]
    attempts: Sequence[Attempt]
    unasked: int
    """Questions of this run without any logged attempt."""
    set_apart: int
    """Questions of this run that the server refuses as wrong, and that are not asked again."""
    error: LimaError | None
    """Why the run stopped early; what is in the log by then is in the rows all the same."""

    def facts(self, price: Price | None) -> dict[str, Any]:
        """Figures for the run's record: from the log, so that a resumed run tells what an undisturbed one tells."""
        counters = Counters(price=price)
        for attempt in self.attempts:
            counters.ended(attempt.outcome)
            if attempt.outcome == "replied":
                counters.used(read_usage(attempt.raw))
        return {
            "statuses": dict(sorted(Counter(row.status for row in self.rows).items())),
            "unasked": self.unasked,
            "set_apart": self.set_apart,
            "calls": len(self.attempts),
            "outcomes": dict(sorted(counters.outcomes.items())),
            "prompt_tokens": counters.prompt_tokens,
            "completion_tokens": counters.completion_tokens,
            "cost": "unknown" if counters.cost is None else round(counters.cost, 6),
        }


def _prepare(settings: JudgeSettings, study: Study) -> tuple[Judge, Price | None]:
    """Everything that can be wrong before the first call."""
    protocol = study.read_protocol()
    check_texts(study, protocol)
    if settings.until == "decided":
        _check_until(settings, study, protocol.plan)
    key = "" if settings.reparse else read_key(settings.api_key_env, settings.api_key_file)
    words = protocol.words(settings.task)
    beside = Beside.of(protocol, settings.task, settings.verdict)
    prompt = read_prompt(
        settings.task,
        words,
        settings.prompt,
        form=settings.verdict,
        display=protocol.display,
        beside=beside,
    )
    if settings.task == "pairwise" and beside != Beside.of(protocol, "pairwise", "json"):
        console.warn(
            "criteria, strength and bad pairs of protocol.yaml are asked of judges with --verdict json alone"
        )
    endpoint = with_extras(parse_address(settings.judge, key), settings.header, settings.query)
    asked, warnings = make_judge(settings, endpoint, prompt, words, beside)
    price = read_price(settings.prices, asked.endpoint.model) if settings.prices else None
    if settings.max_cost is not None and price is None:
        raise LimaError(f"--max-cost needs the price of {asked.endpoint.model!r}: --prices FILE.")
    for warning in warnings:
        console.warn(warning)
    return asked, price


def _check_until(settings: JudgeSettings, study: Study, plan: Plan) -> None:
    if settings.task != "pairwise" or settings.limit or settings.reparse:
        raise LimaError("--until decided is for --task pairwise, without --limit and --reparse.")
    rated = {row.rater for row in existing_rows(study.preferences, Preference)}
    check_watched(plan, [rater for rater in existing_rows(study.raters, Rater) if rater.id in rated])


def _ask_for_card(judge: Judge, folder: Path) -> ModelCard | None:
    """The server's own word on the model, before anything is written; ``--reparse`` asks nobody: None."""
    if not judge.settings.reparse:
        return run_async(describe_model(judge.endpoint))
    if not (folder / CARD_NAME).exists():
        raise LimaError(f"{folder}: this judge has no logged replies to read again.")
    return None


def _introduce(judge: Judge, card: ModelCard | None, folder: Path) -> str:
    """Keep the server's word on the model; another server under the name is refused."""
    place = folder / CARD_NAME
    before = read_json(place) if place.exists() else None
    if card is None:
        return str(before["description"] if before else "")
    _hint_dialect(judge, card)
    seen = {"judge": judge.endpoint.address, "description": card.description}
    if before is not None and not judge.settings.moved:
        changes = [
            f"{name} {before[name]!r}, now {seen[name]!r}" for name in seen if before[name] != seen[name]
        ]
        if changes:
            raise LimaError(
                f"{folder}: this judge began with {'; '.join(changes)}. If it is the same model all the same: "
                "--moved. If not, tell the two apart: --label NAME."
            )
    write_json(place, seen | judge.asked)
    return card.description


def _hint_dialect(judge: Judge, card: ModelCard) -> None:
    kinds = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp"}
    kind = kinds.get(card.owner)
    if kind and judge.settings.server == "generic":
        console.warn(
            f"the server says it is {kind}: --server {kind} also sends the fields that it would otherwise fill in itself"
        )


def _rate(judge: Judge, work: Work, counters: Counters) -> Outcome:
    """Ask what has no valid verdict yet (nothing with ``--reparse``), then read all of the log."""
    error = None
    with CallLog(work.folder / "replies.jsonl") as log:
        try:
            if judge.settings.until == "decided":
                _ask_until_decided(judge, work, log, counters)
            elif not judge.settings.reparse:
                _ask(judge, work, log, counters)
        except RequestsRejected as rejected:
            error = LimaError(f"{rejected} {REJECTED_HINT}")
        except LimaError as stopped:
            error = stopped
        rows = list(ratings(judge, work.rated, log.outcomes))
        last = [log.outcomes.get(question.id) for question in work.questions]
        unasked = sum(attempt is None for attempt in last)
        is_apart = _set_apart(log)
        apart = sum(is_apart(attempt) for attempt in last)
        return Outcome(rows, log.sort(), unasked, apart, error)


def _set_apart(log: CallLog) -> Callable[[Attempt | None], bool]:
    """Whether an attempt was refused for what its text holds, so that asking again would bring the same.

    Where the server has answered nothing, a rejection may be about what all requests have in common. HTTP 403 is about
    the text where another one was answered later, else it may be about the key.
    """
    answered = max(
        (attempt.at for attempt in log.outcomes.values() if attempt.outcome == "replied"), default=""
    )

    def apart(attempt: Attempt | None) -> bool:
        if attempt is None or not answered:
            return False
        return attempt.refused_for_good or (attempt.http == 403 and attempt.at <= answered)

    return apart


def _ask(judge: Judge, work: Work, log: CallLog, counters: Counters) -> None:
    """Write down what will be asked, then ask what has no valid verdict yet."""
    open_ids: set[str] = set()
    _write_requests(judge, work, log, open_ids)
    open_ids -= work.done
    waiting = (question.request(judge) for question in work.questions if question.id in open_ids)
    run_async(_send(judge, waiting, log, counters, (len(work.questions), len(open_ids))))


BATCH = 16
"""Fewest comparisons between two looks at a watched study."""


def _ask_until_decided(judge: Judge, work: Work, log: CallLog, counters: Counters) -> None:
    """Ask comparison by comparison, in the order of their ids, until every pair of systems is decided."""
    study = open_study(judge.settings.study)
    keys, plan = study.read_key(), study.read_protocol().plan
    systems = [system.name for system in study.read_systems().systems]
    every = sorted({question.row.id for question in work.questions})
    step = max(BATCH, judge.settings.concurrency // 2)
    keys = {name: keys[name] for name in {row.id for row in work.rated}}
    for start in range(0, len(every), step):
        rows = [row for row in ratings(judge, work.rated, log.outcomes) if isinstance(row, Preference)]
        both = judge.settings.order == "both"
        found = watched_pairs(in_order(rows, both=both), keys, systems, alpha=plan.alpha)
        if all(pair.watched.decided_at for pair in found):
            console.note(
                f"every pair of systems is decided after {len(log.outcomes)} of {len(work.questions)} questions"
            )
            return
        batch = set(every[start : start + step])
        chosen = [question for question in work.questions if question.row.id in batch]
        _ask(judge, replace(work, questions=chosen), log, counters)


def _write_requests(judge: Judge, work: Work, log: CallLog, open_ids: set[str]) -> None:
    """All requests, sorted by id, with those of earlier runs that this run does not ask for."""
    path, questions = work.folder / "requests.jsonl", work.questions
    is_apart = _set_apart(log)

    def planned() -> Iterator[ChatCall]:
        for question in questions:
            request = question.request(judge)
            last = log.last(request)
            set_apart = is_apart(last) and not judge.settings.retry_rejected
            if not set_apart and verdict_of(judge, question, last)[0].status != "ok":
                open_ids.add(question.id)
            yield request

    ids = {question.id for question in questions}
    earlier = [row for row in read_jsonl(path, ChatCall) if row.id not in ids] if path.exists() else []
    merged: Iterator[ChatCall] = heapq.merge(planned(), earlier, key=attrgetter("id"))
    write_jsonl(path, merged)


async def _send(
    judge: Judge, requests: Iterator[ChatCall], log: CallLog, counters: Counters, counts: tuple[int, int]
) -> None:
    settings = judge.settings
    total, open_ones = counts
    limits = Limits(
        start=settings.start_concurrency,
        concurrency=settings.concurrency,
        timeout=settings.timeout,
        attempts=settings.attempts,
        backoff=settings.backoff,
    )
    budget = Budget(settings.max_calls, settings.max_seconds, settings.max_cost)
    with console.progress(f"judge {settings.task}", total, "verdicts") as tracker:
        tracker.resume(total - open_ones)
        replies = complete_all(requests, judge.endpoint, log, limits=limits, budget=budget, counters=counters)
        shown, waiting = time.monotonic(), 0
        async for _ in replies:
            waiting += 1
            if time.monotonic() - shown >= SHOW_EVERY:  # a bar costs more than a reply
                tracker.advance(waiting, counters.note())
                shown, waiting = time.monotonic(), 0
        tracker.advance(waiting, counters.note())


def _show_plan(judge: Judge, questions: Sequence[Question], folder: Path, price: Price | None) -> None:
    requests = [question.request(judge) for question in questions]
    characters = sum(len(str(request.body["messages"])) for request in requests)
    tokens = characters // CHARACTERS_PER_TOKEN
    most = len(requests) * judge.settings.max_tokens
    cost = "unknown (--prices)" if price is None else f"at most about {price.of(tokens, most):.2f}"
    logged = len(CallLog.ids(folder / "replies.jsonl"))
    console.table(
        f"{judge.rater_id} would be asked",
        ["", ""],
        [
            ["questions", len(requests)],
            ["with a logged reply", logged],
            ["tokens in, about", tokens],
            ["tokens out, at most", most],
            ["cost of all", cost],
        ],
    )


def _show(judge: Judge, outcome: Outcome, counters: Counters, gone: Sequence[str]) -> None:
    for former in gone:
        console.note(f"{former}: its rows were replaced; they came from the same replies by another parser")
    if outcome.unasked and (judge.settings.until == "all" or counters.stopped):
        reason = f" ({counters.stopped})" if counters.stopped else ""
        console.warn(f"{outcome.unasked} questions were not asked{reason}")
    if outcome.set_apart:
        console.warn(
            f"{outcome.set_apart} questions were refused by the server as wrong requests: they have no verdict and "
            "are not asked again (--retry-rejected asks them)"
        )
    rows = outcome.rows
    echoes = sum(row.status == "echo" for row in rows)
    if echoes:
        console.warn(f"{echoes} replies only repeat the prompt and hold no judgement")
    verdicts = Counter(_said(row) for row in rows if row.status == "ok")
    statuses = Counter(row.status for row in rows if row.status != "ok")
    total = max(len(rows), 1)
    lines = [[name, count, f"{count / total:.1%}"] for name, count in sorted(verdicts.items())]
    lines += [
        [f"no verdict: {name}", count, f"{count / total:.1%}"] for name, count in sorted(statuses.items())
    ]
    console.table(f"{judge.rater_id}, {judge.settings.task}", ["verdict", "n", "share"], lines)
    console.note(
        f"{counters.calls} calls in this run, at most {counters.most_in_flight} at once: {counters.note()}"
    )


def _said(row: Preference | Grade) -> str:
    if isinstance(row, Grade):
        return str(row.value)
    if row.label == "tie" or row.shown is None:
        return str(row.label)
    return "first shown better" if row.label == row.shown[0] else "second shown better"
