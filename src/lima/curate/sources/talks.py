"""A conversation of a help desk or a chat -> the messages of an example: joined by side, between the first question and the last answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from lima.curate.reading.conversations import Turn
from lima.curate.reading.message_columns import Side
from lima.curate.text.mail import acknowledgement
from lima.formats.rows import UnusableRow
from lima.records import Cut, Message

COURTESY = re.compile(
    r"""(?ix) ^ \W* (?: (?:you['’]?re|you\ are) \ (?:very\ |most\ )? welcome | no\ (?:problem|worries) | (?:it\ (?:is|was)\ )? (?:my|our) \ pleasure
      | (?:i['’]?m|we['’]?re)? \ ? (?:glad|happy) \ (?:to\ (?:help|hear)|(?:that\ )?(?:i|we|it|this)) | any\ ?time | you\ too | have\ an?\ \w+\ (?:day|week|weekend|evening|one)
      | (?:sehr\ )? gerne? (?:\ geschehen)? \b | keine\ ursache | kein\ problem | bitte\ (?:sehr|schön) | (?:das\ )? freut\ (?:mich|uns) | (?:ihnen|dir)\ auch | schönen\ \w+
      | avec\ plaisir | de\ rien | je\ (?:vous|t['’])\ ?en\ prie | bonne\ (?:journée|soirée) | de\ nada | con\ (?:mucho\ )? gusto | un\ placer | que\ tenga )"""
)
"""How an exchange of thanks is answered."""
COURTESY_WORDS, THANKS_WORDS = 15, 25
"""Longer ones say something else too."""
TORN = "turns after a missing message left out"
Dialogue = Literal["whole", "first", "last"]
Cleaned = tuple[str, list[str], list[Cut]]
"""A text without its trimmings, what was done to it, and what was cut out of it."""


@dataclass
class _Joined:
    """Turns of one side without any of the other between them."""

    side: Side
    text: str
    cuts: list[Cut]

    def add(self, text: str, cuts: Sequence[Cut]) -> None:
        lines = self.text.count("\n") + 2
        self.cuts += [cut.model_copy(update={"line": cut.line + lines}) for cut in cuts]
        self.text = f"{self.text}\n\n{text}"


def messages_of(
    turns: Sequence[Turn], how: Dialogue, clean: Callable[[Turn], Cleaned], *, automatic: bool
) -> tuple[list[Message], list[str], list[Cut]]:
    """The messages, what was done, and what was cut.

    Args:
        turns: in the order of time.
        how: ``whole``; the ``first`` question and answer alone; or the whole, of which only the ``last`` answer is learnt.
        clean: what is left of a turn.
        automatic: keep acknowledgements.

    Raises:
        UnusableRow: there is no answer to a question of the other side.
    """
    joined, changes = _join(turns, clean, automatic=automatic)
    if not joined:
        raise UnusableRow("no-question", "no message of the customer, or none before your side's")
    if how == "first":
        joined = joined[:2]
    elif joined[-1].side == "user" and len(joined) > 1:
        joined = joined[:-1]
        changes.append("words after the last answer left out")
    while how != "first" and len(joined) > 2 and _only_thanks(joined[-2].text, joined[-1].text):
        joined = joined[:-2]
        changes.append("thanks at the end left out")
    if len(joined) < 2 and TORN in changes:
        raise UnusableRow("gap", "a message without words, or a bot's, stands before the first answer")
    if len(joined) < 2:
        told = "automatic" if "automatic reply left out" in changes else "no-reply"
        raise UnusableRow(told, "no answer of your side" + " but an automatic one" * (told == "automatic"))
    return _messages(joined, how), changes, _placed(joined)


def _join(
    turns: Sequence[Turn], clean: Callable[[Turn], Cleaned], *, automatic: bool
) -> tuple[list[_Joined], list[str]]:
    """The turns by side from the first question on, up to where the other side's words between two of one side are missing.

    What comes after such a gap speaks of what is not there.
    """
    joined: list[_Joined] = []
    changes: list[str] = []
    missing: set[Side] = set()
    for turn in turns:
        text, steps, cuts = clean(turn)
        if not text:
            missing.add(turn.side)
        elif turn.side == "assistant" and not automatic and acknowledgement(text):
            changes.append("automatic reply left out")
        elif turn.side == "assistant" and not joined:
            changes.append("words before the first question left out")
        elif joined and joined[-1].side == turn.side and missing - {turn.side}:
            changes.append(TORN)
            break
        else:
            changes += steps
            missing.clear()
            if joined and joined[-1].side == turn.side:
                joined[-1].add(text, cuts)
            else:
                joined.append(_Joined(turn.side, text, cuts))
    return joined, changes


def _only_thanks(said: str, answered: str) -> bool:
    """Whether a dialogue ends in thanks and "You're welcome": that settles nothing."""
    short = len(said.split()) <= THANKS_WORDS and len(answered.split()) <= COURTESY_WORDS
    return short and "?" not in said and COURTESY.match(answered) is not None


def _messages(joined: Sequence[_Joined], how: Dialogue) -> list[Message]:
    last = len(joined) - 1
    return [
        Message(
            role=one.side, content=one.text, weight=int(how != "last" or place == last or one.side == "user")
        )
        for place, one in enumerate(joined)
    ]


def _placed(joined: Sequence[_Joined]) -> list[Cut]:
    return [cut.model_copy(update={"turn": place}) for place, one in enumerate(joined) for cut in one.cuts]
