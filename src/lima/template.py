"""Conversations in any chat template -> token ids, and which of them the assistant writes.

A template is a program in Jinja, and says nothing about who writes what. It is found by rendering prefixes: what a
template renders up to a turn, with the heading of an answer, is not the assistant's; from there to the token that
ends the turn is. `with_marks` writes the same rule into a template, so that other trainers put loss on the same tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from lima.errors import LimaError
from lima.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Conversation = Sequence[Mapping[str, str]]
Span = tuple[int, int]
STAND_INS = range(0xF0000, 0xFFFFE)
"""Characters of private use, which stand in for the special tokens that a text spells while a template is rendered."""
CUT = chr(0xFFFFE)
"""Another, where a text is cut in two."""
ANSWER = "A short answer"
PROBE = ({"role": "user", "content": "Hello"}, {"role": "assistant", "content": ANSWER})
MARK = re.compile(r"\{%(?P<left>[-+]?)\s*(?P<end>end)?generation\s*(?P<right>[-+]?)%\}")
HEAD = "{% macro conversation_text(messages, add_generation_prompt) %}"
TAIL = """{% endmacro %}
{%- set whole = conversation_text(messages, add_generation_prompt) -%}
{%- set written = namespace(to=0) -%}
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
{%- set start = conversation_text(messages[:loop.index0], true) | length -%}
{%- set end = (conversation_text(messages[:loop.index], false) | length) - REST -%}
{{- whole[written.to:start] -}}
{%- generation -%}{{- whole[start:end] -}}{%- endgeneration -%}
{%- set written.to = end -%}
{%- endif -%}
{%- endfor -%}
{{- whole[written.to:] -}}
"""


@dataclass(frozen=True)
class Ending:
    """What a template writes behind an assistant's text."""

    token: int
    """The stop token."""
    text: str
    rest: int
    """Characters behind the stop token, such as the line feed of ChatML; no assistant has to write them."""


def encode(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
    """Token ids of a conversation in the tokenizer's template, and for each whether the assistant writes it.

    The answers and the stop token of each are the assistant's. Special tokens that a text spells stay text.

    Raises:
        LimaError: the template has no stop token, fails, or renders earlier turns otherwise once later ones follow.
    """
    conversation, spelled = _disguise(tokenizer, messages)
    text = _render(tokenizer, conversation)
    return _tokenize(tokenizer, text, _written(tokenizer, conversation, text), spelled)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation and of the heading of the answer that is to follow.

    Raises:
        LimaError: the template fails on it, or leaves texts out.
    """
    _check_heard(tokenizer)
    conversation, spelled = _disguise(tokenizer, messages)
    return _tokenize(tokenizer, _render(tokenizer, conversation, heading=True), [], spelled)[0]


def ending(tokenizer: PreTrainedTokenizerBase) -> Ending | None:
    """The special token that the chat template writes behind an assistant's text, or None where it writes none.

    Raises:
        LimaError: the template fails, or leaves texts out.
    """
    _check_heard(tokenizer)
    text = _render(tokenizer, PROBE)
    _, said, behind = text.rpartition(ANSWER)
    special = special_tokens(tokenizer).items()
    ends = [(len(s), number, s) for number, s in special if s and behind.lstrip().startswith(s)]
    if not said or not ends:
        return None
    _, token, spelling = max(ends)
    return Ending(token, spelling, len(behind.lstrip()) - len(spelling))


def known_ending(tokenizer: PreTrainedTokenizerBase) -> Ending:
    """The template's `ending`, which training cannot do without.

    Raises:
        LimaError: it has none.
    """
    key = str(tokenizer.chat_template), len(tokenizer)
    before, found = _ENDINGS.get(tokenizer, (None, None))
    if before != key:
        found = ending(tokenizer)
        _ENDINGS[tokenizer] = key, found
    if found is None:
        raise LimaError(
            "the chat template ends an assistant's turn with no special token of this tokenizer, so a model could not "
            "learn to stop. Use --chat-template lima, or a FILE whose turns end in one."
        )
    return found


def with_marks(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokenizer's template with ``generation`` marks around what the assistant writes; it renders the same text.

    Raises:
        LimaError: the template has no stop token, or fails.
    """
    template = chosen(tokenizer)
    if template.startswith(HEAD):
        return template  # of an earlier tuning
    plain = MARK.sub(_as_condition, template.removesuffix("\n"))
    # Jinja drops a line feed behind a tag, and blanks before one
    head = HEAD.replace(" %}", " +%}") if plain.startswith("\n") else HEAD
    return head + plain + TAIL.replace("REST", str(known_ending(tokenizer).rest))


def chosen(tokenizer: PreTrainedTokenizerBase) -> str:
    """The template that renders conversations: the only one, or the default of several named ones.

    Raises:
        LimaError: none of several is the default.
    """
    several = tokenizer.chat_template
    if isinstance(several, dict) and "default" not in several:
        raise LimaError(
            f"the tokenizer has the chat templates {', '.join(several)}, and none of them is called default. Put the one to use into a "
            "FILE: --chat-template FILE, or chat_template.jinja beside the weights."
        )
    found: str = tokenizer.get_chat_template()
    return found


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> Mapping[int, str]:
    """Ids and texts of what a text must not spell: control tokens, named or not, except the one for the unknown.

    `all_special_ids` lacks those without a name, and, until the tokenizer is loaded again, the EOT that was added.
    """
    size, found = _SPECIAL.get(tokenizer, (0, {}))
    if size != len(tokenizer):
        added = tokenizer.added_tokens_decoder
        found = {number: str(token) for number, token in added.items() if token.special}
        named = zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
        found |= {number: str(text) for number, text in named}
        found.pop(tokenizer.unk_token_id, None)
        _SPECIAL[tokenizer] = len(tokenizer), found
    return found


_SPECIAL: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, dict[int, str]]] = WeakKeyDictionary()
_SPELLINGS: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[tuple[str, int], list[str]]] = (
    WeakKeyDictionary()
)
_HEARD: WeakKeyDictionary[PreTrainedTokenizerBase, str] = WeakKeyDictionary()
"""The template of a tokenizer that was found to say what messages say."""
_ENDINGS: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[tuple[str, int], Ending | None]] = (
    WeakKeyDictionary()
)


def _as_condition(mark: re.Match[str]) -> str:
    """A tag that does nothing, in place of a mark, with its effect on the white space around it."""
    return f"{{%{mark['left']} {'endif' if mark['end'] else 'if true'} {mark['right']}%}}"


def _render(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, *, heading: bool = False) -> str:
    try:
        text: str = tokenizer.apply_chat_template(
            [dict(message) for message in conversation], tokenize=False, add_generation_prompt=heading
        )
    except Exception as error:  # a template is a program of its author, and may raise anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise LimaError(
            f"the chat template fails on a conversation ({reason}). Mend the template, take out of the texts what it does not take, or "
            "tune with --chat-template lima."
        ) from None
    return text


def _check_heard(tokenizer: PreTrainedTokenizerBase) -> None:
    """A template that goes over the parts of a message finds none in a text, and renders a prompt without it.

    Raises:
        LimaError: the template is such a one.
    """
    if _HEARD.get(tokenizer) == str(tokenizer.chat_template):
        return
    text = _render(tokenizer, PROBE)
    if not all(message["content"] in text for message in PROBE):
        raise LimaError(
            "the chat template leaves out what messages say where their content is a text, as that of a model of images may. "
            "Use --chat-template lima to tune, or a FILE that writes each message['content']."
        )
    _HEARD[tokenizer] = str(tokenizer.chat_template)


def _disguise(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]
) -> tuple[Conversation, Mapping[str, str]]:
    """The conversation with a stand-in for each special token that its texts spell, and what each stands for."""
    said = "".join(message.content for message in messages)
    met = [text for text in spellings(tokenizer) if text in said]
    free = (chr(code) for code in STAND_INS if chr(code) not in said)
    spelled = dict(zip(free, met, strict=False))
    conversation = []
    for message in messages:
        text = message.content
        for stand_in, spelling in spelled.items():
            text = text.replace(spelling, stand_in)
        conversation.append({"role": message.role, "content": text})
    return conversation, spelled


def spellings(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Texts of the tokens that no text may become, longer ones first, as one may be part of another.

    These are the special ones, and added ones that the template puts around a user's turn: not every author calls them special.
    """
    key = str(tokenizer.chat_template), len(tokenizer)
    before, found = _SPELLINGS.get(tokenizer, (None, []))
    if before != key:
        unknown = [str(tokenizer.unk_token)] if tokenizer.unk_token is not None else []
        texts = {*special_tokens(tokenizer).values(), *unknown, *_frames(tokenizer)} - {""}
        found = sorted(texts, key=lambda text: (-len(text), text))
        _SPELLINGS[tokenizer] = key, found
    return found


def _frames(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    frame = _render(tokenizer, PROBE[:1], heading=True)
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if not token.special)
    return {text for text in added if text.strip() and text in frame}


def _written(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, text: str) -> list[Span]:
    """Where in the rendered text the assistant writes: each answer with its stop token."""
    end = known_ending(tokenizer)
    spans: list[Span] = []
    for number, message in enumerate(conversation):
        if message["role"] != "assistant":
            continue
        before = _render(tokenizer, conversation[:number], heading=True)
        after = _render(tokenizer, conversation[: number + 1])
        after = after[: len(after) - end.rest]
        place = f"the chat template renders answer {len(spans) + 1}"
        if not (text.startswith(after) and after.startswith(before) and after.endswith(end.text)):
            raise LimaError(
                f"{place} otherwise alone than in the whole conversation, so its tokens cannot be told apart. "
                "Use --chat-template lima, or a FILE that renders turn by turn."
            )
        _check_said(message["content"], before, after.removeprefix(before).removesuffix(end.text), place)
        spans.append((len(before), len(after)))
    return spans


def _check_said(content: str, before: str, written: str, place: str) -> None:
    """What is learnt as an answer is the answer: white space aside, nothing is left out of it, nor put before it.

    A template that opens a block of thoughts in its heading has the beginning of an answer there.
    """
    said, wanted = "".join(written.split()), "".join(content.split())
    if said == wanted or (len(said) < len(wanted) and "".join((before + written).split()).endswith(wanted)):
        return
    if said.endswith(wanted):
        extra = written[: written.rfind(content.strip())].strip()
        raise LimaError(
            f"{place} with {extra[:60]!r} before it, which generation's prompt has not, so that it would be learnt as text. "
            "Use --chat-template lima, or a FILE without it."
        )
    raise LimaError(
        f"{place} in other words: {written.strip()[:60]!r} for {content.strip()[:60]!r}. Use --chat-template lima, or a FILE that "
        "renders texts as they are."
    )


def _tokenize(
    tokenizer: PreTrainedTokenizerBase, text: str, spans: Sequence[Span], spelled: Mapping[str, str]
) -> tuple[list[int], list[bool]]:
    if tokenizer.is_fast and not spelled:
        found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        numbers, places = list(found["input_ids"]), found["offset_mapping"]
        if _only_the_templates(tokenizer, text, zip(numbers, places, strict=True)):
            return numbers, [any(a < end and b > start for start, end in spans) for a, b in places]
    ids: list[int] = []
    flags: list[bool] = []
    for piece, is_written in _pieces(text, spans):
        new = [token for part in _parts(tokenizer, piece) for token in _part_ids(tokenizer, part, spelled)]
        ids += new
        flags += [is_written] * len(new)
    return ids, flags


def _only_the_templates(
    tokenizer: PreTrainedTokenizerBase, text: str, tokens: Iterable[tuple[int, Span]]
) -> bool:
    """Whether each special token stands where the text spells it; a normaliser makes others, as of wide characters."""
    special = special_tokens(tokenizer)
    return all(special[token] in text[a:b] for token, (a, b) in tokens if token in special)


def _pieces(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, bool]]:
    """The text cut at the edges of the spans, and whether a piece is one of them."""
    edges = sorted({0, len(text), *(edge for span in spans for edge in span)})
    return ((text[a:b], (a, b) in spans) for a, b in pairwise(edges))


def _parts(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """The text cut at the special tokens that the template wrote, each a part of its own."""
    known = "|".join(map(re.escape, spellings(tokenizer)))
    return re.split(f"({known})", text) if known else [text]


def _part_ids(tokenizer: PreTrainedTokenizerBase, part: str, spelled: Mapping[str, str]) -> list[int]:
    if part in spellings(tokenizer):
        return [int(tokenizer.convert_tokens_to_ids(part))]
    special = {*special_tokens(tokenizer).values(), str(tokenizer.unk_token)}
    for stand_in, spelling in spelled.items():
        # the tokenizer finds added tokens that are not special wherever they are spelled, unless they are cut
        part = part.replace(stand_in, spelling if spelling in special else spelling[0] + CUT + spelling[1:])
    pieces = [piece for piece in part.split(CUT) if piece]
    encoded = (tokenizer.encode(p, add_special_tokens=False, split_special_tokens=True) for p in pieces)
    return list(chain.from_iterable(encoded))
