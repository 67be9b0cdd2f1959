"""What goes through the pipeline: candidates in strata, the draw from them, the split into sets, and the funnel of counts.

Exchanges are drawn with temperature tau = 3 (paper, section 2.1). Train, dev, test and held-out sets share no question and
no pair of authors.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from lima import console
from lima.curate.text.blocks import words_of
from lima.files import text_hash
from lima.records import Cut, Example, Message, Meta, Reject

Problem = tuple[str, str]
"""Why a candidate is dropped: the rule's name, and the reason in words."""


@dataclass(frozen=True)
class Candidate:
    """An example that the rules have not judged yet."""

    example: Example
    answer: str = ""
    """The text that the rules of length and of words judge; empty for a bare prompt."""
    prose: str = ""
    """The answer without its code."""
    holes: int = 0
    """Places in the answer that point to an image or link which cleaning left out."""
    title: str | None = None
    """The title that must stand alone; None if the source has none."""
    misfit: str | None = None
    """Why the answer does not fit the prompt, where there was no better one."""
    recency: int = 0
    """A number that grows with time, such as the post's id; 0 if unknown."""
    choose: Callable[[Candidate], Candidate | Reject] | None = None
    """Chooses the prompt where that costs as much as cleaning the answer; called once the rules have passed the rest."""
    cuts: tuple[Cut, ...] = ()
    """What was cut out of its messages, for the person who picks by hand."""
    group: str = ""
    """Candidates of one group go to the same split: for instance the same asker and answerer."""

    @property
    def id(self) -> str:
        """The example's id."""
        return self.example.id

    @property
    def rank(self) -> tuple[float, int, int]:
        """Of two that are nearly the same the greater stays: score, then length in words, then the newer one."""
        score = self.example.meta.score
        return (-math.inf if score is None else score, len(words_of(self.answer)), self.recency)


def single_turn(
    identifier: str, source: str, prompt: str, answer: str | None, meta: Mapping[str, Any]
) -> Example:
    """A prompt with its answer, or a bare one."""
    messages = [Message(role="user", content=prompt)]
    if answer is not None:
        messages.append(Message(role="assistant", content=answer))
    return Example(
        id=identifier, source=source, messages=tuple(messages), meta=Meta.model_validate(dict(meta))
    )


class RawCandidate(Protocol):
    """A candidate that is not decoded yet. What it says about its texts is certain; None where only decoding can show it."""

    @property
    def id(self) -> str:
        """The id of the example that it may become."""
        ...

    def title(self) -> str | None:
        """Its title."""
        ...

    def longest(self) -> int | None:
        """An upper bound on the characters of the cleaned answer."""
        ...

    def decode(self) -> Candidate | Reject:
        """The candidate, or the reason why there is none."""
        ...


Item = RawCandidate | Candidate | Reject
Step = Callable[[Item], Item]
"""One step of the pipeline: it returns the candidate, changed or not, or the `Reject` that it became."""


@dataclass
class Stratum:
    """A part of a source whose candidates are taken in order: an exchange, a category, a task."""

    name: str
    size: int
    """How many candidates it has, as far as that is known without decoding them."""
    candidates: Iterator[Item]
    """Best first: raw, decoded, or the `Reject` of a row that cannot be decoded."""
    limit: int | None = None
    """At most this many accepted examples come from it."""


@dataclass
class Count:
    """Candidates of one stratum: ``read = sum(dropped_unread) + eligible``, ``decoded = sum(rejected) + accepted``."""

    read: int = 0
    """Candidates in the raw file, such as questions."""
    dropped_unread: Counter[str] = field(default_factory=Counter)
    """Dropped by their header, by rule; they were never decoded."""
    eligible: int = 0
    decoded: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Decoded and dropped, by rule; each has its line in ``rejected.jsonl``."""
    accepted: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    """Further figures of the raw file, such as answers with a low score."""

    def add(self, other: Count) -> None:
        """Add another stratum's counts."""
        for name in ("read", "eligible", "decoded", "accepted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("dropped_unread", "rejected", "notes"):
            getattr(self, name).update(getattr(other, name))

    def as_json(self) -> dict[str, Any]:
        """The counts in the order of the path, rules by name."""
        return {
            "read": self.read,
            "dropped_unread": dict(sorted(self.dropped_unread.items())),
            "eligible": self.eligible,
            "decoded": self.decoded,
            "not_needed": self.eligible - self.decoded,
            "rejected": dict(sorted(self.rejected.items())),
            "accepted": self.accepted,
            "notes": dict(sorted(self.notes.items())),
        }


class Funnel:
    """The counts of a whole curation, kept by source and stratum."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, Count]] = {}

    def at(self, source: str, stratum: str) -> Count:
        """The counts of one stratum; they start at zero."""
        return self._counts.setdefault(source, {}).setdefault(stratum, Count())

    def total(self, source: str) -> Count:
        """The counts of a source over its strata."""
        total = Count()
        for count in self._counts.get(source, {}).values():
            total.add(count)
        return total

    def as_json(self, sources: Iterable[str]) -> dict[str, Any]:
        """Totals and strata of every source; strata by name, so that equal runs give equal bytes."""
        return {
            source: {
                **self.total(source).as_json(),
                "strata": {
                    name: count.as_json() for name, count in sorted(self._counts.get(source, {}).items())
                },
            }
            for source in sources
        }

    def ran_dry(self, source: str, missing: int, place: Path) -> str | None:
        """How much of its quota a source gave, and which rule dropped most candidates; None where the quota was every row.

        Args:
            source: its name.
            missing: how many examples its quota lacks.
            place: where the raw files are.
        """
        total = self.total(source)
        quota = total.accepted + missing
        if total.accepted and quota in (total.read, total.eligible):
            return None
        if not total.read:
            return f"{source}: {place} holds nothing of this source; {quota} examples were wanted."
        end = (
            f" at {total.decoded}: each task gives at most per_task" if total.decoded < total.eligible else ""
        )
        text = f"{source}: {total.accepted} of {quota} examples; its {total.eligible} eligible candidates ran dry{end}."
        if total.rejected:
            rule, number = total.rejected.most_common(1)[0]
            text += (
                f" {rule!r} dropped the most ({number}); thresholds are flags, --sources.{source}.rules...."
            )
        return text

    def most_dropped(self) -> str:
        """Of all candidates, which rule dropped most and which came next; empty where none was dropped."""
        total = Count()
        for source in self._counts:
            total.add(self.total(source))
        dropped = +(total.dropped_unread + total.rejected)
        if not dropped:
            return ""
        (most, number), *others = dropped.most_common(4)
        rest = "; then " + ", ".join(f"{rule} {count}" for rule, count in others) if others else ""
        return f"Of {total.read} read, {most!r} dropped most ({number}{rest})."

    def show(self, sources: Iterable[str], rules: Iterable[str]) -> None:
        """Print the funnel: one column a source, one line a step, rules in the given order."""
        names = list(sources)
        totals, order = [self.total(name) for name in names], {rule: n for n, rule in enumerate(rules)}
        rows: list[list[object]] = [["read", *(t.read for t in totals)]]
        for rule in sorted({rule for t in totals for rule in t.dropped_unread}):
            rows.append([f"  by header: {rule}", *(_minus(t.dropped_unread[rule]) for t in totals)])
        rows.append(["eligible", *(t.eligible for t in totals)])
        rows.append(["decoded", *(t.decoded for t in totals)])
        tripped = {rule for t in totals for rule in t.rejected}
        for rule in sorted(tripped, key=lambda rule: (order.get(rule, len(order)), rule)):
            rows.append([f"  by rule: {rule}", *(_minus(t.rejected[rule]) for t in totals)])
        rows.append(["accepted", *(t.accepted for t in totals)])
        console.table("Funnel (candidates)", ["step", *names], rows)


def _minus(number: int) -> str:
    return f"-{number}" if number else "0"


Split = Literal["train", "dev", "test", "heldout"]
SPLITS: tuple[Split, ...] = get_args(Split)


def weights(sizes: Sequence[int], tau: float) -> npt.NDArray[np.float64]:
    """Probabilities proportional to size^(1/tau): tau = 1 draws by size, a large tau evenly.

    >>> weights([1000, 1], tau=3).round(3).tolist()
    [0.909, 0.091]
    """
    powers = np.asarray(sizes, dtype=np.float64) ** (1.0 / tau)
    total: float = powers.sum()
    return powers / total


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """A separate random generator for every purpose, so that one draw never shifts another."""
    return np.random.default_rng(int(text_hash(str(seed), *purpose), 16))


def chance(seed: int, *purpose: str) -> float:
    """A number in [0, 1) that depends only on the seed and the names, not on the order of calls."""
    return int(text_hash(str(seed), *purpose, length=13), 16) / 16**13


def fill(
    strata: Sequence[Stratum],
    passing: Callable[[Stratum], Iterator[Candidate]],
    quota: int,
    *,
    tau: float,
    random: np.random.Generator,
) -> Iterator[tuple[str, Candidate]]:
    """Draw strata until ``quota`` candidates are taken or every stratum is dry; yield each with its stratum's name.

    Each draw takes the next candidate of its stratum. A stratum that is dry or at its limit drops out, and the rest of the
    quota is spread over the others. Candidates are generated one at a time, on demand.

    Args:
        strata: where to draw from.
        passing: the candidates of a stratum that may be taken, in their order.
        quota: how many to take.
        tau: see `weights`.
        random: draws the strata.
    """
    alive = sorted((stratum for stratum in strata if stratum.size > 0), key=lambda stratum: stratum.name)
    streams = {stratum.name: passing(stratum) for stratum in alive}
    taken: Counter[str] = Counter()
    while alive and taken.total() < quota:
        position = int(random.choice(len(alive), p=weights([s.size for s in alive], tau)))
        stratum = alive[position]
        full = stratum.limit is not None and taken[stratum.name] >= stratum.limit
        candidate = None if full else next(streams[stratum.name], None)
        if candidate is None:
            del alive[position]
        else:
            taken[stratum.name] += 1
            yield stratum.name, candidate


def split(
    examples: Sequence[Example],
    groups: Sequence[str],
    quotas: Mapping[Split, int],
    random: np.random.Generator,
) -> dict[Split, list[Example]]:
    """Deal examples to the sets at random, those of one group together; an example without a group is its own.

    When there are fewer than wanted, every set gets its share of them.
    """
    members: dict[str, list[Example]] = {}
    for example, group in sorted(zip(examples, groups, strict=True), key=lambda pair: pair[0].id):
        members.setdefault(group or example.id, []).append(example)
    together, rooms = list(members.values()), _rooms(len(examples), quotas)
    found: dict[Split, list[Example]] = {name: [] for name in SPLITS}
    for place in random.permutation(len(together)):
        some = together[place]
        # the first small set with room for all of them, else train
        name = next((name for name in SPLITS[1:] if rooms[name] >= len(some)), SPLITS[0])
        rooms[name] -= len(some)
        found[name] += some
    return found


def as_prompt(example: Example) -> Example:
    """The example without its last answer: what a test set shows to a model."""
    return example.model_copy(update={"messages": example.prompt})


def _rooms(number: int, quotas: Mapping[Split, int]) -> dict[Split, int]:
    """How many examples each set takes."""
    total = sum(quotas.values())
    rooms = {
        name: int(min(number, total) * (quotas.get(name, 0) / total)) if total else 0 for name in SPLITS[1:]
    }
    return {"train": number - sum(rooms.values()), **rooms}
