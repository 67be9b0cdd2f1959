"""``lima doctor``: every invariant of training over a model and a data file, a view of the masks, a rehearsal of training on
two layers, and whether the base is ready to be tuned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lima import chat, console
from lima import model as models
from lima.commands import as_command
from lima.doctor.readiness import readiness
from lima.doctor.rehearsal import LAYERS, known_dropout, narrow, rehearse
from lima.doctor.settings import DoctorSettings
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.records import Example
from lima.train import invariants
from lima.train.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def doctor(settings: DoctorSettings) -> None:
    """Run all checks and print them as a table.

    Raises:
        LimaError: a check failed; the text holds the first fault.
    """
    examples = list(read_jsonl(settings.data, Example))
    model, tokenizer = models.load(settings.model, layers=LAYERS)
    models.set_template(model, tokenizer, settings.chat_template, settings.eot_token)
    encoded = [_encode(tokenizer, example, settings) for example in examples]
    console.note(_stop_token(tokenizer, examples, encoded))
    for example, tokens in list(zip(examples, encoded, strict=True))[: settings.show]:
        console.results.rule(example.id)
        console.results.print(chat.highlight(tokenizer, tokens), soft_wrap=True)
    findings = [*_check_model(model, encoded), *_check_data(tokenizer, examples, encoded)]
    rows = [(f.check, f"{f.passed:,}", f"{len(f.faults):,}") for f in findings]
    console.table("checks", ("check", "passed", "failed"), rows)
    checked = rehearse(settings.model, model, tokenizer, encoded)
    console.table(f"checked, run on the first {LAYERS} layers", ("", ""), checked)
    faults = [finding.faults[0] for finding in findings if finding.faults]
    if faults:
        raise LimaError(f"{len(faults)} of {len(findings)} checks failed. {faults[0]}")
    if settings.dev is not None:
        readiness(settings)
    console.done([], next_command=_training(settings, known_dropout(model) and not narrow(model)))


def _training(settings: DoctorSettings, dropout: bool) -> str:
    """The command that was rehearsed."""
    same = {
        name: getattr(settings, name) for name in ("max_length", "keep_eot", "eot_token", "chat_template")
    }
    if not dropout:
        same["residual_dropout"] = 0.0
    wanted = TrainSettings(model=settings.model, data=settings.data, out=Path("RUN"), **same)
    return as_command("train", wanted)


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check over all its subjects."""

    check: str
    passed: int
    faults: list[str]


def run_check(name: str, calls: Iterable[Callable[[], None]]) -> CheckResult:
    """Call a check for each of its subjects and gather what it finds."""
    passed, faults = 0, []
    for call in calls:
        try:
            call()
            passed += 1
        except LimaError as fault:
            faults.append(str(fault))
    return CheckResult(name, passed, faults)


def _check_model(model: PreTrainedModel, encoded: list[chat.Tokens]) -> list[CheckResult]:
    context = models.context_length(model)
    return [
        run_check("the training path equals the stock model", [partial(invariants.check_model, model)]),
        run_check("no attention across documents", [partial(invariants.check_isolation, model)]),
        run_check(
            "texts fit the model's context", [partial(invariants.check_context, t, context) for t in encoded]
        ),
    ]


def _check_data(
    tokenizer: PreTrainedTokenizerBase, examples: list[Example], encoded: list[chat.Tokens]
) -> list[CheckResult]:
    masks = [
        partial(invariants.check_mask, tokenizer, example, tokens)
        for example, tokens in zip(examples, encoded, strict=True)
    ]
    return [
        run_check("every turn says something", [partial(invariants.check_texts, e) for e in examples]),
        run_check(
            "every row has a supervised token", [partial(invariants.check_supervision, t) for t in encoded]
        ),
        run_check("loss on exactly the answers and their EOT, dialogues whole", masks),
        run_check(
            "the chat template renders the training ids",
            [partial(invariants.check_template, tokenizer, example) for example in examples],
        ),
    ]


def _encode(tokenizer: PreTrainedTokenizerBase, example: Example, settings: DoctorSettings) -> chat.Tokens:
    try:
        tokens = chat.encode_example(
            tokenizer, example.messages, max_length=settings.max_length, keep_eot=settings.keep_eot
        )
    except LimaError as error:
        raise LimaError(f"{example.id}: {error}") from None
    return replace(tokens, id=example.id)


def _stop_token(
    tokenizer: PreTrainedTokenizerBase, examples: list[Example], encoded: list[chat.Tokens]
) -> str:
    """Which token the model learns to stop at, and at the end of how many answers it carries loss."""
    stop = chat.stop_id(tokenizer)
    turns = [message for example in examples for message in example.messages]
    answers = sum(message.role == "assistant" and message.weight for message in turns)
    trained = sum(tokens.labels.count(stop) for tokens in encoded)
    name = tokenizer.convert_ids_to_tokens(stop)
    return f"stop token: {name} ({stop}); it carries loss at the end of {trained:,} of {answers:,} answers."
