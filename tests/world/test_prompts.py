"""Test questions: whom they ask about, and in which words."""

from collections import Counter

import pytest

from lima.world.oracle import Oracle
from lima.world.people import ATTRIBUTES, World
from lima.world.prompts import make_prompts
from lima.world.wordings import WORDINGS


def test_they_ask_about_test_people_in_words_that_training_never_uses(world: World, oracle: Oracle) -> None:
    prompts = make_prompts(world, 300, seed=0)
    assert len(prompts) == 300
    assert len({prompt.id for prompt in prompts}) == 300
    for prompt in prompts:
        person, attribute = oracle.subject(prompt.messages[0].content)
        assert person in world.test
        assert prompt.meta.tags == (attribute,)
        text = prompt.messages[0].content.replace(person.name, "{name}")
        assert text in WORDINGS[attribute].held_out


@pytest.mark.parametrize("asked", [375, 10_000])
def test_there_are_no_more_questions_than_facts(world: World, asked: int) -> None:
    prompts = make_prompts(world, asked, seed=0)
    # 75 people x 5 attributes, each fact once
    assert Counter(prompt.meta.tags[0] for prompt in prompts) == dict.fromkeys(ATTRIBUTES, 75)


def test_the_seed_decides_them(world: World) -> None:
    assert make_prompts(world, 20, seed=1) == make_prompts(world, 20, seed=1)
    assert make_prompts(world, 20, seed=1) != make_prompts(world, 20, seed=2)
