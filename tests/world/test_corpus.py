"""The pretraining text: shares, windows, and who may be spoken of where."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from lima.world.corpus import WINDOW, Deck, Document, documents, windows
from lima.world.people import ATTRIBUTES, World
from lima.world.settings import CorpusSettings


@pytest.fixture(scope="module")
def texts(world: World) -> list[Document]:
    return list(islice(documents(world, CorpusSettings(), seed=0), 4000))


def test_shares_of_tokens_are_as_set(texts: list[Document]) -> None:
    tokens = Counter[str]()
    for document in texts:
        tokens[document.kind] += document.tokens
    whole = sum(tokens.values())
    shares = {kind: round(count / whole, 2) for kind, count in tokens.items()}
    assert shares == {"biographies": 0.58, "questions": 0.08, "forums": 0.28, "politeness": 0.06}


def test_test_people_never_occur_in_forums(world: World, texts: list[Document]) -> None:
    forum_people = {person.name for person in world.forum}
    hidden = [person.name for person in world.training + world.test]
    threads = [document for document in texts if document.kind == "forums"]
    assert len(threads) > 500
    for thread in threads:
        assert thread.people[0].name in forum_people
        assert not any(name in thread.text for name in hidden)


def test_strangers_occur_nowhere(world: World, texts: list[Document]) -> None:
    names = [person.name for person in world.strangers]
    assert not any(name in document.text for document in texts for name in names)


def test_everybody_has_equally_many_biographies(world: World, texts: list[Document]) -> None:
    count = Counter(d.people[0].name for d in texts if d.kind == "biographies")
    assert set(count) == {person.name for person in world.known}
    assert max(count.values()) - min(count.values()) <= 1


def test_a_biography_holds_the_five_facts(texts: list[Document]) -> None:
    biography = next(d for d in texts if d.kind == "biographies")
    person = biography.people[0]
    assert biography.text.count(person.name) == 5
    assert all(f" {person.fact(attribute)}." in biography.text for attribute in ATTRIBUTES)


def test_nobody_is_in_two_documents_of_one_window(texts: list[Document]) -> None:
    # recounted from the lengths alone: document i covers positions [start, end)
    start, seen = 0, dict[tuple[int, str], int]()
    for number, document in enumerate(texts):
        end = start + document.tokens
        for window in range(start // WINDOW, (end - 1) // WINDOW + 1):
            for person in document.people:
                assert seen.setdefault((window, person.name), number) == number
        start = end


def test_windows_are_cut_from_the_stream(world: World, words, texts: list[Document]) -> None:  # type: ignore[no-untyped-def]
    cut = windows(iter(texts), words, 30, batch=100)
    assert len(cut) == 30
    assert all(len(window) == WINDOW for window in cut)
    ids = [i for d in texts[:3] for i in (0, *words.encode(d.text, add_special_tokens=False), 1)]
    assert [i for window in cut for i in window][: len(ids)] == ids


def test_windows_refuse_two_documents_about_one_person(world: World, words) -> None:  # type: ignore[no-untyped-def]
    person = world.forum[0]
    twice = [Document("biographies", f"{person.name} works.", (person,))] * 2
    with pytest.raises(AssertionError, match="twice in window 0"):
        windows(iter(twice), words, 1, batch=2)


def test_without_paraphrases_everybody_has_one_biography(world: World) -> None:
    """300 people and 1,500 biographies: everybody is dealt five times, and each time with the same text."""
    stream = (
        d for d in documents(world, CorpusSettings(paraphrases=False), seed=0) if d.kind == "biographies"
    )
    texts: dict[str, set[str]] = {}
    for document in islice(stream, 1500):
        texts.setdefault(document.people[0].name, set()).add(document.text)
    assert len(texts) == 300
    assert all(len(found) == 1 for found in texts.values())
    first_facts = {text.split(name)[0] for name, (text,) in ((n, list(t)) for n, t in texts.items())}
    assert len(first_facts) > 5  # the orders and wordings still differ from person to person


def test_the_seed_decides_the_text(world: World) -> None:
    one, same, other = (
        [d.text for d in islice(documents(world, CorpusSettings(), seed=seed), 50)] for seed in (1, 1, 2)
    )
    assert one == same != other


def test_a_deck_passes_over_those_to_avoid_and_deals_them_next(world: World) -> None:
    people = world.forum[:4]
    deck = Deck(people, np.random.default_rng(0))
    avoided = people[0]
    first_three = [deck.deal({avoided}) for _ in range(3)]
    assert {p.name for p in first_three} == {p.name for p in people[1:]}
    assert deck.deal(set()) is avoided
