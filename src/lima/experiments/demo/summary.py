"""The end of ``lima demo``: what three systems say and how often they are right, on one screen.

Shares are of questions, with intervals by person, because a person's facts are known or not together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lima import console
from lima.records import Example
from lima.statistics.estimates import Estimate, Result
from lima.statistics.intervals import share
from lima.world.oracle import Oracle, Score

SYSTEMS = {
    "base": "read about the world, not tuned",
    "tuned": "read about the world, then tuned",
    "scratch": "tuned, has read nothing",
}
"""What each system is, in the order of the table."""
SHOWN_QUESTIONS = 4
KNOWS_ITS_WORLD = 0.5
"""Below this share of completed statements the base has not learnt its world, and the demo shows little."""
MEASURES = {"form": "right form", "knowledge": "right fact", "exact": "both"}


@dataclass(frozen=True)
class Summary:
    """Questions, what each system answered, and what the oracle says of it."""

    oracle: Oracle
    prompts: Sequence[Example]
    answers: Mapping[str, Sequence[str]]
    """By system, in the order of the prompts."""
    completions_known: Sequence[bool]
    """For each fact of each test person, whether the base completes a statement about it rightly."""

    def scores(self, system: str) -> list[Score]:
        """The oracle's scores of a system's answers."""
        given = zip(self.prompts, self.answers[system], strict=True)
        return [self.oracle.score(_question(prompt), answer) for prompt, answer in given]

    def share(self, system: str, measure: str) -> Estimate:
        """How often a system is right: ``form``, ``knowledge`` or ``exact``."""
        hits = [bool(getattr(score, measure)) for score in self.scores(system)]
        people = [self.oracle.subject(_question(prompt))[0].name for prompt in self.prompts]
        return _estimate(share(hits, people))

    @property
    def known(self) -> float:
        """The share of facts that the base knows, whether or not it can be asked for them."""
        return sum(self.completions_known) / len(self.completions_known)

    def facts(self) -> dict[str, Any]:
        """All numbers, for ``demo.json``."""
        rates = {
            system: {measure: _numbers(self.share(system, measure)) for measure in MEASURES}
            for system in SYSTEMS
        }
        cloze = {"value": round(self.known, 4), "n": len(self.completions_known)}
        return {"base_completes_statements": cloze, **rates}


def show(summary: Summary) -> None:
    """Print the answers to a few questions, the rates, and what they mean."""
    rows = [_answer_row(summary, position) for position in _one_an_attribute(summary.prompts)]
    console.table("What they say", ["question", *SYSTEMS], rows, align="left")
    rates = [
        [f"{system}: {what}", *(_percent(summary.share(system, measure)) for measure in MEASURES)]
        for system, what in SYSTEMS.items()
    ]
    title = f"How often they are right: % of {len(summary.prompts)} questions, with 95 % intervals by person"
    console.table(title, ["system", *MEASURES.values()], rates)
    console.results.print(_meaning(summary), soft_wrap=True, markup=False)


def _meaning(summary: Summary) -> str:
    def percent(system: str, measure: str) -> str:
        return f"{100 * summary.share(system, measure).value:.0f} %"

    knows, tuned, scratch = (
        summary.known,
        summary.share("tuned", "knowledge"),
        summary.share("scratch", "knowledge"),
    )
    seen = (
        f"\nThe base knows {100 * knows:.0f} % of these people's facts (it completes statements about them); asked for "
        f"one, it goes on like the forum it has read (right fact {percent('base', 'knowledge')}, right form "
        f"{percent('base', 'form')}). After tuning on examples about other people: form {percent('tuned', 'form')}, "
        f"fact {percent('tuned', 'knowledge')}. After the same tuning, a model that has read nothing: form "
        f"{percent('scratch', 'form')}, fact {percent('scratch', 'knowledge')}.\n"
    )
    apart = tuned.low is not None and scratch.high is not None and tuned.low > scratch.high
    shown = (
        "Shown: the examples taught the form; the facts came from what the base had read.\n"
        if apart and knows >= KNOWS_ITS_WORLD
        else "Not shown in this run: that facts come from pretraining. The base knows too little of its world, or "
        "the intervals of the two tuned models overlap; more --pretraining-steps help.\n"
    )
    return (
        seen
        + shown
        + (
            "Not shown in any run: anything about large models or about what people prefer. The world is a small working "
            "model of the claim with exact marks, and no evidence about a 65B model.\n"
        )
    )


def _one_an_attribute(prompts: Sequence[Example]) -> list[int]:
    """Positions of the first question about each attribute: chosen before any answer is seen."""
    first: dict[str, int] = {}
    for position, prompt in enumerate(prompts):
        first.setdefault(prompt.meta.tags[0], position)
    return sorted(first.values())[:SHOWN_QUESTIONS]


def _answer_row(summary: Summary, position: int) -> list[str]:
    question = _question(summary.prompts[position])
    person, attribute = summary.oracle.subject(question)
    said = [summary.answers[system][position] or "(nothing)" for system in SYSTEMS]
    return [f"{question}\n({person.fact(attribute)})", *said]


def _question(prompt: Example) -> str:
    return prompt.messages[-1].content


def _percent(result: Estimate) -> str:
    low, high = result.interval
    return f"{100 * result.value:.0f} [{100 * low:.0f}, {100 * high:.0f}]"


def _numbers(result: Estimate) -> dict[str, Any]:
    low, high = result.interval
    return {
        "value": round(result.value, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "level": result.level,
        "n": result.n,
        "people": result.clusters,
        "method": result.method,
    }


def _estimate(result: Result) -> Estimate:
    assert isinstance(result, Estimate), result
    return result
