"""The ways to choose, on vectors whose answer can be seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lima.curate.choose.spread import best_and_apart, farthest_first
from lima.select.methods import Figures, Marks, choose

EAST, NORTH, BETWEEN = (1.0, 0.0), (0.0, 1.0), (0.8, 0.6)


def unit(*rows: tuple[float, float]) -> npt.NDArray[np.float32]:
    return np.asarray(rows, dtype=np.float32)


def test_farthest_first_goes_to_the_corners() -> None:
    vectors = unit(EAST, BETWEEN, NORTH)
    assert farthest_first(vectors, np.arange(3), 2) == [0, 2]
    assert farthest_first(vectors, np.arange(3), 3, chosen=[1], most_alike=0.9) == [2, 0]


def test_what_says_the_same_is_not_taken_twice() -> None:
    vectors = unit(EAST, EAST, BETWEEN, NORTH)
    quality = np.asarray([4.0, 3.0, 2.0, 1.0])
    assert best_and_apart(vectors, quality, np.arange(4), 3, most_alike=0.9) == [0, 2, 3]
    # cos(EAST, BETWEEN) = .8: with .7 it counts as the same, and comes only to fill up, the best first
    assert best_and_apart(vectors, quality, np.arange(4), 3, most_alike=0.7) == [0, 3, 1]


def test_an_unknown_quality_is_the_lowest() -> None:
    quality = np.asarray([np.nan, 1.0, 2.0])
    assert best_and_apart(unit(EAST, NORTH, BETWEEN), quality, np.arange(3), 2) == [2, 1]


def test_targets_choose_in_turn() -> None:
    """Both targets like example 2 best of what is left; the first takes it, so the second takes its next."""
    states = unit(EAST, NORTH, BETWEEN, (0.6, 0.8))
    figures = Figures(
        lengths=np.ones(4, dtype=np.int64),
        quality=None,
        vectors=states,
        states=states,
        target_states=unit(BETWEEN, BETWEEN),
    )
    # cosines to the target: .8, .6, 1, .96
    assert choose("rds", figures, 3, quotas=[], seed=0) == [2, 3, 0]


@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(0, 9), st.sampled_from(["quality", "quality-diverse"])
)
def test_a_choice_of_the_best_asks_for_few_marks_and_is_the_same(
    size: int, number: int, seed: int, method: str
) -> None:
    """By marks as they are asked for, and by all of them; the second may ask only for what the first could not fill."""
    random = np.random.default_rng([size, seed])
    vectors = random.normal(size=(size, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    marks = random.integers(0, 3, size).astype(float)
    asked: list[int] = []

    def is_best(place: int) -> bool:
        asked.append(place)
        return bool(marks[place] == 2)

    def choice(quality: Marks) -> list[int]:
        figures = Figures(lengths=np.ones(size, dtype=np.int64), quality=quality, vectors=vectors)
        part = [(np.arange(0, size, 2), number // 3)]
        return choose(method, figures, number, quotas=part, seed=seed)  # type: ignore[arg-type]

    assert choice(Marks(lambda: marks, is_best)) == choice(Marks(lambda: marks))
    if method == "quality":
        first = np.random.default_rng([seed, 9]).permutation(size)
        asked.clear()
        few = (marks == 2).sum() // 2
        figures = Figures(
            lengths=np.ones(size, dtype=np.int64), quality=Marks(lambda: marks, is_best), vectors=vectors
        )
        choose("quality", figures, int(few), quotas=[], seed=seed)
        best = first[marks[first] == 2][:few]
        assert asked == (first[: first.tolist().index(best[-1]) + 1].tolist() if few else [])


@given(
    st.integers(1, 40),
    st.integers(1, 60),
    st.integers(0, 3),
    st.sampled_from(["random", "longest", "quality", "diverse", "quality-diverse", "likeness", "rds"]),
)
def test_every_method_takes_each_example_once(size: int, number: int, seed: int, method: str) -> None:
    random = np.random.default_rng([size, seed])
    vectors = random.normal(size=(size, 3)).astype(np.float32)
    vectors[: size // 2] = vectors[0]  # half of the pool says the same
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    marks = random.integers(0, 3, size).astype(float)
    figures = Figures(
        lengths=random.integers(1, 100, size),
        quality=Marks(lambda: marks, (lambda place: marks[place] == 2) if number % 2 else None),
        vectors=vectors,
        likeness=random.random(size),
        states=vectors,
        target_states=vectors[:2],
    )
    part = np.arange(0, size, 2)
    found = choose(method, figures, number, quotas=[(part, number // 2)], seed=seed)  # type: ignore[arg-type]
    assert len(found) == len(set(found))
    assert set(found) <= set(range(size))
    from_part = sum(place % 2 == 0 for place in found)
    assert from_part == min(number // 2, len(part))
    assert len(found) == from_part + min(number - from_part, size - len(part))


def test_k_center_is_within_twice_the_best_radius() -> None:
    """Gonzalez's bound, against the best of all pairs, in angles."""
    vectors = np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def radius(places: list[int]) -> float:
        return float(np.arccos(np.clip((vectors @ vectors[places].T).max(1), -1, 1)).max())

    best = min(radius([i, j]) for i in range(12) for j in range(i))
    assert radius(farthest_first(vectors, np.arange(12), 2)) <= 2 * best + 1e-6


@pytest.mark.filterwarnings("error")
def test_equal_texts_are_embedded_alike_without_a_warning() -> None:
    from lima.curate.choose.embeddings import fit_embedder

    texts = ["one text, many times"] * 5
    assert np.ptp(fit_embedder(texts).transform(texts), axis=0).max() < 1e-6


@pytest.mark.parametrize("text", ["日本の首都は東京です", "กรุงเทพเป็นเมืองหลวง"])
def test_scripts_without_blanks_are_embedded(text: str) -> None:
    from lima.curate.choose.embeddings import fit_embedder

    texts = [text, text[: len(text) - 1], "a plain English sentence", "another English sentence"]
    vectors = fit_embedder(texts).transform(texts)
    assert vectors[0] @ vectors[1] > 0.8 > 0.2 > vectors[0] @ vectors[2]
