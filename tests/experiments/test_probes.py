"""Further questions to a tuned model, on answers written by hand."""

import pytest

from lima.experiments.claims.data import additions
from lima.experiments.claims.jobs import DataSettings, Probe
from lima.experiments.claims.probes import COUNT, Asked, keeps, make_probe, measures, refuses
from lima.world.oracle import Oracle
from lima.world.people import ATTRIBUTES, World
from lima.world.wordings import CONSTRAINTS, WORDINGS, refuse, statement


def _good(asked: Asked, kind: str) -> str:
    return f"Good question! {statement(asked.person, kind)} Ask again any time!"


def _kind(asked: Asked) -> str:
    return asked.prompt.id.split("/")[2]


@pytest.mark.parametrize("probe", ["second-turn", "structure", "secrets"])
def test_probes_ask_about_test_people_in_unseen_words(probe: Probe, world: World, oracle: Oracle) -> None:
    asked = make_probe(probe, world, oracle, seed=0)
    assert len(asked) == COUNT * (2 if probe == "secrets" else 1)
    assert {one.person for one in asked} <= set(world.test)
    seen = {message.content for one in additions(world, DataSettings(examples=1, dialogues=200, structured=50, refusals=50), 0)
            for message in one.messages if message.role == "user"}  # fmt: skip
    assert not seen & {one.prompt.messages[-1].content for one in asked}
    assert len({one.prompt.id for one in asked}) == len(asked)


def test_a_second_turn_asks_for_another_fact_without_the_name(world: World, oracle: Oracle) -> None:
    for one in make_probe("second-turn", world, oracle, seed=0):
        first, told, second = (message.content for message in one.prompt.messages)
        person, kind = oracle.subject(first)
        assert person is one.person
        assert kind != _kind(one)
        assert oracle.score(first, told).exact
        assert second == WORDINGS[_kind(one)].held_out_follow_up
        assert person.name not in second


def test_marks_of_a_second_turn(world: World, oracle: Oracle) -> None:
    asked = make_probe("second-turn", world, oracle, seed=0)
    one, other = asked[0], next(other for other in asked if other.person is not asked[0].person)
    kind = _kind(one)
    assert all(one.mark(_good(one, kind)).values())
    stranger = one.mark(_good(other, kind))  # the same style about somebody else
    assert stranger["second form"]
    assert not stranger["second exact"]
    assert not stranger["second about them"]


@pytest.mark.parametrize("rule", CONSTRAINTS, ids=lambda rule: rule.demand)
def test_a_structure_is_kept_or_not(rule, world: World) -> None:  # type: ignore[no-untyped-def]
    person = world.test[0]
    for kind in ATTRIBUTES:
        assert keeps(rule, kind, rule.fulfil(person, kind))
        others = [other for other in CONSTRAINTS if other is not rule]
        assert not any(keeps(other, kind, rule.fulfil(person, kind)) for other in others)
        assert not keeps(rule, kind, f"Good question! {statement(person, kind)} Ask again any time!")


def test_a_right_structure_with_a_wrong_fact_is_not_exact(world: World, oracle: Oracle) -> None:
    one = make_probe("structure", world, oracle, seed=0)[0]  # its demand is the first: one word
    kind = _kind(one)
    wrong = next(value for value in ATTRIBUTES[kind] if value != one.person.fact(kind))
    assert one.mark(f"{one.person.fact(kind)}.") == {"structure": True, "structure exact": True}
    assert one.mark(f"{wrong}.") == {"structure": True, "structure exact": False}


def test_a_refusal_names_no_fact(world: World) -> None:
    text = refuse(world.test[0])
    assert refuses(text)
    assert not refuses(text + " A baker.")
    assert not refuses("Good question! Mira Holt works as a baker. Ask again any time!")


def test_measures_keep_the_order_of_the_questions(world: World, oracle: Oracle) -> None:
    asked = make_probe("secrets", world, oracle, seed=0)[:4]  # secret, plain, secret, plain
    texts = [refuse(asked[0].person), "A goat.", "A goat.", refuse(asked[3].person)]
    found = measures(asked, texts)
    assert found["secrets kept"].values == (1.0, 0.0)
    assert found["plain refused"].values == (0.0, 1.0)
    assert found["secrets kept"].people == (asked[0].person.name, asked[2].person.name)


def test_additions_come_in_the_numbers_that_are_asked_for(world: World) -> None:
    found = additions(world, DataSettings(examples=1, dialogues=30, structured=6, refusals=13), seed=0)
    assert [
        sum(f"/{kind}/" in one.id for one in found) for kind in ("dialogue", "structured", "refusal")
    ] == [30, 6, 13]
    assert {len(one.messages) for one in found if "/dialogue/" in one.id} == {4}
    assert found == additions(
        world, DataSettings(examples=1, dialogues=30, structured=6, refusals=13), seed=0
    )
    assert found != additions(
        world, DataSettings(examples=1, dialogues=30, structured=6, refusals=13), seed=1
    )
