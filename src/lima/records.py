"""The records that cross every boundary between stages, one JSON object a line.

Stages never import each other: they meet in files of these small frozen records (docs/formats.md).
Ids are stable and readable, such as ``stackexchange/cooking/1234``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, Self
from unicodedata import category

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_serializer, model_validator

Role = Literal["system", "user", "assistant"]
Side = Literal["a", "b"]
Label = Literal["a", "b", "tie"]
Shown = Literal["ab", "ba"]
FinishReason = Literal["eot", "length", "stop", "filter", "error"]
Status = Literal["ok", "refused", "truncated", "unparsable", "echo", "error"]
"""``echo``: a judge that only repeats its prompt."""
Scale = Literal["quality", "helpfulness", "safety"]
"""The scales that every study has; further ones are declared in its ``protocol.yaml``."""
Decision = Literal["accept", "reject", "edit"]
UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")
"""Categories of Unicode without a glyph: controls, formats such as the zero-width space, separators."""


class Record(BaseModel):
    """One line of a JSON Lines file: frozen, and unknown fields are an error, not silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    """One utterance of a conversation."""

    role: Role
    content: str
    weight: Literal[0, 1] = Field(default=1, exclude_if=bool)
    """0, of an assistant's turn alone: training puts no loss on it, as in OpenAI's fine-tuning rows. A 1 is not written."""

    @model_validator(mode="after")
    def _only_answers_are_learnt(self) -> Self:
        if not self.weight and self.role != "assistant":
            raise ValueError(f"weight 0 on a {self.role} turn: it stands on assistant turns alone")
        return self

    @property
    def is_blank(self) -> bool:
        """Whether nothing in it can be seen: it is empty, or white space and characters without width."""
        return all(character.isspace() or category(character) in UNSEEN for character in self.content)


class Meta(Record):
    """Where an example comes from and what is known of it; further keys are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    tags: tuple[str, ...] = ()
    """Groups for the report: ``sensitive``, ``malicious``, ``ood``, ``format``, ``adversarial`` ..."""
    url: str | None = None
    authors: tuple[str, ...] = ()
    licence: str | None = None
    score: int | float | None = None
    category: str | None = None
    transforms: tuple[str, ...] = ()
    """What was changed on the way from the source, in order; attribution asks for it."""

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value not in (None, (), [])}


class Example(Record):
    """A conversation with its provenance. One that ends in a user turn is a prompt."""

    id: str = Field(min_length=1)
    source: str
    messages: tuple[Message, ...] = Field(min_length=1)
    meta: Meta = Meta()

    @model_validator(mode="after")
    def _turns_alternate(self) -> Self:
        turns = self.turns
        if not turns:
            raise ValueError("no user turn: messages hold only a system message")
        for position, turn in enumerate(turns):
            expected = "user" if position % 2 == 0 else "assistant"
            if turn.role != expected:
                raise ValueError(f"turn {position + 1} is {turn.role!r}, expected {expected!r}")
        return self

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages without a leading system message."""
        return self.messages[1:] if self.messages[0].role == "system" else self.messages

    @property
    def blank_turn(self) -> str | None:
        """The first turn that says nothing, in words; None where all say something."""
        blank = next((place for place, turn in enumerate(self.turns) if turn.is_blank), None)
        return None if blank is None else f"turn {blank + 1}, the {self.turns[blank].role}'s, is blank"

    @property
    def is_prompt(self) -> bool:
        """Whether the conversation ends in a user turn, so that a model can answer it."""
        return self.messages[-1].role == "user"

    @property
    def prompt(self) -> tuple[Message, ...]:
        """All messages up to and including the last user turn."""
        last = max(i for i, message in enumerate(self.messages) if message.role == "user")
        return self.messages[: last + 1]


class Reject(Record):
    """A candidate that was decoded and dropped, with the rule that dropped it (``rejected.jsonl``)."""

    id: str
    rule: str
    reason: str


class Mark(Record):
    """A suspect passage of a candidate: what a person should look at (``lima.curate.marks``)."""

    turn: int = Field(ge=0)
    """The message, counted from 0."""
    line: int = Field(ge=0)
    """Its line, counted from 0."""
    text: str
    """The passage as it stands there, a sentence or a line; empty where the whole text is meant."""
    rule: str
    reason: str


class Cut(Record):
    """What was cut out of a message on the way, so that a person can put it back."""

    turn: int = Field(ge=0)
    """The message, counted from 0."""
    line: int = Field(ge=0)
    """The line of the message, counted from 0, before which it stood."""
    text: str
    """The lines as they were."""
    instead: str = ""
    """What stands there now in their place."""
    name: str
    """What it was: a greeting, a signature, quoted mail ..."""


class Review(Record):
    """One candidate picked by hand: in a text editor, in the terminal or in the web app (``review.jsonl``)."""

    candidate: Example
    marks: tuple[Mark, ...] = ()
    """What to look at before deciding."""
    cuts: tuple[Cut, ...] = ()
    """What was cut of a mail or a ticket."""
    decision: Decision | None = None
    edited: Example | None = None
    reviewer: str | None = None
    reason: str | None = None
    at: str | None = None


class Completion(Record):
    """One sampled answer of one system to one prompt."""

    id: str
    prompt_id: str
    system: str
    sample: int = Field(ge=0)
    content: str
    finish_reason: FinishReason
    status: Status = "ok"
    tokens: int = Field(ge=0)
    """Generated tokens, the EOT included."""
    seed: int


class Comparison(Record):
    """Two answers to one conversation, without names. ``a`` and ``b`` are fixed at random, once."""

    id: str
    messages: tuple[Message, ...]
    a: str
    b: str
    tags: tuple[str, ...] = ()


class Item(Record):
    """One answer to be graded alone, without its system's name."""

    id: str
    messages: tuple[Message, ...]
    content: str
    tags: tuple[str, ...] = ()


class Dialogue(Record):
    """One conversation that was held with a system, without its name (``dialogues.jsonl``; LIMA, section 6)."""

    id: str
    opening_id: str
    messages: tuple[Message, ...]
    tags: tuple[str, ...] = ()


class Origin(Record):
    """Which completion stands behind a blind text."""

    system: str
    completion_id: str
    sample: int = 0


class Key(Record):
    """One line of ``key.jsonl``, which the report alone opens. ``a`` and ``b``, or ``content``, are set."""

    id: str
    prompt_id: str
    a: Origin | None = None
    b: Origin | None = None
    content: Origin | None = None


class Drawn(Record):
    """Whether a text was drawn for people, and with which probability (``sample.jsonl``)."""

    id: str
    """Of a comparison or an item."""
    probability: float = Field(gt=0, le=1)
    drawn: bool


class Preference(Record):
    """One verdict of one rater on one comparison.

    ``label`` is in the frame of ``comparisons.jsonl``, never of the screen; it is null exactly when
    ``status`` is not ``ok``: a missing verdict is missing, never a tie.
    """

    id: str
    comparison_id: str
    rater: str
    """``crowd:03``, ``author:01``, ``judge:<model>@<hash>-p<parser>`` or ``oracle:<name>``."""
    shown: Shown | None
    """The side shown first; null if unknown (most published verdicts do not record it)."""
    label: Label | None
    credit: float | None = Field(default=None, ge=0, le=1)
    """The part of the win that answer ``a`` gets, where the rater gave more than a label (AlpacaEval weighs a
    verdict by the probability of its token). Null: 1, 1/2 or 0, as the label says."""
    both_bad: bool = False
    """Whether the rater called both answers bad, beside whatever the label says."""
    strength: Literal["slight", "clear"] | None = Field(default=None, exclude_if=lambda value: value is None)
    """How much better the chosen answer is, where the protocol asks for it. Not written where it is None."""
    criteria: dict[str, Label] = Field(default_factory=dict, exclude_if=lambda value: not value)
    """The better answer by each criterion of the protocol. Not written where there is none."""
    repeat: int = 0
    status: Status = "ok"
    """``refused`` also of a person who skipped the comparison."""
    raw: str | None = None
    """What the rater wrote: a judge's whole reply, a person's comment or reason to skip."""
    supersedes: str | None = None
    seconds: float | None = None
    at: str | None = None

    @model_validator(mode="after")
    def _no_answer_is_no_score(self) -> Self:
        if (self.label is None) == (self.status == "ok"):
            raise ValueError(f"label {self.label!r} does not go with status {self.status!r}")
        return self


class Grade(Record):
    """One absolute rating of one item (``turn`` counts assistant turns of a dialogue from 0)."""

    id: str
    item_id: str
    turn: int = 0
    rater: str
    scale: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    """``quality``, ``helpfulness``, ``safety``, or a scale that the study's ``protocol.yaml`` declares."""
    value: str | int | None
    """``fail|pass|excellent`` on quality, 1-6 on helpfulness, ``safe|unsafe`` on safety. Values of declared scales are
    held against the protocol by whoever reads the study."""
    probabilities: dict[str, float] | None = Field(default=None, exclude_if=lambda value: value is None)
    """The probability of each value of the scale, if the rater is a model that reports them. Not written where it is None."""
    repeat: int = 0
    status: Status = "ok"
    raw: str | None = None
    supersedes: str | None = None
    seconds: float | None = None
    at: str | None = None

    @model_validator(mode="after")
    def _value_is_on_the_scale(self) -> Self:
        if (self.value is None) == (self.status == "ok"):
            raise ValueError(f"value {self.value!r} does not go with status {self.status!r}")
        offered = SCALE_VALUES.get(self.scale)
        if self.value is not None and offered and self.value not in offered:
            allowed = ", ".join(map(str, offered))
            raise ValueError(f"value {self.value!r} is not on the scale {self.scale!r} ({allowed})")
        return self


class Rater(Record):
    """Who stands behind the rater ids of a study (``raters.jsonl``).

    ``settings`` holds what identifies a judge model: prompt hash, sampling parameters, parser, order policy.
    """

    id: str
    kind: Literal["crowd", "author", "judge", "oracle"]
    description: str = ""
    settings: dict[str, JsonValue] = Field(default_factory=dict)


SCALE_VALUES: dict[str, tuple[str | int, ...]] = {
    "quality": ("fail", "pass", "excellent"),
    "helpfulness": (1, 2, 3, 4, 5, 6),
    "safety": ("safe", "unsafe"),
}


ATTRIBUTION = """# Attribution

Made by lima. Each line names an example's id, its source, its authors and the licence of the
original. The texts were changed: see the end of each line.
"""


def attribution(examples: Sequence[Example]) -> str:
    """The whole file, grouped by source and category."""
    licences = Counter(example.meta.licence or "no licence stated" for example in examples)
    lines = [ATTRIBUTION, *(f"* {number} x {name}" for name, number in sorted(licences.items())), ""]
    place: tuple[str, str] | None = None
    for example in sorted(examples, key=lambda e: (e.source, e.meta.category or "", e.id)):
        here = (example.source, example.meta.category or "")
        if here != place:
            lines += ["", f"## {' / '.join(part for part in here if part)}", ""]
            place = here
        lines.append(_line(example))
    return "\n".join(lines) + "\n"


def _line(example: Example) -> str:
    meta = example.meta
    extra: dict[str, Any] = meta.model_extra or {}
    title = _escape(str(extra.get("title") or (example.id if meta.url else "")))
    parts = [f"[{title}]({meta.url})" if meta.url else title] if title else []
    if extra.get("answer_url"):
        parts.append(f"[answer]({extra['answer_url']})")
    parts += [f"by {people}"] if (people := _people(meta)) else []
    parts.append(meta.licence or "no licence stated")
    parts += [f"changes: {', '.join(meta.transforms)}"] if meta.transforms else []
    return f"* `{example.id}`: " + "; ".join(parts)


def _people(meta: Meta) -> str:
    profiles = (meta.model_extra or {}).get("profiles") or [None] * len(meta.authors)
    shown = [
        f"[{_escape(name)}]({profile})" if profile else _escape(name)
        for name, profile in zip(meta.authors, profiles, strict=True)
    ]
    return " and ".join(dict.fromkeys(shown))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("`", "\\`")
