"""Prompts -> token ids, in the form that a system was made for (LIMA, section 3).

A model with our EOT gets the paper's chat format. One with a chat template of its own (another project's
assistant) gets that template. A base model gets the plain text and goes on writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jinja2

from lima import chat
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
    stop_ids: frozenset[int]
    demonstrations: tuple[Example, ...] = ()

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        demonstrations: Sequence[Example] | None = None,
    ) -> PromptFormat:
        """The format that a model and its tokenizer ask for; with demonstrations, plain text around them."""
        ends = model.generation_config.eos_token_id
        stop_ids = set(ends if isinstance(ends, list) else [ends]) - {None}
        eot = chat.eot_id(tokenizer)
        if demonstrations is not None:
            return cls("in-context", tokenizer, frozenset(stop_ids), tuple(demonstrations))
        if eot is not None:
            return cls("lima", tokenizer, frozenset(stop_ids | {eot}))
        kind: Kind = "template" if tokenizer.chat_template else "base"
        return cls(kind, tokenizer, frozenset(stop_ids))

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts that end an answer: the heading of the next question in plain text with examples."""
        return (QUESTION.strip(),) if self.kind == "in-context" else ()

    @property
    def explanation(self) -> str:
        """The format in words."""
        return EXPLANATION[self.kind].format(count=len(self.demonstrations))

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation that ends in a user turn."""
        if self.kind == "lima":
            return chat.encode_prompt(self.tokenizer, messages)
        if self.kind == "template":
            return self._encode_template(messages)
        if self.kind == "in-context":
            shown = "".join(_headed(example.messages) for example in self.demonstrations)
            return chat.encode_plain(self.tokenizer, PREAMBLE + shown + _headed(messages) + ANSWER)
        return chat.encode_plain(self.tokenizer, "\n\n".join(message.content for message in messages))

    def _encode_template(self, messages: Sequence[Message]) -> list[int]:
        conversation = [{"role": message.role, "content": message.content} for message in messages]
        try:
            ids: list[int] = self.tokenizer.apply_chat_template(
                conversation, add_generation_prompt=True, tokenize=True, return_dict=False
            )
        except jinja2.TemplateError as error:
            raise LimaError(f"the model's chat template refuses a conversation ({error}).") from None
        return ids


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
