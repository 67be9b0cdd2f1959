"""One system -> its measures: a value for each prompt, statement or held-out row, computed by programs, without a judge.

Demands kept, ended by EOT, likeness of form; knowledge in cloze and in question form; loss on held-out answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch

from lima import chat
from lima.experiments.real.form import AnswerForm
from lima.experiments.real.material import Statement, VerifiedPrompt
from lima.experiments.real.verifiers import kept, occurrences
from lima.records import Completion, Example
from lima.settings import Settings
from lima.train.batches import tokenize
from lima.train.loop import mean_loss

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Unit = Literal["prompt", "dialogue", "statement", "row"]


class UnitValues(Settings):
    """A value for each unit, in order."""

    unit: Unit
    items: tuple[str, ...]
    values: tuple[float, ...]


Measures = Mapping[str, UnitValues]

WORDS = {
    "demands": "demands kept, all of a prompt's",
    "demand share": "share of demands kept",
    "ended": "ended by itself",
    "likeness": "likeness of form to the training answers",
    "second turn": "demands kept in a second turn",
    "cloze": "statements completed rightly",
    "question": "questions answered rightly",
    "nll own": "NLL of held-out answers, own style",
    "nll others": "NLL of held-out answers, other authors",
}
"""Headings of the measures; NLL is in nats a token."""
SHARES = frozenset(WORDS) - {"nll own", "nll others"}
"""Those between 0 and 1."""


ENDS = ("eot", "stop")
"""Reasons to finish that count as ending by itself; with examples in context, the heading of the next question ends an answer."""


def of_answers(
    asked: Sequence[VerifiedPrompt], answers: Sequence[Completion], form: AnswerForm | None
) -> Measures:
    """Demands kept, ends and likeness of the answers; dialogues separately. A prompt that was too long to answer counts nowhere."""
    given = {row.prompt_id: row for row in answers}
    asked = [one for one in asked if one.example.id in given]
    found: dict[str, UnitValues] = {}
    alone = [one for one in asked if len(one.example.turns) == 1]
    marks = {one.example.id: kept(given[one.example.id].content, one.demands) for one in asked}
    ids = [one.example.id for one in alone]
    found["demands"] = _measure("prompt", ids, [all(marks[i]) for i in ids])
    found["demand share"] = _measure("prompt", ids, [sum(marks[i]) / len(marks[i]) for i in ids])
    found["ended"] = _measure("prompt", ids, [given[i].finish_reason in ENDS for i in ids])
    if form is not None:
        found["likeness"] = _measure("prompt", ids, [form.likeness(given[i].content) for i in ids])
    later = [one.example.id for one in asked if len(one.example.turns) > 1]
    if later:
        found["second turn"] = _measure("dialogue", later, [all(marks[i]) for i in later])
    return found


def of_questions(asked: Sequence[Statement], answers: Sequence[Completion]) -> Measures:
    """Whether each answer names the right ending before any wrong one."""
    given = {row.prompt_id: row.content for row in answers}
    asked = [one for one in asked if one.id in given]
    values = [is_right(one, given[one.id]) for one in asked]
    return {"question": _measure("statement", [one.id for one in asked], values)}


def is_right(one: Statement, text: str) -> bool:
    """Whether the first ending that a text names is a right one.

    >>> one = Statement("s", "Grass is", "What colour is grass?", ("green",), ("red", "blue", "pink"))
    >>> is_right(one, "Green, not blue."), is_right(one, "Blue or green."), is_right(one, "Like leaves.")
    (True, False, False)
    """
    first = {end: _place(text, end) for end in (*one.right, *one.wrong)}
    named = {end: place for end, place in first.items() if place is not None}
    # of ends that begin at one place the longest is meant: "New York" is not "New"
    return bool(named) and min(named, key=lambda end: (named[end], -len(end))) in one.right


def _place(text: str, end: str) -> int | None:
    if not occurrences(text, end):
        return None
    found = re.search(rf"(?<!\w){re.escape(end)}(?!\w)", text, re.IGNORECASE)
    assert found, end
    return found.start()


def of_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[Statement],
    heldout: Mapping[str, Sequence[Example]],
) -> Measures:
    """Cloze and held-out loss. The model has its EOT (`lima.model.set_template`); an untuned one has not learnt it, and its loss shows that."""
    values = [completes(model, tokenizer, one) for one in asked]
    found = {"cloze": _measure("statement", [one.id for one in asked], values)}
    for name, rows in heldout.items():
        sequences = tokenize(rows, tokenizer, max_length=10**6).sequences
        losses = [mean_loss(model, [one], budget=10**6, precision="float32") for one in sequences]
        if sequences:
            found[f"nll {name}"] = _measure("row", [one.id for one in sequences], losses)
    return found


@torch.no_grad()
def completes(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, one: Statement) -> bool:
    """Whether the right end is likelier than each wrong one after the sentence as plain text, by the mean over an end's bytes.

    By bytes, as ends differ in length (the usual "normalised" accuracy of multiple-choice tests).
    """
    start = chat.encode_plain(tokenizer, one.cloze)
    ends = [f" {end}." for end in (one.right[0], *one.wrong)]
    texts = [[*start, *tokenizer.encode(end, add_special_tokens=False)] for end in ends]
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (width - len(text))] for text in texts], device=model.device)
    mask = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in texts], device=model.device)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, len(start) - 1 : -1].float()
    chosen = logits.log_softmax(-1).gather(-1, ids[:, len(start) :, None])[..., 0] * mask[:, len(start) :]
    scores = chosen.sum(1).cpu() / torch.tensor([len(end.encode()) for end in ends])
    return int(scores.argmax()) == 0


def _measure(unit: Unit, items: Sequence[str], values: Sequence[float]) -> UnitValues:
    return UnitValues(unit=unit, items=tuple(items), values=tuple(round(float(value), 6) for value in values))
