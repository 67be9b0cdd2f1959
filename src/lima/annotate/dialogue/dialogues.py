"""Dialogues of raters with systems under study, as rows: who talks with which system about what (LIMA, section 6).

A rater holds the same opening with every system, one after the other, under blind names, rates every answer, and
then names the better dialogue. Every step is an event with a key of its own: a repeated request changes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from lima.annotate.database import Database
from lima.annotate.people import NOT_COUNTED, Participant, new_token, record
from lima.annotate.security import Refused
from lima.annotate.tables import choices, dialogues, raters, turns
from lima.files import text_hash
from lima.records import Example, Message

VALUES = ("fail", "pass", "excellent")
LONGEST_MESSAGE = 8_000
BLIND_NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

COUNTS = raters.c.state.not_in(NOT_COUNTED)
COUNTED_CHOICES = (
    sa.select(choices)
    .join(raters, raters.c.id == choices.c.rater_id)
    .where(COUNTS)
    .order_by(choices.c.at, choices.c.id)
)
LAST_STEPS = (
    sa.select(
        dialogues.c.opening_id,
        dialogues.c.rater_id,
        sa.func.max(turns.c.changed_at).label("at"),
    )
    .join(raters, raters.c.id == dialogues.c.rater_id)
    .join(turns, turns.c.talk_id == dialogues.c.id)
    .where(raters.c.state == "active", dialogues.c.state != "lost")
    .group_by(dialogues.c.opening_id, dialogues.c.rater_id)
)
"""When each rater who can go on did something about each opening that it has begun."""


@dataclass(frozen=True)
class DialogueTurn:
    """What a rater said, and what came back."""

    number: int
    said: str
    reply: str | None
    state: str
    attempt: int
    value: str | None


@dataclass(frozen=True)
class RaterDialogue:
    """One dialogue of one rater with one system."""

    id: int
    token: str
    rater_id: int
    opening_id: str
    system: int
    place: int
    state: str
    turns: tuple[DialogueTurn, ...]

    @property
    def letter(self) -> str:
        """A for the first dialogue that a rater holds over an opening."""
        return BLIND_NAMES[self.place]

    @property
    def name(self) -> str:
        """The system's blind name, drawn anew for every rater and opening."""
        return f"Assistant {self.letter}"

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation, up to a message that waits for its answer."""
        found: list[Message] = []
        for turn in self.turns:
            found.append(Message(role="user", content=turn.said))
            if turn.reply is not None:
                found.append(Message(role="assistant", content=turn.reply))
        return tuple(found)

    @property
    def is_rated(self) -> bool:
        """Whether every answer has a rating, and nothing is under way. A system that failed gave no answer to rate."""
        return bool(self.turns) and all(turn.value or turn.state == "failed" for turn in self.turns)

    @property
    def answered(self) -> tuple[DialogueTurn, ...]:
        """The turns that have an answer."""
        return tuple(turn for turn in self.turns if turn.state == "answered")

    @property
    def spoken(self) -> tuple[Message, ...]:
        """The conversation without a last message that got no answer; the opening stands in any case."""
        found = self.messages
        return found[:-1] if len(found) > 1 and found[-1].role == "user" else found


@dataclass(frozen=True)
class DueChoice:
    """All systems have played the opening: which dialogue is better?"""

    opening_id: str
    dialogues: tuple[RaterDialogue, ...]


@dataclass(frozen=True)
class Chosen:
    """A choice that was made: the place of the better dialogue, or None."""

    opening_id: str
    place: int | None


@dataclass(frozen=True)
class DialoguePlan:
    """How many dialogues there are to hold."""

    openings: tuple[Example, ...]
    systems: int
    votes: int = 1
    most_turns: int = 10
    lease_seconds: float = 1800.0
    """An opening that a rater has begun is kept for so long after its last step; then another may begin it."""

    secret: str = ""
    """Draws the order of the systems: from public facts alone nobody could tell who is Assistant A."""

    def order(self, rater: str, opening_id: str) -> list[int]:
        """The systems in the order in which this rater meets them."""
        generator = np.random.default_rng(int(text_hash("order", self.secret, rater, opening_id), 16))
        return [int(system) for system in generator.permutation(self.systems)]


@dataclass(frozen=True)
class Places:
    """Who has chosen on which opening, and who is at it: raters by opening."""

    plan: DialoguePlan
    chosen: dict[str, set[int]]
    talking: dict[str, set[int]]

    def is_open_to(self, person: Participant, opening_id: str) -> bool:
        """Whether the rater may begin with an opening or go on."""
        held = self.chosen[opening_id] | self.talking[opening_id]
        return person.id not in self.chosen[opening_id] and (person.id in held or len(held) < self.plan.votes)

    def free(self, person: Participant) -> list[str]:
        """The openings for this rater, those with fewest raters first."""
        names = (opening.id for opening in self.plan.openings)
        found = [name for name in names if self.is_open_to(person, name)]
        return sorted(found, key=lambda name: len(self.chosen[name] | self.talking[name]))


class RaterDialogues:
    """The dialogues of one study."""

    def __init__(self, base: Database, plan: DialoguePlan, clock: Callable[[], float]) -> None:
        self.base, self.plan, self.clock = base, plan, clock
        self.openings = {opening.id: opening for opening in plan.openings}

    def next(self, person: Participant) -> RaterDialogue | DueChoice | None:
        """The dialogue in hand, the choice that is due, or the next dialogue; None: all is done."""
        with self.base.write() as connection:
            self._lock(connection)
            mine = _read(connection, dialogues.c.rater_id == person.id)
            places = self._places(connection)
            for dialogue in mine:
                if dialogue.state == "open" and places.is_open_to(person, dialogue.opening_id):
                    return dialogue
                if dialogue.state == "open":  # it rested for too long, and another rater has the opening
                    connection.execute(
                        sa.update(dialogues).where(dialogues.c.id == dialogue.id).values(state="lost")
                    )
            lost = {dialogue.opening_id for dialogue in mine if dialogue.state != "finished"}
            free = [name for name in places.free(person) if name not in lost]
            begun = (dialogue.opening_id for dialogue in mine if dialogue.opening_id in free)
            opening_id = next(begun, next(iter(free), None))
            if opening_id is None:
                return None
            held = tuple(dialogue for dialogue in mine if dialogue.opening_id == opening_id)
            if len(held) == self.plan.systems:
                return DueChoice(opening_id, held)
            met = {dialogue.system for dialogue in held}
            system = next(one for one in self.plan.order(person.name, opening_id) if one not in met)
            return self._open(connection, person, opening_id, system, place=len(held))

    def get(self, person: Participant, token: str) -> RaterDialogue:
        """A dialogue of this rater; raises `Refused` (404) when there is none."""
        with self.base.read() as connection:
            return _find(connection, person, token)

    def say(self, person: Participant, token: str, number: int, text: str) -> None:
        """Add the rater's message ``number``. Sent twice, it is there once."""
        text = text.strip()
        if not text or len(text) > LONGEST_MESSAGE:
            raise Refused(422, "A message has 1 to {most} characters.", most=LONGEST_MESSAGE)
        with self.base.write() as connection:
            dialogue = self._hold(connection, person, token)
            if number < len(dialogue.turns) and dialogue.turns[number].said == text:
                return
            answered = all(turn.state == "answered" for turn in dialogue.turns)
            if dialogue.state != "open" or number != len(dialogue.turns) or not answered:
                raise Refused(409, "This dialogue is not waiting for this message. Open the page again.")
            if number >= self.plan.most_turns:
                raise Refused(
                    409, "A dialogue has at most {most} turns. Finish it.", most=self.plan.most_turns
                )
            self._add_turn(connection, dialogue, number, text)

    def answer(self, dialogue: RaterDialogue, number: int, reply: str | None, attempt: int) -> None:
        """Keep what a system said; None: it failed. A late reply to a repeated attempt is left out."""
        state = "failed" if reply is None else "answered"
        now = self.clock()
        values = {"reply": reply, "state": state, "changed_at": now}
        with self.base.write() as connection:
            waiting = (
                (turns.c.talk_id == dialogue.id) & (turns.c.number == number) & (turns.c.state == "waiting")
            )
            changed = connection.execute(
                sa.update(turns).where(waiting, turns.c.attempt == attempt).values(values)
            )
            if changed.rowcount:
                self._note(
                    connection, "reply", dialogue, f"{number}:{attempt}", {"state": state, "reply": reply}
                )

    def again(self, person: Participant, token: str, number: int, attempt: int) -> None:
        """Ask a system again that gave no answer."""
        values = {"state": "waiting", "attempt": attempt + 1, "changed_at": self.clock()}
        with self.base.write() as connection:
            dialogue = self._hold(connection, person, token)
            if dialogue.state != "open":
                raise Refused(409, "This dialogue is finished. Open the page again.")
            failed = (
                (turns.c.talk_id == dialogue.id) & (turns.c.number == number) & (turns.c.state == "failed")
            )
            change = sa.update(turns).where(failed, turns.c.attempt == attempt).values(values)
            if connection.execute(change).rowcount:
                self._note(connection, "again", dialogue, f"{number}:{attempt}", {"number": number})

    def rate(self, person: Participant, token: str, number: int, value: str, seconds: float | None) -> None:
        """Rate an answer, or change the rating while the dialogue is open."""
        if value not in VALUES:
            raise Refused(422, "Choose one of the three values.")
        with self.base.write() as connection:
            dialogue = self._hold(connection, person, token)
            turn = dialogue.turns[number] if number < len(dialogue.turns) else None
            if turn is not None and turn.value == value:
                return  # sent twice
            if dialogue.state != "open" or turn is None or turn.reply is None:
                raise Refused(409, "There is nothing to rate there. Open the page again.")
            here = (turns.c.talk_id == dialogue.id) & (turns.c.number == number)
            values = {"value": value, "seconds": seconds, "changed_at": self.clock()}
            connection.execute(sa.update(turns).where(here).values(values))
            self._note(connection, "rate", dialogue, f"{number}:{new_token()[:8]}", {"value": value})

    def finish(self, person: Participant, token: str, *, example: bool) -> None:
        """End a dialogue whose answers are all rated; ``example``: it is good enough to train on."""
        values = {"state": "finished", "example": example, "finished_at": self.clock()}
        with self.base.write() as connection:
            dialogue = self._hold(connection, person, token)
            if dialogue.state == "finished":
                return
            if not dialogue.is_rated:
                raise Refused(409, "Rate every answer first.")
            is_open = (dialogues.c.id == dialogue.id) & (dialogues.c.state == "open")
            if connection.execute(sa.update(dialogues).where(is_open).values(values)).rowcount:
                self._note(connection, "finish", dialogue, "", {"example": example})

    def choose(self, person: Participant, opening_id: str, place: int | None) -> None:
        """Name the better dialogue by its blind place; None: none is better. Sent twice, the first counts."""
        if opening_id not in self.openings or (place is not None and not 0 <= place < self.plan.systems):
            raise Refused(422, "Choose one of the answers.")
        now = self.clock()
        with self.base.write() as connection:
            self._lock(connection)
            mine = (dialogues.c.rater_id == person.id) & (dialogues.c.opening_id == opening_id)
            held = [dialogue for dialogue in _read(connection, mine) if dialogue.state == "finished"]
            if len(held) < self.plan.systems:
                raise Refused(409, "Hold the dialogues with every assistant first.")
            there = (choices.c.rater_id == person.id) & (choices.c.opening_id == opening_id)
            if connection.scalar(sa.select(choices.c.id).where(there)) is None:
                best = next((dialogue.system for dialogue in held if dialogue.place == place), None)
                row = {"rater_id": person.id, "opening_id": opening_id, "best": best, "at": now}
                connection.execute(sa.insert(choices).values(row))
                payload = {"opening": opening_id, "place": place}
                record(connection, "choose", now, rater_id=person.id, payload=payload)

    def chosen(self, person: Participant) -> Chosen | None:
        """The rater's latest choice, while it can be taken back: no dialogue was begun since."""
        with self.base.read() as connection:
            return self._chosen(connection, person)

    def take_back(self, person: Participant, opening_id: str) -> bool:
        """Undo the latest choice; False: it is too late, or was another one."""
        with self.base.write() as connection:
            self._lock(connection)
            last = self._chosen(connection, person)
            if last is None or last.opening_id != opening_id:
                return False
            there = (choices.c.rater_id == person.id) & (choices.c.opening_id == opening_id)
            connection.execute(sa.delete(choices).where(there))
            payload = {"opening": opening_id}
            record(connection, "unchoose", self.clock(), rater_id=person.id, payload=payload)
        return True

    def _chosen(self, connection: sa.Connection, person: Participant) -> Chosen | None:
        last = sa.select(choices).where(choices.c.rater_id == person.id).order_by(choices.c.id.desc())
        row = connection.execute(last.limit(1)).first()
        if row is None:
            return None
        done = set(connection.scalars(sa.select(choices.c.opening_id).where(choices.c.rater_id == person.id)))
        mine = _read(connection, dialogues.c.rater_id == person.id)
        if any(one.opening_id not in done and one.state != "lost" for one in mine):
            return None
        held = {one.system: one.place for one in mine if one.opening_id == row.opening_id}
        return Chosen(row.opening_id, None if row.best is None else held[row.best])

    def progress(self, person: Participant) -> tuple[int, int]:
        """Openings that this rater is through with, and how many there may be."""
        with self.base.read() as connection:
            done = connection.scalar(sa.select(sa.func.count()).where(choices.c.rater_id == person.id)) or 0
            free = self._places(connection).free(person)
        return done, done + len(free)

    def _places(self, connection: sa.Connection) -> Places:
        found = Places(self.plan, defaultdict(set), defaultdict(set))
        for row in connection.execute(COUNTED_CHOICES):
            found.chosen[row.opening_id].add(row.rater_id)
        now = self.clock()
        for row in connection.execute(LAST_STEPS):
            if now - row.at < self.plan.lease_seconds:
                found.talking[row.opening_id].add(row.rater_id)
        return found

    def _open(
        self, connection: sa.Connection, person: Participant, opening_id: str, system: int, *, place: int
    ) -> RaterDialogue:
        row = {
            "token": new_token(),
            "rater_id": person.id,
            "opening_id": opening_id,
            "system": system,
            "place": place,
            "state": "open",
            "example": False,
            "opened_at": self.clock(),
        }
        made = connection.execute(sa.insert(dialogues).values(row)).inserted_primary_key
        assert made is not None
        dialogue = RaterDialogue(made[0], str(row["token"]), person.id, opening_id, system, place, "open", ())
        self._add_turn(connection, dialogue, 0, self.openings[opening_id].turns[0].content)
        return _read(connection, dialogues.c.id == dialogue.id)[0]

    def _add_turn(self, connection: sa.Connection, dialogue: RaterDialogue, number: int, text: str) -> None:
        row = {"talk_id": dialogue.id, "number": number, "said": text, "state": "waiting", "attempt": 0}
        connection.execute(sa.insert(turns).values(row | {"changed_at": self.clock()}))
        self._note(connection, "say", dialogue, str(number), {"said": text})

    def _note(
        self,
        connection: sa.Connection,
        kind: str,
        dialogue: RaterDialogue,
        part: str,
        payload: dict[str, object],
    ) -> None:
        key = f"{kind}:{dialogue.token}:{part}"[:80]
        record(
            connection,
            kind,
            self.clock(),
            key=key,
            rater_id=dialogue.rater_id,
            payload={"dialogue": dialogue.id} | payload,
        )

    def _hold(self, connection: sa.Connection, person: Participant, token: str) -> RaterDialogue:
        """A dialogue of this rater that nobody else changes until the transaction ends."""
        self._lock(connection)
        return _find(connection, person, token)

    def _lock(self, connection: sa.Connection) -> None:
        """One who opens, says, rates, finishes or chooses at a time: dialogues are few and slow. SQLite has one writer anyway."""
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE talks IN SHARE ROW EXCLUSIVE MODE")


def counted_choices(connection: sa.Connection, plan: DialoguePlan) -> list[sa.Row[Any]]:
    """The planned votes: of each opening the first choices of raters who count.

    One more comes where a rater returned to an opening that had gone to another: it is kept and not counted, unless
    one of the others is excluded.
    """
    given: Counter[str] = Counter()
    found = []
    for row in connection.execute(COUNTED_CHOICES):
        given[row.opening_id] += 1
        if given[row.opening_id] <= plan.votes:
            found.append(row)
    return found


def all_dialogues(connection: sa.Connection) -> list[RaterDialogue]:
    """Every dialogue of raters who were not excluded."""
    return _read(connection, dialogues.c.rater_id.in_(sa.select(raters.c.id).where(COUNTS)))


def _find(connection: sa.Connection, person: Participant, token: str) -> RaterDialogue:
    found = _read(connection, (dialogues.c.token == token) & (dialogues.c.rater_id == person.id))
    if not found:
        raise Refused(404, "There is no such dialogue.")
    return found[0]


def _read(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[RaterDialogue]:
    heads = connection.execute(sa.select(dialogues).where(which).order_by(dialogues.c.id)).all()
    lines: dict[int, list[DialogueTurn]] = {row.id: [] for row in heads}
    query = sa.select(turns).where(turns.c.talk_id.in_(sa.select(dialogues.c.id).where(which)))
    for row in connection.execute(query.order_by(turns.c.talk_id, turns.c.number)):
        lines[row.talk_id].append(
            DialogueTurn(row.number, row.said, row.reply, row.state, row.attempt, row.value)
        )
    return [
        RaterDialogue(
            row.id,
            row.token,
            row.rater_id,
            row.opening_id,
            row.system,
            row.place,
            row.state,
            tuple(lines[row.id]),
        )
        for row in heads
    ]


def places(found: Sequence[RaterDialogue]) -> list[RaterDialogue]:
    """Dialogues in the order of their blind names."""
    return sorted(found, key=lambda dialogue: dialogue.place)
