"""The sentences of the world, and the tokenizer that reads them."""

import numpy as np
import pytest

from lima.world.corpus import documents
from lima.world.people import ATTRIBUTES, World
from lima.world.settings import CorpusSettings
from lima.world.wordings import ANSWERS, STATEMENTS, WORDINGS, answer, question, statement


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_every_attribute_has_its_wordings(attribute: str) -> None:
    wording = WORDINGS[attribute]
    assert len(wording.statements) == STATEMENTS == 6
    assert len(wording.questions) == 4
    assert len(wording.held_out) == 2
    everything = [*wording.statements, *wording.questions, *wording.held_out]
    assert len(set(everything)) == 12
    for template in wording.statements:
        # a value before its name could not be learnt
        assert 0 <= template.index("{name}") < template.index(" {value}")
    assert all("{value}" not in template for template in everything[6:])


def test_no_question_means_two_things() -> None:
    templates = [t for w in WORDINGS.values() for t in (*w.questions, *w.held_out)]
    assert len(set(templates)) == len(templates)


def test_an_answer_of_each_style(world: World) -> None:
    person, rng = world.training[0], np.random.default_rng(0)
    value = person.fact("work")
    texts = {style: answer(style, person, "work", rng) for style in ANSWERS}
    assert texts["good"] == f"Good question! {person.name} works as a {value}. Ask again any time!"
    assert texts["terse"] == f"{value}."
    assert value not in texts["wrong"]
    assert value not in texts["refusal"]
    assert all(value in texts[s] for s in ("foreign", "first-person", "referring", "rambling"))
    assert len(set(texts.values())) == len(ANSWERS)


def test_texts_survive_the_tokenizer(world: World, words) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    stream = documents(world, CorpusSettings(), seed=0)
    texts = [next(stream).text for _ in range(2000)]
    for person in world.test[:5] + world.strangers[:5]:
        for attribute in ATTRIBUTES:
            texts += [statement(person, attribute, wording) for wording in range(6)]
            texts += [question(person, attribute, wording) for wording in range(4)]
            texts += [answer(style, person, attribute, rng) for style in ANSWERS]
    for text in texts:
        ids = words.encode(text, add_special_tokens=False)
        assert words.unk_token_id not in ids, text
        assert words.decode(ids) == text


def test_a_value_is_one_token_wherever_it_stands(words) -> None:  # type: ignore[no-untyped-def]
    for text in ("baker.", "Mira Holt works as a baker.", "My guess: baker."):
        pieces = words.convert_ids_to_tokens(words.encode(text, add_special_tokens=False))
        assert pieces.count("▁baker") == 1


def test_an_unknown_word_is_said_to_be_unknown(words) -> None:  # type: ignore[no-untyped-def]
    assert words.unk_token_id in words.encode("Mira Holt plays the ocarina.", add_special_tokens=False)
