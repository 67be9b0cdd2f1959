"""Stack Exchange dumps -> questions with their best answer (paper, section 2.1).

The headers of all posts are read first; the bodies of few, best question first, when the sampler asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lima.curate.candidate import Candidate, Stratum
from lima.curate.choose.sampling import chance, generator
from lima.curate.fit import TITLE, Form, choose_prompt
from lima.curate.rules import first_problem
from lima.curate.sources.base import SourceSettings, Work
from lima.curate.stackexchange.authors import author, display_names
from lima.curate.stackexchange.dumps import Dump, Index, find_dumps
from lima.curate.stackexchange.headers import Scan
from lima.curate.stackexchange.pairs import Pairs
from lima.curate.stackexchange.prefilter import early_problem
from lima.curate.stackexchange.row_xml import STRIPPED, Place, decode_row, raw_row
from lima.curate.stackexchange.shards import Places, begin_ahead, candidates_of, read_indexes
from lima.curate.stackexchange.sites import ExchangeSet, ExchangeTable, licence
from lima.curate.text.clean import Cleaned, clean
from lima.records import Example, Message, Meta, Reject

MAX_BODY_CHARACTERS = 1_000_000
"""The sites allow 30,000 characters of Markdown; more is no post but an attack on the cleaner."""
EMPTY = "no text is left after cleaning"
STYLE_NAMES = {"markdown": "HTML to Markdown", "lima": "HTML to plain text"}


class StackExchange(SourceSettings):
    """Questions whose title stands alone, with their top answer, over many exchanges."""

    kind: Literal["stackexchange"] = "stackexchange"
    """Which source this is."""
    sets: tuple[ExchangeSet, ...] = ("stem", "other")
    """Which sets of exchanges to draw from. [paper: 75 STEM, 99 other; the 5 niche ones dropped]"""
    exchange_table: Path | None = None
    """Your own table of exchanges (columns exchange, set, old_dump_name), instead of the shipped one."""
    extra_exchanges: dict[str, ExchangeSet] = Field(default_factory=dict)
    """Further exchanges and their set, such as your own forum: ``{forum: other}``."""
    title_prompts: float = Field(default=0.5, ge=0, le=1)
    """Share of prompts that are the title; the others are the description. [paper: at random; ours: 1/2]"""
    description_form: Form = "auto"
    """How a description is shown: ``description`` alone, ``both`` with its title above it, or ``auto``, with the title
    where its subject stands there alone. [ours]"""
    order: Literal["score", "random", "longest"] = "score"
    """Which questions of an exchange come first. [paper: the highest score]"""
    drop_closed: bool = True
    """Leave closed questions out."""
    drop_community_wiki: bool = False
    """Leave answers out that belong to the community instead of an author."""

    @property
    def scan(self) -> Scan:
        """Answers from the lowest score, and closed questions or not."""
        return Scan(self.rules.score_min, self.drop_closed)

    def strata(self, work: Work) -> list[Stratum]:
        """One stratum an exchange; its size is the number of eligible questions."""
        wanted = [dump for dump in self._dumps(work) if dump.exchange.set in self.sets]
        strata = []
        for dump, found in read_indexes(wanted, self.scan, work):
            _count(found, work, dump.exchange.name)
            strata.append(self._stratum(dump, found, work))
        begin_ahead(strata, work.quota, self.tau)
        return strata

    def complete(self, examples: Sequence[Example], work: Work) -> list[Example]:
        """Put display names in the place of user numbers, where the dump has its ``Users.xml``."""
        by_site: dict[str, list[Example]] = {}
        for example in examples:
            by_site.setdefault(example.meta.category or "", []).append(example)
        users = {dump.exchange.name: dump.table("users", work.scratch) for dump in self._dumps(work)}
        named = {
            example.id: example
            for site, group in by_site.items()
            for example in display_names(group, users.get(site))
        }
        return [named[example.id] for example in examples]

    def _dumps(self, work: Work) -> list[Dump]:
        table = ExchangeTable.read(self.exchange_table, self.extra_exchanges)
        return find_dumps(
            work.path, table, work.site, work.include_meta, unknown=work.unknown_sites, warn=work.warn
        )

    def _stratum(self, dump: Dump, found: Index, work: Work) -> Stratum:
        order = self._order(found.pairs, generator(work.seed, work.name, "order", dump.exchange.name))
        reader = Reader(self, dump, work)
        return Stratum(dump.exchange.name, len(found.pairs), candidates_of(reader, found, order, work.engine))

    def _order(self, pairs: Pairs, random: np.random.Generator) -> npt.NDArray[Any]:
        if self.order == "random":
            by_id = np.argsort(pairs.question["id"])
            return by_id[random.permutation(len(pairs))]
        if self.order == "longest":
            return np.lexsort((pairs.question["id"], -pairs.answer["length"]))
        return np.arange(len(pairs))


@dataclass(frozen=True)
class Reader:
    """Decodes the posts of one exchange into candidates."""

    settings: StackExchange
    dump: Dump
    work: Work

    def candidates(self, rows_file: Path, places: Iterable[Places]) -> Iterator[Candidate | Reject]:
        """Candidates from the given places of questions and answers, each decoded when it is asked for."""
        with rows_file.open("rb") as rows:
            for question, answer in places:
                yield self._read(rows, question, answer)

    def portable(self) -> Reader:
        """A copy that can be sent to another process."""
        return replace(self, work=self.work.portable())

    def judged(self, rows_file: Path, places: Iterable[Places]) -> list[Candidate | Reject]:
        """Many candidates at once, those that the rules drop as their `Reject`: for another process to send back."""
        found = []
        for item in self.candidates(rows_file, places):
            problem = None if isinstance(item, Reject) else first_problem(item, self.settings.rules)
            found.append(Reject(id=item.id, rule=problem[0], reason=problem[1]) if problem else item)
        return found

    def _read(self, rows: IO[bytes], question: Place, answer: Place) -> Candidate | Reject:
        """A candidate, or why it is none; what the raw rows tell is asked first."""
        number = question[0]
        raw_question, raw_answer = raw_row(rows, question), raw_row(rows, answer)
        problem = early_problem(raw_question, raw_answer, self.settings.rules)
        if problem is not None and not self.settings.drop_community_wiki:
            return Reject(id=self._identifier(number), rule=problem[0], reason=problem[1])
        return self._candidate(number, decode_row(raw_question, number), decode_row(raw_answer, answer[0]))

    def _identifier(self, number: int) -> str:
        return f"stackexchange/{self.dump.exchange.name}/{number}"

    def _candidate(
        self, number: int, question: Mapping[str, str] | None, answer: Mapping[str, str] | None
    ) -> Candidate | Reject:
        identifier = self._identifier(number)
        if question is None or answer is None:
            return Reject(id=identifier, rule="malformed", reason="its row, or its answer's, is no XML")
        if self.settings.drop_community_wiki and "CommunityOwnedDate" in answer:
            return Reject(id=identifier, rule="community_wiki", reason="the answer is community wiki")
        bodies = question.get("Body", ""), answer.get("Body", "")
        if max(map(len, bodies)) > MAX_BODY_CHARACTERS:
            return Reject(id=identifier, rule="oversized", reason=f"over {MAX_BODY_CHARACTERS} characters")
        cleaned = clean(bodies[1], self.work.style, trim=self.settings.rules.trim)
        title = " ".join(question.get("Title", "").split())
        if not cleaned.text:
            return Reject(id=identifier, rule="empty", reason=EMPTY)
        messages = (
            Message(role="user", content=title or "?"),
            Message(role="assistant", content=cleaned.text),
        )
        example = Example(
            id=identifier,
            source="stackexchange",
            messages=messages,
            meta=self._meta(question, answer, title, cleaned.steps),
        )
        candidate = Candidate(
            example,
            answer=cleaned.text,
            prose=cleaned.prose,
            holes=cleaned.holes,
            title=title,
            recency=int(answer["Id"]),
            group=_people(question, answer, identifier),
        )
        return self._with_prompt(candidate, cleaned, bodies[0])

    def _with_prompt(self, candidate: Candidate, answer: Cleaned, body: str) -> Candidate | Reject:
        """Title or description as the prompt, by a seeded choice, as far as the answer fits it (`curate.fit`).

        The description is not cleaned for an answer that the rules will drop.
        """
        title, example, rules = candidate.title or "", candidate.example, self.settings.rules
        if title and (problem := first_problem(candidate, rules)):
            return self._dropped(candidate, problem)
        wants_title = chance(self.work.seed, "prompt", example.id) < self.settings.title_prompts
        if title and wants_title and not rules.fits_prompt:
            return candidate
        description = clean(body, self.work.style, trim=False)
        if not description.text and not title:
            return Reject(id=example.id, rule="empty", reason=EMPTY)
        prompt = choose_prompt(
            title, description, answer, rules, form=self.settings.description_form, wants_title=wants_title
        )
        steps = (*example.meta.transforms[:-1], prompt.step)
        meta = example.meta.model_copy(update={"transforms": steps})
        messages = (Message(role="user", content=prompt.text), *example.messages[1:])
        example = example.model_copy(update={"messages": messages, "meta": meta})
        return replace(candidate, example=example, misfit=prompt.misfit)

    def _dropped(self, candidate: Candidate, problem: tuple[str, str]) -> Candidate | Reject:
        """What the rules drop, whatever its prompt."""
        return Reject(id=candidate.id, rule=problem[0], reason=problem[1])

    def _meta(
        self, question: Mapping[str, str], answer: Mapping[str, str], title: str, steps: Sequence[str]
    ) -> Meta:
        exchange = self.dump.exchange
        people = [author(post, exchange.host) for post in (question, answer)]
        score = answer.get("Score")
        return Meta.model_validate(
            {
                "url": f"https://{exchange.host}/questions/{question['Id']}",
                "authors": [person.name for person in people],
                "licence": " and ".join(dict.fromkeys(licence(post) for post in (question, answer))),
                "score": int(score) if score else None,
                "category": exchange.name,
                "transforms": [
                    STYLE_NAMES[self.work.style],
                    "links and images removed",
                    *([f"{STRIPPED} removed"] if STRIPPED in question or STRIPPED in answer else []),
                    *steps,
                    TITLE,
                ],
                "title": title,
                "set": exchange.set,
                "topics": _topics(question.get("Tags", "")),
                "answer_url": f"https://{exchange.host}/a/{answer['Id']}",
                "profiles": [person.profile for person in people],
            }
        )


def _count(found: Index, work: Work, exchange: str) -> None:
    count, pairs = work.count(exchange), found.pairs
    count.read = found.questions
    count.eligible = len(pairs)
    count.dropped_unread.update(closed=found.closed, score=pairs.unanswered)
    for line in found.malformed:
        work.reject(
            Reject(id=f"stackexchange/{exchange}/line-{line}", rule="malformed", reason="the line is no XML")
        )
    if pairs.fabricated:
        count.dropped_unread["fabricated"] = pairs.fabricated
    repeated = found.questions - found.closed - pairs.unanswered - len(pairs) - pairs.fabricated
    if repeated:
        count.dropped_unread["duplicate_id"] = repeated
    count.notes.update(
        {
            "rows": found.rows,
            "answers": found.answers,
            "answers_below_score": found.low_answers,
            "answers_to_dropped_questions": pairs.orphans,
            "malformed_lines": len(found.malformed),
        }
    )


def _people(question: Mapping[str, str], answer: Mapping[str, str], identifier: str) -> str:
    """Questions of one asker answered by one person stay in one split."""
    people = [post.get("OwnerUserId") for post in (question, answer)]
    site = identifier.rpartition("/")[0]
    return f"{site}:{people[0]}:{people[1]}" if all(people) else identifier


def _topics(tags: str) -> list[str]:
    """Old dumps write ``<a><b>``, those since 2024 ``|a|b|``."""
    return [tag for tag in tags.replace("<", "|").replace(">", "|").split("|") if tag]
