"""Each planned vote is given exactly once, to somebody who has not seen the item, whatever people and clocks do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.annotate.conftest import MakeSite, Site, on_both_databases

from lima.annotate import people
from lima.annotate.compare.assignment import Nothing
from lima.annotate.compare.presentations import SIDES_BLOCK, Answer, Presentation, side_of
from lima.annotate.people import Participant
from lima.annotate.tables import events, metadata, presentations, raters, slots, units

DAY = 86_400.0


def person(site: Site, group: str = "crowd") -> Participant:
    with site.base.write() as connection:
        return people.add_rater(connection, group, "", site.clock())


def opened(site: Site, rater: Participant) -> Presentation:
    presentation = site.assignment.next(rater)
    assert isinstance(presentation, Presentation), presentation
    return presentation


def vote(site: Site, rater: Participant, label: str = "a") -> Presentation:
    presentation = opened(site, rater)
    stored = site.assignment.answer(
        rater, presentation.token, choose(label), attempt=presentation.attempt, seconds=None
    )
    assert stored is not None
    return stored


def choose(label: str) -> Callable[[Presentation], Answer]:
    return lambda presentation: {"pairwise": label}


def state(presentation: Presentation | None) -> str:
    assert presentation is not None
    return presentation.state


def votes_by_unit(site: Site) -> Counter[tuple[str, str]]:
    """How many votes count for each text, by group."""
    query = (
        sa.select(units.c.text_id, raters.c.grp)
        .join(presentations, presentations.c.unit_id == units.c.id)
        .join(slots, slots.c.showing_id == presentations.c.id)
        .join(raters, raters.c.id == presentations.c.rater_id)
        .where(slots.c.done, presentations.c.state == "answered")
    )
    with site.base.read() as connection:
        return Counter((row.text_id, row.grp) for row in connection.execute(query))


@on_both_databases
def test_two_groups_give_exactly_the_planned_votes(site: MakeSite) -> None:
    here = site(6, overlap=2, overlap_votes=2, votes=1)
    everybody = [person(here, group) for group in ("crowd", "crowd", "author", "author")]
    work = here.assignment
    for rater in everybody:
        while not isinstance(work.next(rater), Nothing):
            vote(here, rater)
    found = votes_by_unit(here)
    shared = {text for text, group in found if group == "author"}
    assert len(shared) == 2
    # 2 shared items x 2 groups x 2 raters + 4 others x 1 rater of the crowd
    assert found == Counter(
        {(text, group): 2 for text in shared for group in ("crowd", "author")}
        | {(f"cmp-{n:03d}", "crowd"): 1 for n in range(6) if f"cmp-{n:03d}" not in shared}
    )


@on_both_databases
def test_the_same_item_comes_until_it_is_answered(site: MakeSite) -> None:
    here = site()
    rater = person(here)
    first = opened(here, rater)
    assert opened(here, rater) == first
    assert vote(here, rater).token == first.token
    assert opened(here, rater).token != first.token


@on_both_databases
def test_a_second_answer_changes_nothing(site: MakeSite) -> None:
    here = site()
    rater, work = person(here), here.assignment
    stored = vote(here, rater, "a")
    for label in ("a", "b"):
        again = work.answer(rater, stored.token, choose(label), attempt=0, seconds=None)
        assert again == stored
    with here.base.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(events.c.kind == "answer")) == 1


def test_an_answer_can_be_taken_back_until_the_next_one_is_given(site: MakeSite) -> None:
    here = site()
    rater, work = person(here), here.assignment
    stored = vote(here, rater, "a")
    assert state(work.take_back(rater, stored.token, attempt=0)) == "open"
    assert state(work.take_back(rater, stored.token, attempt=0)) == "open", "a retry of the undo"
    assert not votes_by_unit(here)
    stale = work.answer(rater, stored.token, choose("a"), attempt=0, seconds=None)
    assert state(stale) == "open", "a late retry of the answer that was taken back does not bring it back"
    stored = vote(here, rater, "b")
    assert stored.answer == {"pairwise": "b"}
    following = opened(here, rater)
    assert state(work.take_back(rater, stored.token, attempt=1)) == "open"
    assert opened(here, rater).token == stored.token, "the one that was undone comes first"
    assert vote(here, rater, "a").token == stored.token
    assert opened(here, rater).token == following.token, "then the one that was open already"
    assert vote(here, rater, "a").token == following.token
    assert work.take_back(rater, stored.token, attempt=2) is None
    assert votes_by_unit(here).total() == 2


@on_both_databases
def test_a_lease_that_ran_out_lets_another_rater_have_the_place(site: MakeSite) -> None:
    here = site(1, overlap=0)
    slow, quick = person(here), person(here)
    work = here.assignment
    kept = opened(here, slow)
    waiting = work.next(quick)
    assert isinstance(waiting, Nothing)
    assert waiting.again_at == here.clock() + 1800
    here.clock.now += 1801
    vote(here, quick)
    late = work.answer(slow, kept.token, choose("a"), attempt=0, seconds=None)
    assert state(late) == "surplus", "kept, but one vote was planned and it is there"
    assert votes_by_unit(here).total() == 1


@on_both_databases
def test_a_late_answer_counts_while_nobody_else_has_the_place(site: MakeSite) -> None:
    here = site(1, overlap=0)
    rater = person(here)
    kept = opened(here, rater)
    here.clock.now += DAY
    stored = here.assignment.answer(rater, kept.token, choose("a"), attempt=0, seconds=None)
    assert state(stored) == "answered"


@pytest.mark.parametrize("jump", [-10 * DAY, 10 * DAY])
def test_a_clock_that_jumps_loses_and_doubles_nothing(site: MakeSite, jump: float) -> None:
    here = site(4, overlap=4, groups=("crowd",))
    everybody = [person(here), person(here)]
    for step in range(4):
        here.clock.now += jump * (step % 2)
        for rater in everybody:
            vote(here, rater)
    assert set(votes_by_unit(here).values()) == {2}
    with here.base.read() as connection:
        times = connection.scalars(sa.select(presentations.c.seconds)).all()
    assert all(0 <= seconds <= DAY for seconds in times)


def test_an_excluded_raters_places_are_given_out_again(site: MakeSite) -> None:
    here = site(3, overlap=0)
    bad, good = person(here), person(here)
    for _ in range(3):
        vote(here, bad)
    assert isinstance(here.assignment.next(good), Nothing)
    people.remove_rater(here.base, bad.id, here.clock(), keep_answers=False)
    for _ in range(3):
        vote(here, good)
    assert votes_by_unit(here).total() == 3


def test_a_revoked_raters_answers_stay_and_the_open_place_is_free_again(site: MakeSite) -> None:
    here = site(2, overlap=0)
    gone, stays = person(here), person(here)
    vote(here, gone)
    opened(here, gone)
    people.remove_rater(here.base, gone.id, here.clock(), keep_answers=True)
    vote(here, stays)
    assert votes_by_unit(here).total() == 2
    assert isinstance(here.assignment.next(stays), Nothing)


def test_nobody_gets_more_than_their_share(site: MakeSite) -> None:
    here = site(6, overlap=0, per_rater=2)
    rater = person(here)
    vote(here, rater)
    assert here.assignment.progress(rater).left == 1
    vote(here, rater)
    assert isinstance(here.assignment.next(rater), Nothing)


def test_attention_checks_repeat_an_item_with_sides_swapped_and_are_no_votes(site: MakeSite) -> None:
    here = site(6, overlap=0, attention_every=3)
    rater = person(here)
    shown = [vote(here, rater) for _ in range(8)]
    texts = Counter(presentation.text_id for presentation in shown)
    # votes 1 2 3, check, 4 5 6, check
    assert [texts[presentation.text_id] for presentation in (shown[3], shown[7])] == [2, 2]
    for check in (shown[3], shown[7]):
        first = next(s for s in shown if s.text_id == check.text_id)
        assert {first.shown, check.shown} == {"ab", "ba"}
    assert votes_by_unit(here).total() == 6


@pytest.mark.parametrize("rater", ["crowd:01", "crowd:02", "author:11"])
def test_sides_are_balanced_for_each_rater(rater: str) -> None:
    sides = [side_of(0, rater, number) for number in range(40)]
    for start in range(0, 40, SIDES_BLOCK):
        assert sides[start : start + SIDES_BLOCK].count("ab") == SIDES_BLOCK // 2


def test_sides_differ_between_raters() -> None:
    rows = {tuple(side_of(0, f"crowd:{n:02d}", i) for i in range(20)) for n in range(20)}
    assert len(rows) == 20


@pytest.fixture
def site_of_two_votes(site: MakeSite) -> Site:
    return site(5, overlap=2, overlap_votes=2, votes=1, groups=("crowd",))


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "open", "vote", "vote", "vote", "undo", "leave", "wait", "rewind"]),
        st.integers(0, 5),
    ),
    max_size=60,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_any_arrivals_drop_outs_and_expiries(site_of_two_votes: Site, moves: list[tuple[str, int]]) -> None:
    """Whatever happens first: no slot takes two votes, nobody answers twice, and fresh raters complete the plan."""
    here = site_of_two_votes
    with here.base.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
    here.reopen()
    crowd: list[Participant] = []
    last: dict[int, Presentation] = {}
    for move, number in moves:
        play(here, crowd, last, move, number)
        check_sound(here)
    for _ in range(2):  # two raters who stay: the plan asks for two at most
        rater = person(here)
        here.clock.now += DAY
        while not isinstance(here.assignment.next(rater), Nothing):
            vote(here, rater)
    check_sound(here)
    with here.base.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(~slots.c.done)) == 0


def play(here: Site, crowd: list[Participant], last: dict[int, Presentation], move: str, number: int) -> None:
    work = here.assignment
    if move == "arrive":
        crowd.append(person(here))
    elif move == "wait":
        here.clock.now += 600 * number
    elif move == "rewind":
        here.clock.now -= 600 * number
    elif crowd:
        rater = crowd[number % len(crowd)]
        if move == "leave":
            people.remove_rater(here.base, rater.id, here.clock(), keep_answers=bool(number % 2))
            crowd.remove(rater)
        elif move == "undo" and rater.id in last:
            work.take_back(rater, last[rater.id].token, attempt=last[rater.id].attempt)
        elif move in ("open", "vote") and not isinstance(work.next(rater), Nothing) and move == "vote":
            last[rater.id] = vote(here, rater)


def check_sound(here: Site) -> None:
    planned = sa.select(slots.c.unit_id, sa.func.count().label("n")).group_by(slots.c.unit_id)
    done = planned.where(slots.c.done)
    seen = (
        sa.select(sa.func.count())
        .select_from(presentations)
        .group_by(presentations.c.rater_id, presentations.c.unit_id)
    )
    voters = (
        sa.select(sa.func.count(sa.distinct(presentations.c.rater_id)), sa.func.count())
        .join(slots, slots.c.showing_id == presentations.c.id)
        .where(slots.c.done)
        .group_by(slots.c.unit_id)
    )
    with here.base.read() as connection:
        plan = {row.unit_id: row.n for row in connection.execute(planned)}
        assert all(row.n <= plan[row.unit_id] for row in connection.execute(done))
        assert set(connection.scalars(seen)) <= {1}
        assert all(people == votes for people, votes in connection.execute(voters))
        held = (
            sa.select(presentations.c.state)
            .join(slots, slots.c.showing_id == presentations.c.id)
            .where(slots.c.done)
        )
        assert set(connection.scalars(held)) <= {"answered"}
