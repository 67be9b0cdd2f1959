from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from lima.errors import LimaError
from lima.generate.engine.decoding import (
    PAPER,
    Decoding,
    DecodingBatch,
    next_tokens,
    noise_key,
    penalize,
    top_logits,
    uniforms,
)


def exact_distribution(logits: np.ndarray, temperature: float, top_p: float, top_k: int) -> np.ndarray:
    """The textbook definition, in float64 and one row: temperature, then top-k, then nucleus."""
    p = np.exp(logits.astype(np.float64) / temperature)
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    if top_k:
        p[order[top_k:]] = 0
        p /= p.sum()
    kept: list[int] = []
    mass = 0.0
    for token in order:
        if kept and mass >= top_p:
            break
        kept.append(token)
        mass += p[token]
    nucleus = np.zeros_like(p)
    nucleus[kept] = p[kept]
    total: np.ndarray = nucleus / nucleus.sum()
    return total


def one_row(logits: list[float], uniform: float, **decoding: float) -> int:
    rows = DecodingBatch.of([Decoding(**{"temperature": 1.0, "top_p": 1.0, **decoding})])  # type: ignore[arg-type]
    token, _ = next_tokens(torch.tensor([logits]), torch.tensor([uniform], dtype=torch.float64), rows)
    return token[0]


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k", "spread"),
    [
        (0.7, 0.9, 0, 2.0),  # the paper's
        (1.0, 1.0, 0, 2.0),  # no limit
        (1.0, 0.9, 0, 0.1),  # flat: the nucleus holds about 350 of 400 tokens, more than are sorted first
        (1.0, 1.0, 0, 0.1),
        (1.0, 0.8, 10, 2.0),
        (1.5, 1.0, 100, 1.0),  # top-k beyond what is sorted first
    ],
)
def test_frequencies_agree_with_the_exact_distribution(
    temperature: float, top_p: float, top_k: int, spread: float
) -> None:
    draws, vocabulary = 20_000, 400
    logits = np.random.default_rng(7).normal(0, spread, vocabulary).astype(np.float32)
    many = DecodingBatch.of([Decoding(temperature=temperature, top_p=top_p, top_k=top_k)] * draws)
    uniform = torch.from_numpy(uniforms(noise_key(0, "chi", 0), draws))
    tokens, _ = next_tokens(torch.from_numpy(logits).expand(draws, -1), uniform, many)

    expected = exact_distribution(logits, temperature, top_p, top_k) * draws
    observed = np.bincount(tokens, minlength=vocabulary)
    assert observed[expected == 0].sum() == 0
    rare = expected < 5  # chi-square wants at least five; the rare ones together are one cell
    cells = [(observed[~rare & (expected > 0)], expected[~rare & (expected > 0)])]
    if expected[rare].sum() >= 5:
        cells.append((observed[rare].sum(keepdims=True), expected[rare].sum(keepdims=True)))
    seen = np.concatenate([np.atleast_1d(a) for a, _ in cells]).astype(float)
    hoped = np.concatenate([np.atleast_1d(b) for _, b in cells])
    assert chisquare(seen, hoped * seen.sum() / hoped.sum()).pvalue > 0.01


def test_the_nucleus_holds_the_token_that_crosses_the_line() -> None:
    half_quarter = [np.log(0.5), np.log(0.25), np.log(0.25 - 1e-3), np.log(1e-3)]
    # 0.5 alone does not hold 0.6; 0.5 + 0.25 does: tokens 0 and 1, in the ratio 2 : 1.
    assert one_row(half_quarter, 0.66, top_p=0.6) == 0
    assert one_row(half_quarter, 0.67, top_p=0.6) == 1
    assert one_row(half_quarter, 1 - 1e-12, top_p=0.6) == 1


def test_a_line_at_the_end_of_a_token_needs_no_further_one() -> None:
    # Powers of two are exact: softmax of [ln 2, 0, 0] is 1/2, 1/4, 1/4.
    exact = [float(np.log(2)), 0.0, 0.0]
    assert one_row(exact, 1 - 1e-12, top_p=0.4999) == 0
    assert one_row(exact, 1 - 1e-12, top_p=0.5001) == 1
    assert one_row(exact, 1 - 1e-12, top_p=1.0) == 2


@pytest.mark.parametrize("limits", [{"top_p": 0.0}, {"top_k": 1}, {"temperature": 0.0}])
def test_limits_that_leave_the_likeliest_token(limits: dict[str, float]) -> None:
    for uniform in (0.0, 0.5, 1 - 1e-12):
        assert one_row([0.1, 3.0, 0.2], uniform, **limits) == 1


def test_minus_infinity_is_never_drawn() -> None:
    for uniform in (0.0, 0.5, 1 - 1e-16):
        assert one_row([-np.inf, 1.0, 1.0, -np.inf], uniform) in (1, 2)


def test_a_row_draws_the_same_token_alone_and_in_any_batch() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(40, 500, generator=generator) * torch.rand(40, 1, generator=generator) * 4
    uniform = torch.rand(40, generator=generator, dtype=torch.float64)
    top_p = torch.rand(40, generator=generator).tolist()
    top_k = torch.randint(0, 200, (40,), generator=generator).tolist()
    rows = [Decoding(top_p=p, top_k=k) for p, k in zip(top_p, top_k, strict=True)]
    together, _ = next_tokens(logits, uniform, DecodingBatch.of(rows))
    alone = [
        next_tokens(logits[i, None], uniform[i, None], DecodingBatch.of([row]))[0][0]
        for i, row in enumerate(rows)
    ]
    assert together == alone


@pytest.mark.parametrize("vocabulary", [30, 500, 64 * 300, 64 * 300 + 17])
@pytest.mark.parametrize("width", [64, 512])
def test_top_logits_are_those_of_a_full_sort(vocabulary: int, width: int) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, vocabulary, generator=generator)
    logits[0] = logits[0].sort().values  # all the highest in neighbouring blocks, and in the tail
    logits[1, :5] = torch.inf
    expected = logits.sort(descending=True)
    values, tokens = top_logits(logits, width)
    assert values.shape == (3, min(width, vocabulary))
    assert torch.equal(values, expected.values[:, :width])
    assert torch.equal(tokens[[0, 2]], expected.indices[[0, 2], :width])
    assert set(tokens[1, :5].tolist()) == set(range(5))


def test_the_defaults_are_the_paper_s() -> None:
    """LIMA, section 4.1; no limit of top k, and the penalty on the answer's own tokens."""
    paper = {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 0,
        "repetition_penalty": 1.2,
        "penalize_prompt": False,
    }
    assert asdict(PAPER) == paper


@pytest.mark.parametrize(
    ("field", "allowed", "refused"),
    [
        ("temperature", (0.0, 1e30), (-0.1, np.inf, np.nan)),
        ("top_p", (0.0, 1.0), (-0.01, 1.01, np.nan)),
        ("top_k", (0, 2**31 - 1), (-1, 2**31)),
        ("repetition_penalty", (0.01, 100.0), (0.009, 100.5, np.nan)),
    ],
)
def test_what_the_engine_could_not_compute_with_is_refused(
    field: str, allowed: tuple[float, ...], refused: tuple[float, ...]
) -> None:
    for value in allowed:
        assert getattr(Decoding(**{field: value}), field) == value  # type: ignore[arg-type]
    for value in refused:
        with pytest.raises(LimaError, match=field):
            Decoding(**{field: value})  # type: ignore[arg-type]


def test_rows_of_one_batch_follow_their_own_settings() -> None:
    rows = DecodingBatch.of([Decoding(temperature=0), Decoding(temperature=1, top_p=1)])
    logits = torch.tensor([[1.0, 0.9], [1.0, 0.9]])
    assert next_tokens(logits, torch.tensor([0.99, 0.99], dtype=torch.float64), rows)[0] == [0, 1]


def test_penalty_divides_positive_and_multiplies_negative_logits_once() -> None:
    logits = torch.tensor([[2.0, -2.0, 0.0, 5.0]] * 4)
    repeated = [[0, 1, 2, 0, 1], [3], [], [0, 3]]
    got = penalize(logits.clone(), repeated, [2.0, 1.25, 3.0, 1.0])
    assert got.tolist() == [
        [1.0, -4.0, 0.0, 5.0],
        [2.0, -2.0, 0.0, 4.0],
        [2.0, -2.0, 0.0, 5.0],
        [2.0, -2.0, 0.0, 5.0],
    ]


def test_random_numbers_depend_on_key_and_position_alone() -> None:
    key = noise_key(0, "p", 0)
    assert uniforms(key, 5).tolist() == uniforms(key, 500)[:5].tolist()
    keys = {noise_key(seed, prompt, sample) for seed in (0, 1) for prompt in ("p", "q") for sample in (0, 1)}
    assert len(keys) == 8
    assert len({uniforms(k, 1)[0] for k in keys}) == 8


def test_unusable_rows_are_told() -> None:
    inf, nan = torch.inf, torch.nan
    logits = torch.tensor([[0.0, -inf], [nan, 0.0], [inf, 0.0], [-inf, -inf]])
    uniform = torch.full((4,), 0.5, dtype=torch.float64)
    for decoding in (Decoding(), Decoding(temperature=0), Decoding(top_p=1.0), Decoding(top_k=1)):
        tokens, usable = next_tokens(logits, uniform, DecodingBatch.of([decoding] * 4))
        assert usable == [True, False, False, False]
        assert tokens[0] == 0


def test_an_almost_zero_temperature_is_greedy_and_never_a_nan() -> None:
    logits = torch.tensor([[1.0, 30.0, 2.0]])
    for temperature in (0.0, 1e-310, 1e-30, 9e-4):
        rows = DecodingBatch.of([Decoding(temperature=temperature, top_p=1.0)])
        assert next_tokens(logits, torch.tensor([0.99], dtype=torch.float64), rows)[0] == [1]
