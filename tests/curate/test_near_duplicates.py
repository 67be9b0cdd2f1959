"""The exact join finds the pairs that comparing all with all finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lima.curate.choose import duplicates
from lima.curate.choose.duplicates import near_duplicates
from lima.curate.text.blocks import WORD, words_of


def all_with_all(texts: list[str], jaccard: float, ngram: int) -> list[tuple[int, int]]:
    sets = []
    for text in texts:
        words = WORD.findall(text.casefold())
        sets.append({tuple(words[i : i + ngram]) for i in range(max(1, len(words) - ngram + 1))})
    return [
        (a, b)
        for a, b in itertools.combinations(range(len(texts)), 2)
        if len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= jaccard
    ]


@given(
    texts=st.lists(st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join), max_size=9),
    jaccard=st.sampled_from([0.3, 0.5, 0.7, 1.0]),
    ngram=st.integers(1, 4),
)
def test_the_same_pairs_as_all_with_all(texts: list[str], jaccard: float, ngram: int) -> None:
    found = [(pair.first, pair.second) for pair in near_duplicates(texts, jaccard, ngram)]
    assert found == all_with_all(texts, jaccard, ngram)


@given(st.text(max_size=30) | st.text(st.characters(max_codepoint=127), max_size=30))
def test_words_are_those_of_the_expression(text: str) -> None:
    assert words_of(text) == WORD.findall(text.casefold())


def test_minhash_finds_what_the_exact_join_finds() -> None:
    """1,500 texts of 60 words with a copy each, of which up to four words are changed: .99 of the pairs at least."""
    random = np.random.default_rng(1)
    base = [[f"w{i}" for i in random.integers(0, 3000, 60)] for _ in range(1500)]
    copies = [row.copy() for row in base]
    for row in copies:
        for _ in range(int(random.integers(0, 4))):
            row[int(random.integers(0, 60))] = "changed"
    texts = [" ".join(row) for row in base + copies]
    exact = near_duplicates(texts, 0.6)
    assert len(exact) > 700
    sketched = near_duplicates(texts, 0.6, exact_texts_max=100)
    assert set(sketched) <= set(exact), "every candidate is compared exactly"
    assert len(sketched) >= 0.99 * len(exact)
    assert near_duplicates(list(reversed(texts)), 0.6, exact_texts_max=0) != [], "also in another order"


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    base = [" ".join(f"w{i}" for i in random.integers(0, 300, 60)) for _ in range(40)]
    texts = base + [f"{text} changed" for text in base] + ["boiler plate text of all"] * 20
    expected = near_duplicates(texts)
    assert len(expected) == 40 + 20 * 19 // 2
    monkeypatch.setattr(duplicates, "BLOCK_TEXTS", 7)
    assert near_duplicates(texts) == expected


def test_the_similarity_is_exact() -> None:
    """7 words: 3 five-grams; 8 words: 4; 3 in common of 4."""
    (pair,) = near_duplicates(["a b c d e f g", "a b c d e f g h"])
    assert pair.similarity == 0.75
    assert near_duplicates([]) == near_duplicates(["", "x"]) == []
