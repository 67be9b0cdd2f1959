"""What a study can see and will take, by hand."""

from pathlib import Path

import pytest

from lima.errors import LimaError
from lima.records import Comparison
from lima.report.numbers.study import read_study
from lima.report.power import CHARACTERS_A_TOKEN, WORDS_OF_PROMPT, power
from lima.report.settings import PowerSettings
from lima.statistics.power import Design, detectable_gap


def test_gaps_by_pair_with_both_baselines_in_one_family(texts_only: Path) -> None:
    found = power(PowerSettings(study=texts_only))
    assert [(pair.system, pair.baseline, pair.prompts, pair.samples) for pair in found.pairs] == [
        ("tuned", "base", 40, 1), ("tuned", "scratch", 40, 1),
    ]  # fmt: skip
    design = Design(prompts=40, ties=0.3, flips=0.1, family=2)
    assert found.pairs[0].gap == detectable_gap(design)
    alone = detectable_gap(Design(prompts=40, ties=0.3, flips=0.1))
    assert found.pairs[0].gap > alone  # type: ignore[operator]
    random = power(PowerSettings(study=texts_only, order="random"))
    assert random.pairs[0].gap == detectable_gap(Design(prompts=40, ties=0.3, family=2))


def test_what_cannot_be_found_is_not_promised(texts_only: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = power(PowerSettings(study=texts_only, ties=0.85))
    assert found.pairs[0].gap is None
    assert "none" in capfd.readouterr().out
    assert power(PowerSettings(study=texts_only, ties=0.9)).needed == {}


def test_the_probability_of_finding_a_gap_agrees_with_the_prompts_it_needs(texts_only: Path) -> None:
    """What N prompts find with 50 % probability, N prompts are said to find with 50 %; fewer find less."""
    found = power(PowerSettings(study=texts_only, power=0.5))
    for pair in found.pairs:
        chances = [chance.value for chance in pair.power.values()]
        assert chances == sorted(chances)
        for gap, chance in pair.power.items():
            assert (chance.value >= 0.5) == (pair.prompts >= found.needed[gap])


def test_calls_tokens_and_cost(texts_only: Path, tmp_path: Path) -> None:
    """80 pairs in both orders, twice: 320 calls; 120 single answers, twice: 240."""
    prices = tmp_path / "prices.yaml"
    prices.write_text("judge: {input: 2.0, output: 10.0}\n")
    settings = PowerSettings(study=texts_only, repeats=2, reply_tokens=100, prices=prices, model="judge")
    pairwise, single = power(settings).tasks
    assert (pairwise.calls, single.calls) == (320, 240)
    assert pairwise.reply_tokens == 32_000
    texts: list[Comparison] = list(read_study(texts_only).comparisons.values())
    characters = sum(
        len(text.a) + len(text.b) + len(text.messages[0].content) + WORDS_OF_PROMPT for text in texts
    )
    assert pairwise.prompt_tokens == round(4 * characters / CHARACTERS_A_TOKEN)
    assert pairwise.cost == pytest.approx((2 * pairwise.prompt_tokens + 10 * 32_000) / 1e6)


def test_an_unknown_price_is_unknown_not_zero(texts_only: Path, tmp_path: Path) -> None:
    assert power(PowerSettings(study=texts_only)).tasks[0].cost is None
    prices = tmp_path / "prices.yaml"
    prices.write_text("other: {input: 2.0, output: 10.0}\n")
    with pytest.raises(LimaError, match="no price of 'judge'"):
        power(PowerSettings(study=texts_only, prices=prices, model="judge"))
    with pytest.raises(LimaError, match="--prices needs --model"):
        power(PowerSettings(study=texts_only, prices=prices))
