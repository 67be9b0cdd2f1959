"""Each opening gets its planned choices, whatever people and clocks do (the same promise as for comparisons)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.annotate.conftest import MakeSite, Site, on_both_databases
from tests.annotate.test_dialogues import parrots

from lima.annotate import people
from lima.annotate.dialogue import progress as dialogue_progress
from lima.annotate.dialogue.dialogues import (
    DueChoice,
    RaterDialogue,
    RaterDialogues,
    all_dialogues,
    counted_choices,
)
from lima.annotate.people import Participant
from lima.annotate.tables import dialogues, metadata

LEASE = 1800.0
OPENINGS, VOTES = 3, 2


def held(here: Site) -> RaterDialogues:
    found: RaterDialogues = here.work.streams.dialogues
    return found


def person(here: Site, group: str = "crowd") -> Participant:
    with here.base.write() as connection:
        return people.add_rater(connection, group, "", here.clock())


def step(here: Site, rater: Participant, best: int | None = 0) -> bool:
    """Hold the dialogue in hand to its end, or make the choice that is due; False: nothing is left."""
    found = held(here).next(rater)
    if isinstance(found, DueChoice):
        held(here).choose(rater, found.opening_id, best)
    elif isinstance(found, RaterDialogue):
        held(here).answer(found, 0, "an answer", found.turns[0].attempt)
        held(here).rate(rater, found.token, 0, "pass", None)
        held(here).finish(rater, found.token, example=False)
    return found is not None


def begun(here: Site, rater: Participant) -> str:
    found = held(here).next(rater)
    assert found is not None
    return found.opening_id


@on_both_databases
def test_a_rater_who_rests_for_too_long_loses_the_opening_to_another(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=1)
    slow, quick = person(here), person(here)
    begun(here, slow)
    assert held(here).next(quick) is None
    here.clock.now += LEASE
    assert begun(here, quick) == "open-0"
    assert held(here).next(slow) is None, "the place has gone"
    with here.base.read() as connection:
        states = {row.rater_id: row.state for row in connection.execute(sa.select(dialogues))}
    assert states == {slow.id: "lost", quick.id: "open"}
    while step(here, quick):
        pass
    assert chosen(here) == {"open-0": 1}


def test_a_late_step_in_a_place_that_has_gone_holds_nothing(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=1)
    slow, quick, third = person(here), person(here), person(here)
    old = held(here).next(slow)
    assert isinstance(old, RaterDialogue)
    here.clock.now += LEASE
    begun(here, quick)
    held(here).answer(old, 0, "an answer", 0)  # the slow rater's page is still open
    assert held(here).next(slow) is not None, "its step renews the place while its own dialogue is open"
    here.clock.now += LEASE
    begun(here, third)
    assert held(here).next(slow) is None
    assert held(here).next(quick) is None
    here.clock.now += LEASE - 1
    people.remove_rater(here.base, third.id, here.clock(), keep_answers=False)
    assert begun(here, person(here)) == "open-0", "lost dialogues keep nobody out"


def test_a_rater_who_comes_back_goes_on_while_nobody_has_the_opening(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=1)
    rater = person(here)
    first = held(here).next(rater)
    here.clock.now += 10 * LEASE
    assert held(here).next(rater) == first
    while step(here, rater):
        pass
    assert chosen(here) == {"open-0": 1}


def test_a_choice_too_many_is_kept_and_not_counted(site: MakeSite, tmp_path: Path) -> None:
    """A late rater's page is still open on the choice when another takes the opening and is through first."""
    here = parrots(tmp_path, site, openings=1)
    late, quick = person(here), person(here)
    for _ in range(2):
        step(here, late)
    here.clock.now += LEASE
    while step(here, quick, best=None):
        here.clock.now += 1
    held(here).choose(late, "open-0", 0)
    with here.base.read() as connection:
        assert [row.rater_id for row in counted_choices(connection, held(here).plan)] == [quick.id]
    people.remove_rater(here.base, quick.id, here.clock(), keep_answers=False)
    with here.base.read() as connection:
        assert [row.rater_id for row in counted_choices(connection, held(here).plan)] == [late.id]


def test_agreement_is_on_the_system_and_not_on_its_place(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=4, dialogue_votes=2)
    for rater in (person(here), person(here)):
        while found := held(here).next(rater):
            order = held(here).plan.order(rater.name, found.opening_id)
            step(here, rater, best=order.index(1))
    (row,) = dialogue_progress.agreement(here.base, held(here).plan)
    assert (row.groups, row.items, row.pairs) == ("crowd – crowd", 4, 4)
    assert row.accuracy.startswith("100 %")
    assert dialogue_progress.progress(here.base, held(here).plan) == (16, 0, 8)
    page = here.lead().get("/lead").text
    assert "4 openings, raters for each: 2." in page
    assert "100 %" in page


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "open", "step", "step", "step", "leave", "wait", "rewind"]),
        st.integers(0, 5),
    ),
    max_size=40,
)


@pytest.fixture
def busy(site: MakeSite, tmp_path: Path) -> Site:
    return parrots(tmp_path, site, openings=OPENINGS, dialogue_votes=VOTES)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_any_arrivals_drop_outs_and_expiries(busy: Site, moves: list[tuple[str, int]]) -> None:
    """No opening counts more choices than planned, nobody meets a system twice over one, and the plan is completed."""
    with busy.base.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
    busy.reopen()
    crowd: list[Participant] = []
    for move, number in moves:
        play(busy, crowd, move, number)
        check_sound(busy)
    busy.clock.now += 100 * LEASE
    for rater in [person(busy) for _ in range(VOTES)]:
        while step(busy, rater):
            check_sound(busy)
    assert chosen(busy) == {f"open-{n}": VOTES for n in range(OPENINGS)}


def play(here: Site, crowd: list[Participant], move: str, number: int) -> None:
    if move == "arrive":
        crowd.append(person(here))
    elif move in ("wait", "rewind"):
        here.clock.now += (600 if move == "wait" else -600) * number
    elif crowd:
        rater = crowd[number % len(crowd)]
        if move == "leave":
            people.remove_rater(here.base, rater.id, here.clock(), keep_answers=bool(number % 2))
            crowd.remove(rater)
        elif move == "open":
            held(here).next(rater)
        else:
            step(here, rater, best=number % 3 if number % 3 < 2 else None)


def chosen(here: Site) -> Counter[str]:
    with here.base.read() as connection:
        return Counter(row.opening_id for row in counted_choices(connection, held(here).plan))


def check_sound(here: Site) -> None:
    assert all(count <= VOTES for count in chosen(here).values())
    with here.base.read() as connection:
        kept = [talk for talk in all_dialogues(connection) if talk.state != "lost"]
    assert (
        max(Counter((talk.rater_id, talk.opening_id, talk.system) for talk in kept).values(), default=1) == 1
    )
    at_once = Counter(talk.rater_id for talk in kept if talk.state == "open")
    assert max(at_once.values(), default=0) <= 1
