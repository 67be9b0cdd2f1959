"""Numbers and names as words: what the page, the tables and the terminal have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lima.evaluate.protocol import Plan
from lima.files import text_hash
from lima.report.numbers.analysis import Numbers
from lima.report.numbers.joint import Together
from lima.report.numbers.panel import PANEL
from lima.report.numbers.preferences import p_value
from lima.report.numbers.raters import RaterCard
from lima.statistics.estimates import Estimate, Result, Significance, Undefined

if TYPE_CHECKING:
    from markupsafe import Markup


def percent(value: float, digits: int = 1) -> str:
    """A share in per cent with a narrow space before the sign.

    >>> percent(0.534)
    '53.4\\u202f%'
    """
    return f"{100 * value:.{digits}f}\u202f%"


def points(value: float, digits: int = 1) -> str:
    """A difference of shares in points, with its sign.

    >>> points(-0.041)
    '\\u22124.1'
    """
    text = f"{100 * value:+.{digits}f}".replace("-", "\u2212")
    return text.lstrip("+\u2212") if float(f"{100 * value:.{digits}f}") == 0 else text


def plain(value: float, digits: int = 2) -> str:
    """A number on its own scale."""
    return f"{value:.{digits}f}".replace("-", "\u2212")


def signed(value: float, digits: int = 2) -> str:
    """A difference on its own scale, with its sign."""
    return f"{value:+.{digits}f}".replace("-", "\u2212")


def interval(result: Estimate, form: Callable[[float], str]) -> str:
    """``[low, high]`` in the form of the value, without repeating its per cent sign; empty without interval."""
    if result.low is None or result.high is None:
        return ""
    low, high = (form(bound).removesuffix("\u202f%") for bound in (result.low, result.high))
    return f"[{low}, {high}]"


def p_text(test: Significance | Undefined) -> str:
    """A p value to three places.

    >>> p_text(Significance(0.00002, 9, 9, "exact sign test"))
    '< .001'
    """
    p = p_value(test)
    if p is None:
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def describe(result: Result) -> str:
    """How a figure was made, for the reader who points at it."""
    if isinstance(result, Undefined):
        return result.reason
    note = f"; {result.note}" if result.note else ""
    return f"{result.method}, n = {result.n}, {result.clusters} prompts{note}"


def excerpt(text: str, length: int = 110) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def is_undefined(result: Result) -> bool:
    """Whether there is no such figure."""
    return isinstance(result, Undefined)


def judge_name(rater: str) -> tuple[str, str]:
    """A rater id as a name and the hash of a judge's settings, which may be empty.

    >>> judge_name("judge:m@1f2e"), judge_name("crowd")
    (('judge m', '1f2e'), ('crowd', ''))
    """
    kind, _, rest = rater.partition(":")
    name, _, digest = rest.partition("@")
    return (f"{kind} {name}".strip(), digest)


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "prompt"), count(1200, "prompt")
    ('1 prompt', '1,200 prompts')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def by_whom(raters: Sequence[RaterCard]) -> str:
    """Who gave the rows: people, models (one may be several raters, such as one a task) and oracles by number."""
    active = [card for card in raters if card.rows]
    judges = [card for card in active if card.kind == "judge"]
    oracles = sum(card.kind == "oracle" for card in active)
    people = len(active) - len(judges) - oracles
    parts = []
    if people:
        parts.append("1 person" if people == 1 else f"{people:,} people")
    if judges:
        models = {card.id.partition("@")[0] for card in judges}
        tasks = {card.settings.get("task") for card in judges}
        several = count(len(tasks), "task") if len(tasks) > 1 else f"{len(judges)} settings"
        parts.append(count(len(models), "judge") + (f" ({several})" if len(judges) > len(models) else ""))
    if oracles:
        what = "a program that knows" if oracles == 1 else "programs that know"
        parts.append(f"{count(oracles, 'oracle')} ({what} the truth)")
    return f" by {listed(parts)}" if parts else ""


def title(numbers: Numbers) -> str:
    """The report's headline: who is compared with whom."""
    system, *others = numbers.systems or ["No system"]
    star = all(finding.system == system for finding in numbers.findings)
    if others and star and len(others) <= 3:
        return f"{system} against {listed(others)}"
    if others and star:
        return f"{system} against {len(others)} other systems"
    return f"{system} among {len(others) + 1} systems" if len(others) > 2 else listed([system, *others])


def listed(names: Sequence[str]) -> str:
    """The names in a row.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


FORMS: dict[str, Callable[[float], str]] = {
    "percent": percent,
    "points": points,
    "share": lambda value: f"{100 * value:.0f}",
    "plain": plain,
    "signed": signed,
    "whole": lambda value: f"{value:,.0f}",
}


def plan_in_words(plan: Plan | None) -> str:
    """Which tests were planned.

    >>> plan_in_words(None)
    'No plan was written down before the first verdict, so every test is exploratory.'
    >>> plan_in_words(Plan(tests={}))
    'The plan names no test, so every test is exploratory.'
    """
    if plan is None:
        return "No plan was written down before the first verdict, so every test is exploratory."
    tests = [f"{task} by {listed(kinds)}" for task, kinds in plan.tests.items() if kinds]
    if not tests:
        return "The plan names no test, so every test is exploratory."
    return f"Planned tests: {'; '.join(tests)}. Every other figure is exploratory."


def together_in_words(row: Together) -> str:
    """One estimate by people and a judge as a sentence."""
    form = row.form
    about = f"{row.system} against {row.baseline}" if row.baseline else row.system
    who = "the panel of judges" if row.judge == PANEL else judge_name(row.judge)[0]
    if isinstance(row.both, Undefined):
        return f"{about}, {row.measure}, people and {who} together: {row.both}."
    figure = f"{value_text(row.both, form)} {interval_text(row.both, form)}".rstrip()
    worth = "" if row.worth is None else f"; as good as {count(row.worth, 'human vote')} alone"
    said = f"{about}, {row.measure}, people and {who} together: {figure}{worth}"
    return f"{said} (n = {count(row.both.n, 'vote')})."


def value_text(result: Estimate, form: str) -> str:
    """The value of an estimate in one of `FORMS`."""
    return FORMS[form](result.value)


def interval_text(result: Estimate, form: str) -> str:
    """The interval of an estimate in one of `FORMS`."""
    return interval(result, FORMS[form])


def names_whole(text: str, names: Sequence[str]) -> Markup:
    """The text, escaped, with each name in an element that keeps it on one line."""
    from markupsafe import Markup, escape

    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    parts = re.split(f"({pattern})", text) if pattern else [text]
    return Markup("").join(
        Markup('<span class="name">{}</span>').format(part) if k % 2 else escape(part)
        for k, part in enumerate(parts)
    )


def last_user_turn(messages: Sequence[Any]) -> str:
    """The text that was answered."""
    return next((m.content for m in reversed(messages) if m.role == "user"), "")


def rows_file(*identity: str) -> str:
    """File name of the rows behind a number: the kind, the group of raters, and the systems.

    >>> rows_file("preference", "judge:m@1f", "tuned", "base")
    'preference-judge-m-1f-tuned-base-3112f8.html'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", "-".join(identity).lower()).strip("-")[:80]
    return f"{slug}-{text_hash(*identity, length=6)}.html"
