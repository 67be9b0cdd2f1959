"""The steps between reading and choosing. All have one form: an item goes in; it comes out as it is, changed, or dropped.

What is dropped comes out as a `Reject`, and later steps pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lima.curate.candidate import Candidate, Item, Problem, Step
from lima.curate.rules import RuleSettings, first_problem, raw_problem
from lima.curate.text.clean import prose_of
from lima.curate.text.personal import count_personal, redacted
from lima.records import Reject


def decoding(rules: RuleSettings) -> list[Step]:
    """From a raw candidate to one with its texts; what the rules drop on the way is not decoded any further."""
    return [
        Filter(lambda raw: raw_problem(raw, rules), raw=True),
        Decode(),
        ChoosePrompt(Filter(lambda candidate: first_problem(candidate, rules))),
    ]


def steps_of(rules: RuleSettings, personal: Personal) -> list[Step]:
    """From a raw candidate to one that passes the rules.

    The rules are applied here and nowhere else, always in the order of `RULES`: to what the raw row tells, to an answer whose
    prompt is still open, and to the whole candidate.
    """
    return [*decoding(rules), personal, Filter(lambda candidate: first_problem(candidate, rules))]


class Filter:
    """Drops candidates that have a problem; with ``raw`` those that are not decoded yet."""

    def __init__(self, problem: Callable[[Any], Problem | None], raw: bool = False) -> None:
        self._problem, self._raw = problem, raw

    def __call__(self, item: Item) -> Item:
        """The candidate, or why it is dropped."""
        if isinstance(item, Reject) or isinstance(item, Candidate) is self._raw:
            return item
        found = self._problem(item)
        return Reject(id=item.id, rule=found[0], reason=found[1]) if found else item


class Decode:
    """Turns raw rows into texts: XML, then HTML."""

    def __call__(self, item: Item) -> Item:
        """A candidate, or the reason why there is none."""
        return item if isinstance(item, Candidate | Reject) else item.decode()


class ChoosePrompt:
    """Chooses the prompt where it is still open, unless the rules drop the answer whatever the prompt."""

    def __init__(self, rules: Step) -> None:
        self._rules = rules

    def __call__(self, item: Item) -> Item:
        """The candidate with its prompt, or why it is dropped."""
        if not isinstance(item, Candidate) or item.choose is None:
            return item
        judged = self._rules(item)
        return judged if isinstance(judged, Reject) else item.choose(item)


class Personal:
    """Redacts personal data, or drops candidates that hold any, before a rule can quote them in its reason."""

    def __init__(self, how: str, regions: Sequence[str]) -> None:
        self._how, self._regions = how, tuple(regions)

    def __call__(self, item: Item) -> Item:
        """The candidate without them, or the reason why it is dropped; unchanged where they are only reported."""
        if self._how == "report" or not isinstance(item, Candidate):
            return item
        example, counts = redacted(item.example, regions=self._regions)
        if not counts:
            return item
        if self._how == "drop":
            found = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
            return Reject(id=item.id, rule="personal-data", reason=f"it holds {found}")
        transforms = (*example.meta.transforms, "personal data redacted")
        example = example.model_copy(
            update={"meta": example.meta.model_copy(update={"transforms": transforms})}
        )
        answer = "" if example.is_prompt else example.messages[-1].content
        return replace(item, example=example, answer=answer, prose=prose_of(answer))

    def kinds(self, candidate: Candidate) -> list[str]:
        """The kinds of personal data that a candidate holds."""
        return list(count_personal([candidate.example], regions=self._regions))
