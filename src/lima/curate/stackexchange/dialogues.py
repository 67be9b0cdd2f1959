"""Comment chains below an answer -> dialogues for review by hand (the paper's later 30 dialogues, section 5).

The asker's comments go on with the question, the answerer's with the answer. Few chains are good: `review` is on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lima.curate.candidate import Candidate, Stratum
from lima.curate.reading.compressed import open_bytes
from lima.curate.reading.lines import bounded_lines
from lima.curate.rules import RuleSettings
from lima.curate.sources.base import Context
from lima.curate.stackexchange.pairs import Post, RawPair
from lima.curate.stackexchange.reading import Pairs, decode_row
from lima.curate.stackexchange.source import Dump, StackExchange
from lima.curate.text.clean import prose_of
from lima.curate.text.markup import BARE_URL
from lima.records import Message, Reject

COMMENT = re.compile(rb'\s*<row Id="(\d{1,18})" PostId="(\d{1,18})"')
MENTION = re.compile(r"^@[\w.'-]+[,:;]?\s*|\s@[\w.'-]+(?=[\s,.;:!?]|$)")
LINK = re.compile(r"\[([^\]]*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)")


class Dialogues(StackExchange):
    """Question, answer, and what asker and answerer said to each other in the comments."""

    kind: Literal["dialogues"] = "dialogues"  # type: ignore[assignment]
    """Which source this is."""
    review: bool = True
    """Offer the candidates in the file of ``--review``."""
    rules: RuleSettings = RuleSettings(
        score_min=3, length_min=200, first_person=False, refers_to_others=False, refers_to_site=False,
        self_contained_title=False,
    )  # fmt: skip
    """The filters and their thresholds, which look at the answer; people speak as people in comments."""

    def _stratum(self, dump: Dump, pairs: Pairs, context: Context) -> Stratum:
        """Only answers with comments."""
        path, answers = dump.table("comments", context.scratch), pairs.answers["id"].tolist()
        chains = read_chains(path, set(answers)) if path else {}
        order = self._order(dump, pairs, context)
        kept = [place for place in order if answers[place] in chains]
        count = context.count(dump.exchange.name)
        count.eligible -= len(order) - len(kept)
        count.dropped_unread["no_comments"] += len(order) - len(kept)
        candidates = (
            RawDialogue(**vars(raw), comments=chains[raw.answer[0]])
            for raw in self._raw_pairs(dump, pairs, kept, context)
        )
        return Stratum(dump.exchange.name, len(kept), candidates)


@dataclass(frozen=True)
class RawDialogue(RawPair):
    """A question, its answer, and the comments below that."""

    comments: Sequence[Post]

    def candidate(self, question: Post, answer: Post) -> Candidate | Reject:
        """The pair's candidate with its further turns."""
        found = super().candidate(question, answer)
        if isinstance(found, Candidate) and found.choose is not None:
            found = found.choose(found)  # the rules judge the whole dialogue, so at once
        if isinstance(found, Reject):
            return found
        identifier, example = f"{self.id}/dialogue", found.example
        turns = dialogue(self.comments, question.get("OwnerUserId"), answer.get("OwnerUserId"))
        if not turns:
            reason = "asker and answerer do not speak with each other in the comments"
            return Reject(id=identifier, rule="no_dialogue", reason=reason)
        more = {
            "transforms": (*example.meta.transforms, "comments as further turns"),
            "tags": (*example.meta.tags, "dialogue"),
        }
        changes = {
            "id": identifier,
            "source": "dialogues",
            "messages": (*example.messages, *turns),
            "meta": example.meta.model_copy(update=more),
        }
        prose = "\n".join([found.prose, *(prose_of(t.content) for t in turns if t.role == "assistant")])
        return replace(found, example=example.model_copy(update=changes), prose=prose)


def read_chains(path: Path, answers: set[int]) -> dict[int, list[Post]]:
    """The comments below the given answers, from a ``Comments.xml``."""
    chains: dict[int, list[Post]] = {}
    with open_bytes(path) as stream:
        for line in bounded_lines(stream, path):
            found = COMMENT.match(line)
            if found and int(found[2]) in answers:
                comment = decode_row(line, int(found[1]))
                if comment is not None:
                    chains.setdefault(int(found[2]), []).append(comment)
    return chains


def dialogue(comments: Sequence[Post], asker: str | None, answerer: str | None) -> list[Message]:
    """The turns after the answer: asker first, answerer last, each one's comments in a row joined.

    Comments of others are left out. Empty where the two did not speak with each other.
    """
    if not asker or not answerer or asker == answerer:
        return []
    turns: list[tuple[str, str]] = []
    for comment in sorted(comments, key=lambda c: (c.get("CreationDate", ""), int(c["Id"]))):
        speaker, text = comment.get("UserId"), _tidy(comment.get("Text", ""))
        if not text or speaker not in (asker, answerer) or (not turns and speaker != asker):
            continue
        if turns and turns[-1][0] == speaker:
            turns[-1] = (turns[-1][0], f"{turns[-1][1]} {text}")
        else:
            turns.append((speaker or "", text))
    if len(turns) % 2:
        turns.pop()
    return [
        Message(role="user" if speaker == asker else "assistant", content=text) for speaker, text in turns
    ]


def _tidy(text: str) -> str:
    """A comment without the names it calls and without addresses; its little Markdown stays."""
    return " ".join(BARE_URL.sub("", LINK.sub(r"\1", MENTION.sub("", text))).split())
