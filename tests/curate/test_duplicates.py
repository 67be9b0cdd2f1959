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


LETTER = (
    "Dear {}, thanks for your note about parcel {}. It left our house on {} and a second note with its number follows "
    "as soon as the driver has read the label. Kind regards, the people of the counter"
)
FILLINGS = [("Ms Olm", "P-17", "2 May"), ("Mr Tarn", "Q-9", "30 June"), ("Ms Birk", "R-5521", "1 July")]


def test_answers_from_one_template_are_one() -> None:
    index = Duplicates(DuplicateSettings())
    letters = [
        example(str(n), f"Where is {words[1]}?", LETTER.format(*words)) for n, words in enumerate(FILLINGS)
    ]
    index.add(letters[0])
    assert [m.rule for m in index.matches(letters[1])] == ["same_template"]
    off = Duplicates(DuplicateSettings(template=None))
    off.add(letters[0])
    assert off.find(letters[1]) is None


def test_two_good_answers_may_share_a_form() -> None:
    """The same steps in the same order, about other things; and short answers, which are all form."""
    form = "First {} the {} and let it rest for an hour. Then {} it slowly with {}, and never leave it alone. At the end {} it well, for {} makes it hard."
    one = form.format("soak", "beans", "heat", "herbs and a little oil", "salt", "standing in its water")
    two = form.format("wash", "wool", "dry", "wind and shade on a rack", "brush", "sun that is too strong")
    index = Duplicates(DuplicateSettings())
    index.add(example("1", "How do I cook beans?", one))
    assert index.find(example("2", "How do I dry wool?", two)) is None
    index.add(example("3", "What is the capital of Peru?", "The capital is Lima."))
    assert index.find(example("4", "What is the capital of Cuba?", "The capital is Havana.")) is None


ZH = "如果水壶不能加热，请先看一看插头是否插紧，再按下开关，等指示灯亮起以后把水加到刻度线，然后盖好盖子。"
TH = "ถ้ากาต้มน้ำไม่ร้อนให้ดูก่อนว่าเสียบปลั๊กแน่นหรือยังแล้วกดสวิตช์รอจนไฟติด"
JA = "やかんが温まらないときは、まずプラグがしっかり入っているかを確かめ、それからスイッチを押してランプがつくのを待ちます。"


@pytest.mark.parametrize("text", [ZH, TH, JA])
def test_scripts_without_blanks(text: str) -> None:
    """Characters are their words: a changed character is no new text, and half of another one is."""
    index = Duplicates(DuplicateSettings())
    index.add(example("1", "one", text))
    assert index.find(example("2", "two", text[:20] + text[21:])) is not None
    assert index.find(example("3", "three", text[: len(text) // 2])) is None
    leaks = Leaks(LeakSettings(), [example("t", text[5:15])])
    assert (leaks.find(example("4", text[:20], "x")) or ("", ""))[0] == "leak_run"
    assert leaks.find(example("5", text[20:40], "x")) is None
