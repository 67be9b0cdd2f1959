"""Near-duplicates agree with comparing every pair; every leak rule trips alone; the released set's real leak."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from lima.curate.choose.duplicates import Duplicates, DuplicateSettings, Leaks, LeakSettings
from lima.records import Example, Message


def example(identifier: str, prompt: str, answer: str | None = None) -> Example:
    messages = [Message(role="user", content=prompt)]
    if answer is not None:
        messages.append(Message(role="assistant", content=answer))
    return Example(id=identifier, source="x", messages=tuple(messages))


def test_the_index_finds_what_comparing_all_pairs_finds() -> None:
    """200 random texts of 20-60 of 12 words, many of them mutations of others: a plain loop as the reference."""
    random_ = random.Random(0)
    texts: list[list[str]] = []
    for _ in range(200):
        words = random_.choices("abcdefghijkl", k=random_.randint(20, 60))
        if texts and random_.random() < 0.6:
            words = list(random_.choice(texts))
            for _ in range(random_.randint(0, 4)):
                words[random_.randrange(len(words))] = random_.choice("abcdefghijkl")
        texts.append(words)
    settings = DuplicateSettings(same_prompt=False, jaccard=0.7, ngram=3)
    index, kept, found, expected = Duplicates(settings), list[set[str]](), [], []
    for number, words in enumerate(texts):
        grams = {" ".join(words[i : i + 3]) for i in range(len(words) - 2)}
        expected.append(any(len(grams & other) / len(grams | other) >= 0.7 for other in kept))
        row = example(str(number), " ".join(words))
        found.append(index.find(row) is not None)
        if not expected[-1]:
            kept.append(grams)
            index.add(row)
    assert found == expected
    assert 20 < sum(expected) < 180


def test_beyond_the_exact_size_minhash_finds_them() -> None:
    """The first 10 texts by exact index, 190 more by MinHash: copies with one word of 50 changed (J about .8)."""
    random_ = random.Random(1)
    index = Duplicates(DuplicateSettings(same_prompt=False, jaccard=0.7, exact_texts_max=10))
    rows = [[f"w{random_.randrange(5000)}" for _ in range(50)] for _ in range(200)]
    for number, words in enumerate(rows):
        assert index.find(example(str(number), " ".join(words))) is None
        index.add(example(str(number), " ".join(words)))
    found = 0
    for number, words in enumerate(rows):
        words[25] = "changed"
        problem = index.find(example("copy", " ".join(words)))
        found += problem is not None and problem[1].endswith(f"of the n-grams of {number}")
    assert found >= 198


def test_the_same_prompt_in_other_letters() -> None:
    index = Duplicates(DuplicateSettings(jaccard=None))
    index.add(example("a", "How do I boil water?", "Heat it."))
    assert index.find(example("b", "how do I BOIL water", "Quite another text.")) == (
        "same_prompt",
        "the prompt of a",
    )
    assert index.find(example("c", "How do I boil milk?", "Heat it.")) is None


LONG = "Which of the many lakes in northern Finland freezes first when winter comes early?"
SHORT = "Why do geese fly south?"
PROMPTS = [example("x/7", LONG), example("x/8", SHORT), example("x/9", "Hello there")]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (example("x/7", "Another form of the question", "..."), "leak_question"),
        (example("y/1", "why do geese fly south", "Because."), "leak_equal"),
        (example("y/1", "hello there", "Hi."), "leak_equal"),
        (example("y/1", "On lakes", "Of the many lakes in northern Finland freezes first one that is shallow."), "leak_run"),
        (example("y/1", "One thing that puzzled people for long: why do geese fly south each autumn of the year", "."), "leak_contained"),
        (example("y/1", "Why do wild geese fly north?", "."), "leak_similar"),
        (example("y/1", "What is the capital of Peru?", "Lima."), None),
        (example("y/1", "Say hello there to them all", "Hi."), None),
    ],
)  # fmt: skip
def test_each_rule(row: Example, rule: str | None) -> None:
    found = Leaks(LeakSettings(), PROMPTS).find(row)
    assert (found[0] if found else None) == rule


def test_a_title_gives_away_too() -> None:
    row = example("y/1", "They leave each autumn. What is the reason of it?", "Food.")
    assert Leaks(LeakSettings(), PROMPTS).find(row) is None
    found = Leaks(LeakSettings(), PROMPTS).find(row, title=SHORT)
    assert found is not None
    assert found[0] == "leak_equal"


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")
def test_the_leak_in_the_released_set_is_found() -> None:
    """Test row 83 equals train row 547."""
    folder = Path(os.environ["LIMA_DATA"]) / "lima"

    def read(name: str) -> list[Example]:
        rows = [json.loads(line)["conversations"] for line in (folder / f"{name}.jsonl").open()]
        return [example(f"{name}/{number}", *texts[:2]) for number, texts in enumerate(rows)]

    leaks = Leaks(LeakSettings(), read("test"))
    found = {row.id: problem for row in read("train") if (problem := leaks.find(row))}
    equal = {identifier: reason for identifier, (rule, reason) in found.items() if rule == "leak_equal"}
    assert equal == {"train/547": "it is the test prompt test/83"}
    assert len(found) < 0.03 * 1030, "the other rules find few, not whatever shares common words"
