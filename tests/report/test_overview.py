"""The first screen: one row a system, ranks with their intervals, the reference among them, few cautions."""

import re
from pathlib import Path

import numpy as np
import pytest
from tests.report.many_systems import build

from lima.report.numbers.analysis import Numbers, analyse
from lima.report.numbers.cautions import MANY_PAIRS
from lima.report.numbers.study import read_study
from lima.report.report import report
from lima.report.settings import ReportSettings
from lima.statistics.bradley_terry import Duel, ranks
from lima.statistics.estimates import Estimate


def numbers(folder: Path) -> Numbers:
    return analyse(read_study(folder), ReportSettings(study=folder, rounds=100))


def test_two_systems_see_the_same_gap_from_both_sides(tmp_path: Path) -> None:
    first, second = numbers(build(tmp_path / "two", 2)).overview[0].systems
    assert isinstance(first.gap, Estimate)
    assert second.gap == first.gap.mirrored
    assert (first.against, second.against) == (second.system, first.system)
    assert first.rank is None


def test_a_row_a_system_in_the_order_of_their_ranks(tmp_path: Path) -> None:
    found = numbers(build(tmp_path / "six", 6, prompts=40))
    for seen in found.overview:
        assert {row.system for row in seen.systems} == set(found.systems)
        assert [row.rank.value for row in seen.systems if row.rank] == [1, 2, 3, 4, 5, 6]
        for row in seen.systems:
            assert row.rank is not None
            low, high = row.rank.interval
            assert 1 <= low <= row.rank.value <= high <= 6
            assert (row.gap is None) == (row.system == seen.reference) == (row.wins is None)
        votes = sum(pair.result.n for pair in found.pairs if pair.group == seen.group)
        assert sum(row.n for row in seen.systems) == 2 * votes
    assert sum("no pair of answers" in text for text in found.warnings) == 1
    assert len(found.pairs) / 2 > MANY_PAIRS


def test_a_rank_that_is_certain_is_written_once(tmp_path: Path) -> None:
    """Beside a rank stand those that the verdicts leave possible, if there are several."""
    folder = build(tmp_path / "three", 3, prompts=150)
    report(ReportSettings(study=folder, rounds=100))
    page = (folder / "report.html").read_text(encoding="utf-8")
    cells = [
        re.sub("<[^>]+>", "", cell).split() for cell in re.findall(r'<td class="num rank">(.*?)</td>', page)
    ]
    ranked = [row.rank for seen in numbers(folder).overview for row in seen.systems]
    assert [rank for rank in ranked if rank and rank.low == rank.high] != []
    for rank, words in zip(ranked, cells, strict=True):
        assert rank is not None
        low, high = map(round, rank.interval)
        assert words == [f"{rank.value:.0f}", *([] if low == high else [str(low), "to", str(high)])]


def test_the_length_is_the_mean_of_each_answer_once(tmp_path: Path) -> None:
    study = read_study(build(tmp_path / "three", 3, prompts=10))
    row = analyse(study, ReportSettings(study=study.folder, rounds=100)).overview[0].systems[0]
    lengths = {
        key.content.completion_id: len(study.items[text_id].content)
        for text_id, key in study.keys.items()
        if key.content and key.content.system == row.system
    }
    assert isinstance(row.length, Estimate)
    assert row.length.value == pytest.approx(sum(lengths.values()) / 10)
    assert row.length.n == len(lengths) == 10


def test_ranks_do_not_depend_on_the_reference_and_equals_share_theirs() -> None:
    generator = np.random.default_rng(3)
    strength = {"a": 2.0, "b": 0.0, "c": 0.0, "d": -2.0}
    duels = [
        Duel(
            first,
            second,
            "win" if generator.logistic() < strength[first] - strength[second] else "loss",
            prompt,
        )
        for prompt in range(200)
        for first, second in (("a", "b"), ("a", "c"), ("b", "c"), ("b", "d"), ("c", "d"))
    ]
    found = ranks(duels, "a")
    assert [found[name].interval for name in "abcd"] == [(1, 1), (2, 3), (2, 3), (4, 4)]
    assert {name: place.interval for name, place in ranks(duels, "c").items()} == {
        name: place.interval for name, place in found.items()
    }
    assert ranks([Duel("a", "b", "win", 1)], "a") == {}
