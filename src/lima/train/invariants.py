"""What must hold for a model, a tokenizer and the data before training is worth its time.

Each check is a trap that people fall into (masks that lose the stop token, attention across packed documents,
a template that renders other ids at generation) and raises a `LimaError` that names the example at fault.
`lima train` runs `check_model` before it begins, `lima doctor` all of them.
"""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from lima import template
from lima.chat import IGNORE, Tokens, encode_example, eot_id, stop_id
from lima.errors import LimaError
from lima.records import Example
from lima.train.attention import inside_documents
from lima.train.batches import collate
from lima.train.dropout import decoder_layers
from lima.train.loss import summed_loss

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROBE_LENGTHS = (7, 5)
FLOAT = 4
"""Bytes of a number that the checks are made in, at least."""
TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}
"""Relative difference of two losses that is rounding."""
ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-5}
"""The same of hidden states that should be equal: the products of experts, grouped by what they are given, round otherwise
(5e-7 in float32). A neighbour that is read changes them by a tenth and more."""


@torch.no_grad()
def check_model(model: PreTrainedModel) -> None:
    """The padding-free path computes the same loss as the stock model, one document at a time.

    It fails for a model that scales its logits, attends over documents in a way of its own (recurrent layers)
    or counts positions otherwise.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    documents = [_probe(length, vocabulary) for length in PROBE_LENGTHS]
    with in_float32(model):
        tolerance = TOLERANCE[model.dtype]
        expected = sum(_plain_loss(model, document) for document in documents)
        if not math.isfinite(expected):
            raise LimaError(
                f"the model computes a loss of {expected}: its weights are too large, or damaged."
            )
        with inside_documents(model), training_path(model):
            found = float(summed_loss(model, collate(documents, model.device)))
    if not abs(found - expected) <= tolerance * expected:
        raise LimaError(
            f"model type {model.config.model_type!r} computes a loss of {expected:.6g} where the training path has "
            f"{found:.6g}: its head or attention has a form that training does not support."
        )


@torch.no_grad()
def check_isolation(model: PreTrainedModel) -> None:
    """No attention across documents: another second document changes no hidden state of the first."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    first, second = (_probe(length, vocabulary) for length in PROBE_LENGTHS)
    other = Tokens(second.ids[::-1], second.labels)
    with in_float32(model), inside_documents(model), training_path(model):
        tolerance = ROUNDING[model.dtype]
        states = [_hidden(model, [neighbour, first])[len(second.ids) :] for neighbour in (second, other)]
    change = float((states[0] - states[1]).norm() / states[0].norm())
    if not change <= tolerance:
        raise LimaError(
            f"model type {model.config.model_type!r}: a document in a row changes the next one; attention leaks."
        )


@contextmanager
def in_float32(model: PreTrainedModel) -> Iterator[None]:
    """Within it a model that is held in halves computes in float32, a layer's weights widened while it runs.

    In halves the loss of an architecture that training cannot run (LFM2: 0.3 % off) is within rounding.
    """
    if all(p.element_size() >= FLOAT for p in model.parameters()):
        yield
        return
    held: dict[torch.nn.Parameter, torch.Tensor] = {}
    layers = decoder_layers(model)

    def widen(parameters: Iterable[torch.nn.Parameter]) -> None:
        for parameter in parameters:
            if parameter.element_size() < FLOAT:
                held.setdefault(parameter, parameter.data)
                parameter.data = parameter.data.float()

    def put_back(parameters: Iterable[torch.nn.Parameter]) -> None:
        for parameter in parameters:
            parameter.data = held.pop(parameter, parameter.data)

    inner = {id(p) for p in layers.parameters()}
    outer = [p for p in model.parameters() if id(p) not in inner]
    hooks = [layer.register_forward_pre_hook(lambda part, _: widen(part.parameters())) for layer in layers]
    hooks += [
        layer.register_forward_hook(lambda part, *_: put_back(part.parameters()), always_call=True)
        for layer in layers
    ]
    widen(outer)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        put_back([*held])


@contextmanager
def training_path(model: PreTrainedModel) -> Iterator[None]:
    """An architecture whose layers cannot be run as training runs them is a choice of the user's, in one line.

    Raises:
        LimaError: in place of any error within the block.
    """
    try:
        yield
    except LimaError:
        raise
    except Exception as error:  # the code of an architecture may raise anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise LimaError(
            f"model type {model.config.model_type!r} does not pass on what training needs ({reason}). Choose an architecture of "
            "docs/models.md."
        ) from None


def check_template(tokenizer: PreTrainedTokenizerBase, example: Example) -> None:
    """The saved chat template renders the ids that training used, marks the same as the assistant's, and prompts alike.

    Where a text spells a special token ("</s>" of HTML), training keeps it as text, which no template can;
    such an example is passed over.
    """
    said = _folded("".join(message.content for message in example.messages))
    if any(_folded(token) in said for token in template.spellings(tokenizer)):
        return
    learnt = [
        message.model_copy(update={"weight": 1}) for message in example.messages
    ]  # its marks know no weights
    used = encode_example(tokenizer, learnt, max_length=sys.maxsize)
    rendered = tokenizer.apply_chat_template(
        [message.model_dump() for message in learnt],
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=tokenizer.is_fast,
    )
    if list(rendered["input_ids"]) != used.ids:
        raise LimaError(f"{example.id}: the chat template renders other ids than training used.")
    if tokenizer.is_fast and rendered["assistant_masks"] != [int(label != IGNORE) for label in used.labels]:
        raise LimaError(
            f"{example.id}: the marks of the chat template differ from the tokens that carry loss."
        )
    if eot_id(tokenizer) is None:
        _check_prompts(tokenizer, example, used)


def _check_prompts(tokenizer: PreTrainedTokenizerBase, example: Example, used: Tokens) -> None:
    """What generation gives the model before each answer is how the training ids begin."""
    for number, message in enumerate(example.messages):
        if message.role == "assistant":
            prompt = template.encode_prompt(tokenizer, example.messages[:number])
            if used.ids[: len(prompt)] != prompt:
                raise LimaError(
                    f"{example.id}: the prompt of turn {number + 1} has other ids than training used: white space where heading and "
                    "answer meet makes other tokens. Take it out of the answer, or use --chat-template lima."
                )


def check_mask(tokenizer: PreTrainedTokenizerBase, example: Example, tokens: Tokens) -> None:
    """Loss covers exactly the assistant's texts with the EOT of each, and the history of a dialogue is kept.

    The supervised ids are turned back into text, so that the check shares nothing with what made the mask.
    """
    eot = eot_id(tokenizer)
    turns = example.turns
    kept = len(turns) if eot is None else tokens.ids.count(eot)
    if not tokens.trimmed and kept != len(turns):
        raise LimaError(f"{example.id}: {len(turns)} utterances, but {kept} EOT tokens in its ids.")
    answers = [turn.content for turn in turns if turn.role == "assistant" and turn.weight]
    runs = _supervised_runs(tokens)
    if len(runs) != len(answers) and not tokens.trimmed:
        raise LimaError(f"{example.id}: {len(answers)} answers, but {len(runs)} supervised stretches.")
    for number, (run, answer) in enumerate(zip(runs, answers, strict=False), start=1):
        cut = tokens.trimmed and number == len(runs)
        _check_run(tokenizer, run, answer, cut=cut, place=f"{example.id}, answer {number}")


def check_texts(example: Example) -> None:
    """Every turn says something: an answer of nothing teaches to stop at once."""
    if example.blank_turn:
        raise LimaError(f"{example.id}: {example.blank_turn}. Write what it should say, or take the row out.")


def check_supervision(tokens: Tokens) -> None:
    """The example has a token that carries loss."""
    if not tokens.supervised:
        raise LimaError(f"{tokens.id}: no assistant token is left within {len(tokens.ids)} tokens.")


def check_context(tokens: Tokens, context: int | None) -> None:
    """The example fits the positions that the model has (None: unknown)."""
    if context is not None and len(tokens.ids) > context:
        raise LimaError(
            f"{tokens.id}: {len(tokens.ids)} tokens, but the model has only {context} positions. "
            f"Use --max-length {context}."
        )


def _check_run(
    tokenizer: PreTrainedTokenizerBase, run: list[int], answer: str, *, cut: bool, place: str
) -> None:
    ended = run[-1] == stop_id(tokenizer)
    if not ended and not cut:
        raise LimaError(f"{place}: its EOT carries no loss, so the model would never learn to stop.")
    text = _comparable(tokenizer.decode(run[:-1] if ended else run))
    whole = _comparable(answer)
    if not (whole.startswith(text) if cut else whole == text):
        pairs = zip(text, whole, strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(text), len(whole)))
        raise LimaError(
            f"{place}: after {whole[max(0, same - 20) : same]!r} the supervised tokens read {text[same : same + 40]!r}, the answer goes on "
            f"{whole[same : same + 40]!r} (white space left out)."
        )


def _folded(text: str) -> str:
    """As tokenizers that fold letters or widths read it, and then find special tokens in it."""
    return unicodedata.normalize("NFKC", text).casefold()


def _comparable(text: str) -> str:
    """Without white space and ways to spell a character, which decoding does not give back, nor a half one at the end."""
    return "".join(unicodedata.normalize("NFKC", text).split()).rstrip("\ufffd")


def _supervised_runs(tokens: Tokens) -> list[list[int]]:
    pairs = zip(tokens.ids, tokens.labels, strict=True)
    groups = groupby(pairs, key=lambda pair: pair[1] != IGNORE)
    return [[token for token, _ in group] for supervised, group in groups if supervised]


def _probe(length: int, vocabulary: int) -> Tokens:
    ids = [(3 + 7 * position + length) % vocabulary for position in range(length)]
    return Tokens(ids, ids)


def _plain_loss(model: PreTrainedModel, document: Tokens) -> float:
    ids = torch.tensor([document.ids], device=model.device)
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
    return float(cross_entropy(logits.double(), ids[0, 1:], reduction="sum"))


def _hidden(model: PreTrainedModel, documents: Sequence[Tokens]) -> torch.Tensor:
    batch = collate(documents, model.device)
    output = model.get_decoder()(
        input_ids=batch.ids, position_ids=batch.position_ids, use_cache=False, documents=batch.documents
    )
    states: torch.Tensor = output.last_hidden_state[0]
    return states
