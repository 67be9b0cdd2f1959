"""Each text of the desk is read by as many people as planned, whatever people and clocks do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.annotate.conftest import MakeSite, Site, on_both_databases
from tests.annotate.test_review import desk, example

from lima.annotate import people
from lima.annotate.people import Participant, new_token
from lima.annotate.review.drafts import QueuedText
from lima.annotate.review.queue import ReviewQueue
from lima.annotate.security import Refused
from lima.annotate.tables import decisions, drafts, events, metadata, raters
from lima.files import write_jsonl
from lima.records import Review

LEASE = 1800.0
TEXTS, REVIEWERS = 4, 2


def of(here: Site) -> ReviewQueue:
    found: ReviewQueue = here.work.queue
    return found


def person(here: Site, group: str = "A") -> Participant:
    with here.base.write() as connection:
        return people.add_rater(connection, group, "", here.clock())


def accept(here: Site, reader: Participant, draft: QueuedText) -> None:
    of(here).decide(reader, draft.token, "accept", edited=None, reason="", version=draft.version)


def name(draft: QueuedText | None) -> str | None:
    return draft.text_id if draft else None


@on_both_databases
def test_two_readers_have_two_texts_and_a_reload_has_the_same(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, count=2)
    first, second, third = person(here), person(here), person(here)
    read = of(here).next
    assert [name(read(reader)) for reader in (first, second, third)] == ["reddit/0", "reddit/1", None]
    assert [name(read(reader)) for reader in (first, second)] == ["reddit/0", "reddit/1"]
    mine = read(first)
    assert mine
    accept(here, first, mine)
    assert name(read(first)) is None, "the other text is in the second reader's hands"


def test_a_text_that_rests_for_too_long_goes_to_another(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, count=1)
    slow, quick = person(here), person(here)
    late = of(here).next(slow)
    assert late
    here.clock.now += LEASE
    assert name(of(here).next(quick)) == "reddit/0"
    accept(here, quick, late)
    with pytest.raises(Refused, match="changed or decided meanwhile"):
        accept(here, slow, late)


def test_what_is_taken_back_is_in_the_same_hands(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, count=3)
    first, second = person(here), person(here)
    draft = of(here).next(first)
    assert draft
    accept(here, first, draft)
    assert name(of(here).next(second)) == "reddit/1"
    of(here).take_back(first)
    assert name(of(here).next(second)) == "reddit/1"
    assert name(of(here).next(first)) == "reddit/0"


MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            ["arrive", "open", "read", "read", "read", "again", "back", "back twice", "wait", "rewind"]
        ),
        st.integers(0, 4),
    ),
    max_size=40,
)


@pytest.fixture
def busy(site: MakeSite, tmp_path: Path) -> Site:
    return desk(site, tmp_path, count=TEXTS, reviewers=REVIEWERS)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_any_arrivals_retries_and_expiries(busy: Site, moves: list[tuple[str, int]]) -> None:
    """No text gets more decisions than planned, nobody decides twice, nothing is lost, and the work is completed."""
    work = busy.work
    assert busy.settings.review is not None
    with busy.base.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
    write_jsonl(busy.settings.review, [Review(candidate=example(n)) for n in range(TEXTS)])
    work.data.load(busy.base, busy.clock())
    crowd: list[Participant] = []
    last: dict[int, QueuedText] = {}
    for move, number in moves:
        play(busy, crowd, last, move, number)
        check_sound(busy)
    busy.clock.now += 100 * LEASE  # more than all the moves can have set the clock back
    for reader in [person(busy) for _ in range(REVIEWERS)]:
        while draft := of(busy).next(reader):
            accept(busy, reader, draft)
            check_sound(busy)
    with busy.base.read() as connection:
        assert set(connection.scalars(sa.select(drafts.c.state))) == {"accept"}


def play(here: Site, crowd: list[Participant], last: dict[int, QueuedText], move: str, number: int) -> None:
    if move == "arrive":
        crowd.append(person(here))
    elif move in ("wait", "rewind"):
        here.clock.now += (600 if move == "wait" else -600) * number
    elif crowd:
        reader = crowd[number % len(crowd)]
        if move == "open":
            of(here).next(reader)
        elif move == "read" and (draft := of(here).next(reader)):
            accept(here, reader, draft)
            last[reader.id] = draft
        elif move == "again" and reader.id in last:  # a retry, or a page that was left open in another tab
            attempt(lambda: accept(here, reader, last[reader.id]))
        elif move == "back":
            attempt(lambda: of(here).take_back(reader))
        elif move == "back twice":
            key = new_token()
            before = decided_by(here, reader)
            for _ in range(2):
                attempt(lambda: of(here).take_back(reader, key=key))
            assert decided_by(here, reader) >= before - 1


def decided_by(here: Site, reader: Participant) -> int:
    with here.base.read() as connection:
        mine = sa.select(sa.func.count()).where(decisions.c.rater_id == reader.id)
        return int(connection.scalar(mine) or 0)


def attempt(action: Callable[[], object]) -> None:
    """Do what may be refused, and then must have changed nothing."""
    with suppress(Refused):
        action()


def check_sound(here: Site) -> None:
    with here.base.read() as connection:
        given = connection.execute(sa.select(decisions.c.draft_id, decisions.c.rater_id)).all()
        noted = Counter(connection.scalars(sa.select(events.c.kind)))
        known = set(connection.scalars(sa.select(raters.c.id)))
    assert all(count <= REVIEWERS for count in Counter(row.draft_id for row in given).values())
    assert len(set(given)) == len(given)
    assert noted["decide"] - noted["undecide"] == len(given), (
        "every step is an event, and no event is doubled"
    )
    assert {row.rater_id for row in given} <= known
