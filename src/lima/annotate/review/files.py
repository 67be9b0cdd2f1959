"""The review queue's files: ``review.jsonl``, from and for `lima curate`, and the file of an ``authored`` source.

Both are written anew after every decision, atomically, so `lima curate` can run at any time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from lima.annotate.database import Database
from lima.annotate.review.drafts import QueuedText, add_candidates, take_over
from lima.annotate.review.queue import ReviewQueue
from lima.annotate.security import log
from lima.annotate.tables import iso
from lima.commands import command
from lima.errors import LimaError
from lima.files import read_jsonl, read_objects, replacing, write_jsonl
from lima.records import Cut, Example, Mark, Message, Meta, Review

AUTHORED_NAME = "authored.jsonl"
OUR_GROUPS = ("A", "B")
OUR_FIELDS = ("id", "group", "prompt", "answer", "author", "tags", "notes", "refusal")


class ReviewFiles:
    """Reads the files into an empty database, and writes them from it."""

    def __init__(self, review: Path, authored: Path | None) -> None:
        self.review = review
        self.authored = authored or review.parent / AUTHORED_NAME
        self._writing = threading.Lock()
        self._written_at = 0
        self._marks: dict[str, tuple[Mark, ...]] = {}
        self._cuts: dict[str, tuple[Cut, ...]] = {}

    def load(self, base: Database, now: float) -> int:
        """Take over candidates that the database does not have, and decisions that were made in an editor.

        Returns how many texts are new. A decision made here stands, whatever the file says.

        Raises:
            LimaError: neither file is there, a row is malformed, or a candidate is there twice.
        """
        if not self.review.exists() and not self.authored.exists() and self.review.parent.is_dir():
            self.review.touch()  # a place to write, without candidates
        reviews = self._reviews()
        rows = [self._row(review, rank) for rank, review in enumerate(reviews, start=1)]
        twice = [name for name, count in Counter(row["text_id"] for row in rows).items() if count > 1]
        if twice:
            raise LimaError(f"{self.review}: candidate {twice[0]!r} is there more than once.")
        self._marks |= {review.candidate.id: review.marks for review in reviews}
        self._cuts |= {review.candidate.id: review.cuts for review in reviews}
        with base.write() as connection:
            new = add_candidates(connection, rows, now)
            for row in rows:
                if row["outcome"]:
                    take_over(connection, row["text_id"], row["outcome"], now)
            new += add_candidates(connection, self._written(), now)
        return new

    def marks_of(self, draft: QueuedText) -> list[Mark]:
        """What `lima curate` marked in a text, as far as it is there."""
        return [mark for mark in self._marks.get(draft.text_id, ()) if _is_there(mark, draft.example)]

    def cuts_of(self, draft: QueuedText) -> tuple[Cut, ...]:
        """What `lima curate` cut out of a text."""
        return self._cuts.get(draft.text_id, ())

    def keep_up(self, queue: ReviewQueue) -> None:
        """As `write`, after a step that the database has; files that cannot be read are left, and the log says so."""
        try:
            self.write(queue)
        except (LimaError, OSError) as error:
            log.error("the review files are not up to date, its database is: %s", error)

    def write(self, queue: ReviewQueue) -> None:
        """Write both files as the database has them, with what `lima curate` or an editor has added since.

        Raises:
            LimaError: a file that was changed meanwhile cannot be read; both stay as they are.
        """
        with self._writing:
            if self.review.exists() and self.review.stat().st_mtime_ns != self._written_at:
                self.load(queue.base, queue.clock())
            found = queue.everything()
            lines = list(self._lines({draft.text_id: draft for draft in found if draft.kind == "authored"}))
            write_jsonl(self.review, self._reviews_of(found))
            self._written_at = self.review.stat().st_mtime_ns
            if lines or self.authored.exists():
                with replacing(self.authored) as stream:
                    stream.writelines(orjson.dumps(line) + b"\n" for line in lines)

    def reviews(self, queue: ReviewQueue) -> list[Review]:
        """The candidates as the database has them, with what was marked in them."""
        return self._reviews_of(queue.everything())

    def _reviews_of(self, drafts: Sequence[QueuedText]) -> list[Review]:
        return [self._review(draft) for draft in drafts if draft.kind == "candidate"]

    def _review(self, draft: QueuedText) -> Review:
        marks, outcome = self._marks.get(draft.text_id, ()), draft.outcome
        if outcome is None:
            return Review(candidate=draft.example, marks=marks, cuts=self.cuts_of(draft))
        return Review(
            candidate=draft.example,
            marks=marks,
            cuts=self.cuts_of(draft),
            decision=outcome.decision,
            edited=outcome.edited,
            reviewer=outcome.rater or None,
            reason=outcome.reason or None,
            at=iso(outcome.at) if outcome.at else None,
        )

    def _lines(self, drafts: dict[str, QueuedText]) -> Iterator[dict[str, Any]]:
        """The rows of the authored file: those that were not written here as they are, in their places."""
        left = dict(drafts)
        for number, row in read_objects(self.authored) if self.authored.exists() else ():
            draft = left.pop(self._name(row, number), None)
            if draft is None:
                yield row
            elif draft.final:
                yield _authored(draft) | {name: row[name] for name in row if name not in OUR_FIELDS}
        yield from (_authored(draft) for draft in left.values() if draft.final)

    def _name(self, row: dict[str, Any], number: int) -> str:
        return str(row.get("id") or f"authored/{self.authored.stem}/{number}")

    def _row(self, review: Review, rank: int) -> dict[str, Any]:
        try:
            return _row(review, rank)
        except ValueError:
            raise LimaError(
                f"{self.review}: candidate {review.candidate.id!r}: {review.at!r} is no time."
            ) from None

    def _reviews(self) -> list[Review]:
        if not self.review.exists():
            make_it = command("curate", "RECIPE", "--input", "RAW", "--out", "DATA", "--review", self.review)
            raise LimaError(f"{self.review}: no such file. Make it: {make_it}")
        return list(read_jsonl(self.review, Review)) if self.review.stat().st_size else []

    def _written(self) -> list[dict[str, Any]]:
        """Rows of the authored file, which a former database or somebody's editor has made."""
        if not self.authored.exists():
            return []
        found = []
        for number, row in read_objects(self.authored):
            group = row.get("group")
            if group in OUR_GROUPS and isinstance(row.get("prompt"), str):
                found.append(_row_of_author(row, self._name(row, number)))
        return found


def example_of(
    text_id: str,
    prompt: str,
    answer: str | None,
    *,
    author: str,
    group: str,
    tags: tuple[str, ...],
    notes: str,
) -> Example:
    """What somebody wrote, as a record; a test prompt has no answer."""
    messages = [Message(role="user", content=prompt)]
    if answer:
        messages.append(Message(role="assistant", content=answer))
    extra: dict[str, Any] = {"group": group}
    if notes:
        extra["notes"] = notes
    if "refusal" in tags:
        extra["refusal"] = True
    kept = tuple(tag for tag in tags if tag != "refusal")
    meta = Meta(tags=kept, authors=(author,), **extra)
    return Example(id=text_id, source="authored", messages=tuple(messages), meta=meta)


def with_texts(example: Example, prompt: str, answer: str | None) -> Example:
    """The example with its last exchange rewritten; earlier turns of a dialogue stay."""
    messages = list(example.messages)
    place = -2 if messages[-1].role == "assistant" else -1
    messages[place] = Message(role="user", content=prompt)
    if place == -2 and answer:
        messages[-1] = messages[-1].model_copy(update={"content": answer})
    return example.model_copy(update={"messages": tuple(messages)})


def texts_of(example: Example) -> tuple[str, str]:
    """The last question, and its answer or an empty text."""
    if example.is_prompt:
        return example.messages[-1].content, ""
    return example.messages[-2].content, example.messages[-1].content


def _row(review: Review, rank: int) -> dict[str, Any]:
    outcome: dict[str, Any] | None = None
    if review.decision:
        edited = review.edited.model_dump(mode="json") if review.edited else None
        at = datetime.fromisoformat(review.at).timestamp() if review.at else 0.0
        outcome = {"rater": review.reviewer or "", "decision": review.decision, "edited": edited}
        outcome |= {"reason": review.reason or "", "at": at}
    return {
        "text_id": review.candidate.id,
        "content": review.candidate.model_dump(mode="json"),
        "rank": rank,
        "state": review.decision or "open",
        "outcome": outcome,
    }


def _row_of_author(row: dict[str, Any], name: str) -> dict[str, Any]:
    tags = (*(row.get("tags") or ()), *(("refusal",) if row.get("refusal") else ()))
    example = example_of(
        name,
        row["prompt"],
        row.get("answer"),
        author=str(row.get("author") or ""),
        group=row["group"],
        tags=tuple(map(str, tags)),
        notes=str(row.get("notes") or ""),
    )
    return {
        "kind": "authored",
        "grp": row["group"],
        "text_id": example.id,
        "content": example.model_dump(mode="json"),
        "rank": 0,
        "state": "accept",
        "outcome": None,
    }


def _is_there(mark: Mark, example: Example) -> bool:
    return mark.turn < len(example.messages) and mark.text in example.messages[mark.turn].content


def _authored(draft: QueuedText) -> dict[str, Any]:
    example = draft.final
    assert example is not None
    prompt, answer = texts_of(example)
    extra = example.meta.model_extra or {}
    row: dict[str, Any] = {"id": example.id, "group": draft.group, "prompt": prompt}
    if answer:
        row["answer"] = answer
    if example.meta.authors and example.meta.authors[0]:
        row["author"] = example.meta.authors[0]
    if example.meta.tags:
        row["tags"] = list(example.meta.tags)
    return row | {name: extra[name] for name in ("notes", "refusal") if extra.get(name)}
