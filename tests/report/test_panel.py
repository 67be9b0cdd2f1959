"""Several judges beside people: agreement with and without ties, and what the judges are worth together."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from lima.files import write_jsonl
from lima.formats.imported import asked, pair_key
from lima.records import Comparison, Preference
from lima.report.numbers.analysis import analyse
from lima.report.numbers.panel import PANEL, calibrations, panel
from lima.report.numbers.study import read_study
from lima.report.numbers.votes import Vote, group_of
from lima.report.settings import ReportSettings
from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.panel import effective_number, error_correlation
from lima.statistics.preferences import CREDITS, Outcome


def vote(number: int, rater: str, outcome: Outcome, credit: float | None = None, tag: str = "x") -> Vote:
    return Vote(
        comparison=f"c{number:03d}",
        prompt=f"p{number:03d}",
        group=group_of(rater),
        rater=rater,
        repeat=0,
        label={"win": "a", "tie": "tie", "loss": "b"}[outcome],  # type: ignore[arg-type]
        consistent=None,
        system="one",
        baseline="two",
        outcome=outcome,
        credit=CREDITS[outcome] if credit is None else credit,
        tags=(tag,),
        longer_by=0,
    )


def test_agreement_with_and_without_ties_by_tag() -> None:
    people: list[Outcome] = ["win", "win", "loss", "tie"]
    judge: list[Outcome] = ["win", "loss", "tie", "tie"]
    votes = [vote(i, "crowd:01", x, tag="odd" if i % 2 else "even") for i, x in enumerate(people)]
    votes += [vote(i, "judge:m@1", x, tag="odd" if i % 2 else "even") for i, x in enumerate(judge)]
    rows = {row.tag: row for row in calibrations(votes, 0.95)}
    everything = rows[""]
    assert isinstance(everything.agreement, Estimate)
    assert isinstance(everything.decided, Estimate)
    assert everything.agreement.value == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert (everything.decided.value, everything.decided.n) == (0.5, 2)
    assert (rows["odd"].agreement.n, rows["even"].decided.n) == (2, 1)
    graded = [*votes[:4], *(replace(row, credit=0.9) for row in votes[4:])]
    found = calibrations(graded, 0.95)[0].agreement
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx((0.9 + 0.9 + 0.1 + 0.6) / 4)
    assert calibrations(votes[4:], 0.95) == []


def test_equal_judges_are_worth_one_and_independent_ones_their_number() -> None:
    """Errors of equal variance and correlation r: k / (1 + (k - 1) r); with r = 1/2 and three judges 3/2."""
    rng = random.Random(1)
    shared = [rng.gauss(0, 1) for _ in range(4000)]
    own = [[rng.gauss(0, 1) for _ in range(3)] for _ in shared]
    prompts = [n % 400 for n in range(4000)]
    cases = {
        1.0: [[s, s, s] for s in shared],
        1.5: [[s + e for e in errors] for s, errors in zip(shared, own, strict=True)],
        3.0: own,
    }
    for worth, errors in cases.items():
        found = effective_number(errors, prompts)
        assert isinstance(found, Estimate)
        assert found.value == pytest.approx(worth, rel=0.05)
        if worth > 1:
            low, high = found.interval
            assert low <= worth <= high
        else:
            assert (found.low, found.note[:11]) == (None, "no interval")


def test_the_correlation_of_errors_is_scipys_and_has_an_interval() -> None:
    rng = random.Random(3)
    shared = [rng.gauss(0, 1) for _ in range(300)]
    first, second = ([x + rng.gauss(0, 1) for x in shared] for _ in range(2))  # correlation 1/2
    found = error_correlation(first, second, [n // 2 for n in range(300)])
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(stats.pearsonr(first, second).statistic)
    low, high = found.interval
    assert 0.3 < low < 0.5 < high < 0.7
    assert (found.n, found.clusters) == (300, 150)
    assert isinstance(error_correlation(first[:9], second[:9], range(9)), Undefined)
    assert isinstance(error_correlation([0.0] * 20, second[:20], range(20)), Undefined)


def test_where_there_is_no_effective_number() -> None:
    for errors, clusters in (
        ([[0.1]] * 20, range(20)),
        ([[0.1, 0.2]] * 5, range(5)),
        ([[0.0, 0.0]] * 20, range(20)),
        ([], ()),
    ):
        assert isinstance(effective_number(errors, list(clusters)), Undefined)


def test_a_panel_of_two_judges() -> None:
    rng = random.Random(2)
    sides: tuple[Outcome, ...] = ("win", "tie", "loss")
    votes = []
    for number in range(60):
        truth = rng.choice(sides)
        wrong = rng.choice(sides)
        votes += [
            vote(number, "crowd:01", truth),
            vote(number, "judge:m@1", wrong),
            vote(number, "judge:m@2", wrong),
        ]
    found = panel(votes, 0.95)
    assert found is not None
    assert found.judges == ["judge:m@1", "judge:m@2"]
    assert isinstance(found.effective, Estimate)
    assert found.effective.value == pytest.approx(1.0)
    alike = found.correlations[0].correlation  # the same errors: Fisher's scale has no interval for it
    assert isinstance(alike, Estimate)
    assert alike.value == pytest.approx(1.0)
    assert (alike.low, alike.n) == (None, 60)
    assert {row.judge for row in calibrations(votes, 0.95)} == {"judge:m@1", "judge:m@2", PANEL}
    nobody = panel([row for row in votes if row.group != "crowd"], 0.95)
    assert nobody is not None
    assert isinstance(nobody.effective, Undefined)
    assert panel([row for row in votes if row.rater != "judge:m@2"], 0.95) is None


def test_criteria_and_strength_by_hand(tmp_path: Path) -> None:
    """Two orders of a judge that agree on the facts in one pair and not in the other; three of four choices are clear."""
    rows, keys, verdicts = [], [], []
    for name in ("c1", "c2"):
        rows.append(Comparison(id=name, messages=asked(name), a="x", b="y"))
        keys.append(pair_key(name, name, "one", "two"))
        for shown in ("ab", "ba"):
            verdicts.append(
                Preference(
                    id=f"{name}/{shown}",
                    comparison_id=name,
                    rater="judge:m",
                    shown=shown,
                    label="a",
                    strength="slight" if (name, shown) == ("c1", "ab") else "clear",
                    criteria={"facts": "b" if name == "c1" or shown == "ab" else "a"},
                )
            )
    write_jsonl(tmp_path / "comparisons.jsonl", rows)
    write_jsonl(tmp_path / "key.jsonl", keys)
    write_jsonl(tmp_path / "preferences.jsonl", verdicts)
    found = analyse(read_study(tmp_path), ReportSettings(study=tmp_path, rounds=100, system="one"))
    (facts,) = found.criteria
    assert (facts.criterion, facts.pair.result.counts) == ("facts", {"win": 0, "tie": 1, "loss": 1})
    (strength,) = found.strength
    assert isinstance(strength.clear, Estimate)
    assert (strength.system, strength.clear.value, strength.clear.n) == ("one", 0.75, 4)
