"""Comment chains below an answer -> dialogues for review by hand (the paper's later 30 dialogues, section 5).

The asker's comments go on with the question, the answerer's with the answer. Few chains are good: `review` is on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from lima.curate.candidate import Candidate, Stratum
from lima.curate.choose.sampling import generator
from lima.curate.reading.compressed import open_bytes
from lima.curate.rules import RuleSettings
from lima.curate.sources.base import Work
from lima.curate.stackexchange.dumps import Dump, Index
from lima.curate.stackexchange.row_xml import MAX_ROW_BYTES, decode_row
from lima.curate.stackexchange.shards import candidates_of
from lima.curate.stackexchange.source import Reader, StackExchange
from lima.curate.text.clean import prose_of
from lima.curate.text.markup import BARE_URL
from lima.records import Message, Reject

COMMENT = re.compile(rb'\s*<row Id="(\d{1,18})" PostId="(\d{1,18})"')
MENTION = re.compile(r"^@[\w.'-]+[,:;]?\s*|\s@[\w.'-]+(?=[\s,.;:!?]|$)")
LINK = re.compile(r"\[([^\]]*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)")

Comment = Mapping[str, str]


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

    def _stratum(self, dump: Dump, found: Index, work: Work) -> Stratum:
        """Only answers with comments."""
        answers = found.pairs.answer["id"]
        path = dump.table("comments", work.scratch)
        chains = read_chains(path, set(answers.tolist())) if path else {}
        order = self._order(found.pairs, generator(work.seed, work.name, "order", dump.exchange.name))
        kept = np.array([place for place in order if int(answers[place]) in chains], dtype=np.int64)
        count = work.count(dump.exchange.name)
        count.eligible -= len(order) - len(kept)
        count.dropped_unread["no_comments"] += len(order) - len(kept)
        reader = _DialogueReader(self, dump, work, chains)
        return Stratum(dump.exchange.name, len(kept), candidates_of(reader, found, kept, engine=None))


def read_chains(path: Path, answers: set[int]) -> dict[int, list[Comment]]:
    """The comments below the given answers, from a ``Comments.xml``."""
    chains: dict[int, list[Comment]] = {}
    with open_bytes(path) as stream:
        for line in iter(partial(stream.readline, MAX_ROW_BYTES), b""):
            found = COMMENT.match(line)
            if found and int(found.group(2)) in answers:
                comment = decode_row(line, int(found.group(1)))
                if comment is not None:
                    chains.setdefault(int(found.group(2)), []).append(comment)
    return chains


def dialogue(comments: Sequence[Comment], asker: str | None, answerer: str | None) -> list[Message]:
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


@dataclass(frozen=True)
class _DialogueReader(Reader):
    chains: Mapping[int, Sequence[Comment]]

    def _dropped(self, candidate: Candidate, problem: tuple[str, str]) -> Candidate:
        """The rules look at the whole dialogue, later."""
        return candidate

    def _candidate(
        self, number: int, question: Mapping[str, str] | None, answer: Mapping[str, str] | None
    ) -> Candidate | Reject:
        found = super()._candidate(number, question, answer)
        if isinstance(found, Reject) or question is None or answer is None:
            return found
        identifier = f"{found.id}/dialogue"
        turns = dialogue(
            self.chains[int(answer["Id"])], question.get("OwnerUserId"), answer.get("OwnerUserId")
        )
        if not turns:
            reason = "asker and answerer do not speak with each other in the comments"
            return Reject(id=identifier, rule="no_dialogue", reason=reason)
        example = found.example
        meta = example.meta.model_copy(
            update={
                "transforms": (*example.meta.transforms, "comments as further turns"),
                "tags": (*example.meta.tags, "dialogue"),
            }
        )
        example = example.model_copy(
            update={
                "id": identifier,
                "source": "dialogues",
                "messages": (*example.messages, *turns),
                "meta": meta,
            }
        )
        prose = "\n".join([found.prose, *(prose_of(t.content) for t in turns if t.role == "assistant")])
        return replace(found, example=example, prose=prose)


def _tidy(text: str) -> str:
    """A comment without the names it calls and without addresses; its little Markdown stays."""
    return " ".join(BARE_URL.sub("", LINK.sub(r"\1", MENTION.sub("", text))).split())
