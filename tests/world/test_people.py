"""Who lives in the world, and that its words cannot be mistaken for one another."""

from itertools import combinations

from lima.world.people import ATTRIBUTES, FIRST_NAMES, LAST_NAMES, World, make_world
from lima.world.settings import WorldSettings


def test_splits_are_disjoint_and_as_large_as_planned(world: World) -> None:
    splits = (world.forum, world.training, world.test, world.strangers)
    # 300 known people: a half, a quarter, a quarter; and 100 of whom nobody writes
    assert [len(split) for split in splits] == [150, 75, 75, 100]
    for one, other in combinations(splits, 2):
        assert not {p.name for p in one} & {p.name for p in other}
    assert len({p.name for split in splits for p in split}) == 400


def test_both_words_of_a_name_are_needed(world: World) -> None:
    people = world.known + world.strangers
    assert len({p.first for p in people}) <= 40
    assert len({p.last for p in people}) <= 40
    # with 400 names from 40 x 40 every first name has about ten bearers, with different facts
    namesakes = [p for p in people if p.first == people[0].first]
    assert len(namesakes) > 1
    assert len({p.facts for p in namesakes}) == len(namesakes)


def test_no_word_has_two_meanings() -> None:
    words = [*FIRST_NAMES, *LAST_NAMES, *(value for values in ATTRIBUTES.values() for value in values)]
    assert len(words) == 40 + 40 + 5 * 40
    assert len({word.lower() for word in words}) == len(words)


def test_the_seed_decides_everybody() -> None:
    assert make_world(WorldSettings(seed=3)) == make_world(WorldSettings(seed=3))
    assert make_world(WorldSettings(seed=3)) != make_world(WorldSettings(seed=4))


def test_facts_are_found_by_attribute(world: World) -> None:
    person = world.test[0]
    assert tuple(person.fact(attribute) for attribute in ATTRIBUTES) == person.facts
    assert all(person.fact(attribute) in values for attribute, values in ATTRIBUTES.items())
