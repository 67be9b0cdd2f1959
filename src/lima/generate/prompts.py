"""Prompts -> token ids, in the form that a system was made for (LIMA, section 3).

A model with our EOT gets the paper's chat format. One with a chat template of its own (another project's
assistant) gets that template. A base model gets the plain text and goes on writing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lima import chat, template
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.records import Example, Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Kind = Literal["lima", "template", "base", "in-context"]

EXPLANATION: dict[Kind, str] = {
    "lima": "the paper's chat format (utterances closed by EOT)",
    "template": "its own chat template",
    "base": "no chat format (a base model): it continues the text of the prompt",
    "in-context": "plain text with {count} answered examples before the prompt, no tuning",
}

PREAMBLE = (
    "Below, people ask an assistant questions. The assistant knows a great deal, says what it does not "
    "know, and gives each person a complete, friendly and well-ordered answer.\n\n"
)
QUESTION, ANSWER = "### Question\n", "### Answer\n"


@dataclass(frozen=True)
class PromptFormat:
    """How one system's prompts become token ids, and what ends its answers."""

    kind: Kind
    tokenizer: PreTrainedTokenizerBase
    stop_tokens: Mapping[int, str] = field(default_factory=dict)
    """Ids that end an answer, each with the files that name it (`stop_tokens`)."""
    demonstrations: tuple[Example, ...] = ()

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        demonstrations: Sequence[Example] | None = None,
    ) -> PromptFormat:
        """The format that a model and its tokenizer ask for; with demonstrations, plain text around them."""
        kind: Kind = "template" if tokenizer.chat_template else "base"
        if demonstrations is not None:
            kind = "in-context"
        elif chat.eot_id(tokenizer) is not None:
            kind = "lima"
        if kind == "template":
            template.chosen(tokenizer)  # a server would say so at each request
        return cls(kind, tokenizer, stop_tokens(model, tokenizer), tuple(demonstrations or ()))

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return frozenset(self.stop_tokens)

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts that end an answer: the heading of the next question in plain text with examples."""
        return (QUESTION.strip(),) if self.kind == "in-context" else ()

    @property
    def explanation(self) -> str:
        """The format in words."""
        return EXPLANATION[self.kind].format(count=len(self.demonstrations))

    @property
    def ending(self) -> str:
        """What ends an answer, in words."""
        if not self.stop_tokens:
            return "no token ends an answer: each runs to its longest length"
        names = self.tokenizer.convert_ids_to_tokens(list(self.stop_tokens))
        found = zip(names, self.stop_tokens.values(), strict=True)
        return "answers end at " + ", ".join(f"{name} ({sources})" for name, sources in found)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation that ends in a user turn."""
        if self.kind == "lima":
            return chat.encode_prompt(self.tokenizer, messages)
        if self.kind == "template":
            return template.encode_prompt(self.tokenizer, messages)
        if self.kind == "in-context":
            shown = "".join(_headed(example.messages) for example in self.demonstrations)
            return chat.encode_plain(self.tokenizer, PREAMBLE + shown + _headed(messages) + ANSWER)
        return chat.encode_plain(self.tokenizer, "\n\n".join(message.content for message in messages))


def stop_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """The tokens that end an answer, and where each is named: any of these places may be the only one that is right."""
    configured = model.generation_config.eos_token_id
    places = {
        "generation_config": configured if isinstance(configured, list) else [configured],
        "tokenizer": [tokenizer.eos_token_id],
        "chat template": [_end_of_turn(tokenizer)],
    }
    found: dict[int, list[str]] = {}
    for place, ids in places.items():
        for token in ids:
            if token is not None:
                found.setdefault(token, []).append(place)
    return {token: ", ".join(sources) for token, sources in found.items()}


def _end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token that the chat template writes behind an assistant's turn, if it writes one."""
    try:
        found = template.ending(tokenizer) if tokenizer.chat_template else None
    except LimaError:  # said when a conversation is rendered
        return None
    return None if found is None else found.token


def _headed(messages: Sequence[Message]) -> str:
    """A conversation as plain text under headings."""
    headings = {"system": "", "user": QUESTION, "assistant": ANSWER}
    return "".join(f"{headings[message.role]}{message.content}\n\n" for message in messages)


def read_demonstrations(path: Path) -> list[Example]:
    """The answered examples of ``--in-context``."""
    examples = list(read_jsonl(path, Example))
    if open_ones := [example.id for example in examples if example.is_prompt]:
        raise LimaError(f"{path}: {open_ones[0]!r} has no answer. --in-context takes answered examples.")
    return examples


def read_prompts(path: Path, limit: int | None = None) -> list[Example]:
    """The prompts of a file of Examples.

    Raises:
        LimaError: no such file, a line that is no Example, or an id that occurs twice.
    """
    prompts: dict[str, Example] = {}
    for example in read_jsonl(path, Example):
        if example.id in prompts:
            raise LimaError(f"{path}: the id {example.id!r} occurs twice; answers are kept by prompt id.")
        prompts[example.id] = example
        if limit is not None and len(prompts) == limit:
            break
    return list(prompts.values())
