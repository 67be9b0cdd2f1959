"""Ways to choose examples from a pool of good and bad ones (LIMA, section 5; arXiv 2402.04833, 2308.12032).

A selector sees only the examples, never how they were made. Its cost is the number of tokens that a model reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from lima import chat, model
from lima.curate.candidate import Candidate
from lima.curate.card.diversity import Vectors, similarities
from lima.curate.rules import RuleSettings, first_problem
from lima.records import Example

Selector = Literal[
    "random", "longest", "shortest", "ifd", "rules", "likeness", "k-center", "likeness, k-center"
]
SELECTORS: tuple[Selector, ...] = get_args(Selector)
RULES = RuleSettings(score_min=None, length_min=50, length_max=120)
"""The rules of the recipe `world`."""


def select(
    pool: Sequence[Example], how: Selector, count: int, *, seed: int, liked: Sequence[Example], base: Path
) -> tuple[list[Example], int]:
    """``count`` examples of the pool, and the tokens that a model read to choose them.

    Args:
        pool: what there is to choose from.
        how: the way.
        count: how many; at most the pool.
        seed: draws where the way leaves a choice.
        liked: some examples as they should be, written by hand (for ``likeness``).
        base: the folder of the model (for ``ifd``).
    """
    order = np.random.default_rng([seed, 9]).permutation(len(pool)).tolist()
    shuffled = [pool[position] for position in order]
    if how == "ifd":
        scores, tokens = _following_difficulty(shuffled, base)
        return _best(shuffled, scores, count), tokens
    if how in ("longest", "shortest"):
        sign = 1 if how == "longest" else -1
        return _best(shuffled, [sign * len(_answer(one)) for one in shuffled], count), 0
    if how == "rules":
        shuffled.sort(key=_breaks_a_rule)  # stable: those that keep the rules first, in random order
    elif how == "likeness":
        shuffled = _best(shuffled, _likeness(shuffled, liked), count)
    elif how == "k-center":
        shuffled = _spread(shuffled, count)
    elif how == "likeness, k-center":
        shuffled = _spread(_best(shuffled, _likeness(shuffled, liked), 2 * count), count)
    return shuffled[:count], 0


def _answer(example: Example) -> str:
    return example.messages[-1].content


def _best(pool: Sequence[Example], scores: Sequence[float], count: int) -> list[Example]:
    """The highest scores; among equal ones the first, and so a random one."""
    return [pool[i] for i in sorted(range(len(pool)), key=lambda i: -scores[i])[:count]]


def _breaks_a_rule(example: Example) -> bool:
    text = _answer(example)
    return first_problem(Candidate(example, answer=text, prose=text), RULES) is not None


def _likeness(pool: Sequence[Example], liked: Sequence[Example]) -> list[float]:
    """Mean similarity of an answer's words to those of the liked answers."""
    similarity = similarities([_answer(one) for one in (*pool, *liked)])
    return list(map(float, similarity[: len(pool), len(pool) :].mean(1)))


def _spread(pool: Sequence[Example], count: int) -> list[Example]:
    """Greedy k-center: always the example whose nearest chosen one is the farthest (prompts and answers)."""
    similarity: Vectors = similarities([" ".join(m.content for m in one.messages) for one in pool])
    chosen = [0]
    nearest = similarity[0].copy()
    while len(chosen) < min(count, len(pool)):
        nearest[chosen[-1]] = np.inf
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, similarity[chosen[-1]])
    return [pool[i] for i in chosen]


@torch.no_grad()
def _following_difficulty(pool: Sequence[Example], base: Path) -> tuple[list[float], int]:
    """IFD: an answer's loss after its question over its loss alone; from 1 on the question is no help, so it is last."""
    network, words = model.load(base, device="cpu")
    scores, tokens = [], 0
    for example in pool:
        asked = chat.encode_plain(words, example.messages[0].content)
        told = words.encode(_answer(example), add_special_tokens=False)
        alone = [words.bos_token_id, *told]
        ratio = _loss(network, [*asked, *told], len(told)) / _loss(network, alone, len(told))
        scores.append(ratio if ratio < 1 else -1.0)
        tokens += len(asked) + len(told) + len(alone)
    return scores, tokens


def _loss(network: torch.nn.Module, ids: list[int], last: int) -> float:
    """Mean negative log-likelihood of the last tokens, in nats."""
    logits = network(input_ids=torch.tensor([ids])).logits[0, -last - 1 : -1]
    return float(torch.nn.functional.cross_entropy(logits, torch.tensor(ids[-last:])))
