"""Messages <-> token ids and labels, in the paper's chat format (LIMA, section 3).

After BOS (where the tokenizer has one) every utterance, the user's and the assistant's, ends in a special
end-of-turn token (EOT). There are no role tags and no system prompt; a system message that a user's data
does hold is put before the first user turn. The same rendering is saved as the tokenizer's
``chat_template``, so that any tool builds the ids that training saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, Literal

from lima import template
from lima.console import visible
from lima.errors import LimaError
from lima.records import Message
from lima.template import special_tokens as special_tokens

if TYPE_CHECKING:
    from rich.text import Text
    from transformers import PreTrainedTokenizerBase

EOT = "<|eot|>"
IGNORE = -100
"""The label of a token that carries no loss (the convention of ``torch.nn.functional.cross_entropy``)."""

LossOn = Literal["assistant", "all"]


@dataclass(frozen=True)
class Tokens:
    """One tokenised sequence; ``labels[t]`` is ``ids[t]`` where token t is supervised, else `IGNORE`.

    Labels are not shifted: the loss compares the prediction at t - 1 with ``labels[t]``.
    """

    ids: list[int]
    labels: list[int]
    trimmed: bool = False
    prompt_weight: float = 0.0
    """Weight in the loss of the prompts' tokens (label `IGNORE`); supervised ones have 1."""
    id: str = ""
    """The example it came from, for messages to the user."""
    unlearnt: frozenset[int] = frozenset()
    """Places of the tokens of turns of weight 0: they have no label, and no prompt's weight either."""

    @property
    def supervised(self) -> int:
        """Number of tokens that the loss sees (the first token has no prediction)."""
        return sum(label != IGNORE for label in self.labels[1:])

    @property
    def weight(self) -> float:
        """Sum of the weights of all tokens in the loss."""
        return self.supervised + self.prompt_weight * (
            len(self.ids) - 1 - self.supervised - len(self.unlearnt)
        )

    @property
    def weights(self) -> list[float]:
        """The weight of each token in the loss; the first has none, as nothing comes before it."""
        found = [self.prompt_weight if label == IGNORE else 1.0 for label in self.labels]
        return [0.0 if place in self.unlearnt or place == 0 else weight for place, weight in enumerate(found)]


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation, every utterance closed by EOT: what a model continues, or is trained on.

    Raises:
        LimaError: the tokenizer has no EOT (an untuned base; see `encode_plain`).
    """
    if eot_id(tokenizer) is None:
        raise LimaError("this tokenizer has no EOT token; tune the model with 'lima train' first.")
    return template.encode_prompt(tokenizer, messages)


def encode_plain(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """BOS and the text: how a base model without chat format is prompted."""
    return [*bos_ids(tokenizer), *tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)]


def encode_example(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    *,
    max_length: int = 2048,
    keep_eot: bool = False,
    loss_on: LossOn = "assistant",
) -> Tokens:
    """Token ids and labels of one training conversation (PROTOCOL: loss, trimming).

    A turn of weight 0 has no label, whatever ``loss_on`` says.

    Args:
        tokenizer: one with an EOT (`lima.model.add_eot`), or with a chat template of its own.
        messages: the conversation.
        max_length: longer sequences lose their end.
        keep_eot: end a trimmed sequence with the stop token in place of its last token, so that its answer still ends.
        loss_on: supervise assistant utterances with their stop token, or every token.

    Raises:
        LimaError: the tokenizer has neither, or its template fails (`lima.template.encode`).
    """
    if not tokenizer.chat_template:
        raise LimaError("this tokenizer has no EOT token; tune the model with 'lima train' first.")
    ids, written = template.encode(tokenizer, messages)
    labels = [token if own else IGNORE for token, own in zip(ids, written, strict=True)]
    unlearnt = _places_without_loss(labels, messages)
    labels = list(ids) if loss_on == "all" else labels
    labels = [IGNORE if place in unlearnt else label for place, label in enumerate(labels)]
    trimmed = len(ids) > max_length
    if trimmed:
        ids, labels = ids[:max_length], labels[:max_length]
        if keep_eot:
            stop = stop_id(tokenizer)
            ids[-1] = stop
            labels[-1] = stop if labels[-1] != IGNORE else IGNORE
    return Tokens(ids, labels, trimmed, unlearnt=unlearnt & frozenset(range(1, len(ids))))


def decode_answer(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of generated ids, without special tokens and outer white space."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text.strip()


def highlight(tokenizer: PreTrainedTokenizerBase, tokens: Tokens) -> Text:
    """A sequence as text for the terminal: green where a token carries loss, dim where it does not."""
    from rich.text import Text

    view = Text()
    for supervised, group in groupby(
        zip(tokens.ids, tokens.labels, strict=True), key=lambda pair: pair[1] != IGNORE
    ):
        text = visible(tokenizer.decode([token for token, _ in group]))
        view.append(text, style="green" if supervised else "dim")
    return view


def chat_template(eot_token: str) -> str:
    """The Jinja template that renders our format; saved with every checkpoint.

    Its ``generation`` marks show other trainers which tokens have loss: the assistant's, with their EOT.
    """
    quoted = "'" + eot_token.replace("\\", "\\\\").replace("'", "\\'") + "'"
    turn = "{{ ns.system + message['content'] + " + quoted + " }}"
    return (
        "{{ bos_token if bos_token else '' }}"
        "{% set ns = namespace(system='') %}"
        "{% for message in messages %}"
        "{% if message['role'] == 'system' %}{% set ns.system = ns.system + message['content'] + '\\n\\n' %}"
        "{% else %}"
        "{% if message['role'] == 'assistant' %}{% generation %}" + turn + "{% endgeneration %}"
        "{% else %}" + turn + "{% endif %}"
        "{% set ns.system = '' %}"
        "{% endif %}"
        "{% endfor %}"
    )


def eot_token(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The end-of-turn token of a tokenizer in our format, or None: another's or none.

    What marks our format is our template with the EOS of the tokenizer in it, as `lima.model.add_eot` sets them. A name of
    its own would be no mark: CodeLlama's tokenizers have an ``eot_token`` too, for infilling.
    """
    token = tokenizer.eos_token
    ours = token is not None and tokenizer.chat_template == chat_template(str(token))
    return str(token) if ours else None


def eot_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The id of the tokenizer's end-of-turn token, or None for one that is not in our format."""
    token = eot_token(tokenizer)
    found = None if token is None else tokenizer.convert_tokens_to_ids(token)
    return found if isinstance(found, int) else None


def bos_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """``[bos]``, or nothing where the tokenizer has no BOS."""
    return [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]


def stop_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that ends an assistant's turn: EOT in our format, else what the tokenizer's template ends turns with.

    Raises:
        LimaError: there is none.
    """
    eot = eot_id(tokenizer)
    return template.known_ending(tokenizer).token if eot is None else eot


def _places_without_loss(labels: Sequence[int], messages: Sequence[Message]) -> frozenset[int]:
    """The places of the tokens of assistant turns of weight 0; each stretch of labels is one assistant turn."""
    answers = [message for message in messages if message.role == "assistant"]
    if all(message.weight for message in answers):
        return frozenset()
    groups = groupby(range(len(labels)), key=lambda place: labels[place] != IGNORE)
    stretches = [list(places) for supervised, places in groups if supervised]
    assert len(stretches) == len(answers), f"{len(answers)} answers have {len(stretches)} stretches of labels"
    unlearnt = (places for places, answer in zip(stretches, answers, strict=True) if not answer.weight)
    return frozenset(chain.from_iterable(unlearnt))
