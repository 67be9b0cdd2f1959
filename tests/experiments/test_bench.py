"""`lima bench`: sets are crossed and repeatable, scores can be told by hand, a judge behind a URL is measured, wrong files are refused."""

from collections import Counter
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from examples.rule_judge import Rule, serving

from lima.errors import LimaError
from lima.experiments.bench import estimators, judges, selectors
from lima.experiments.bench.bench import bench
from lima.experiments.bench.settings import BenchSettings
from lima.experiments.claims.data import make_pool
from lima.experiments.claims.examples import CHOSEN, COPIES, POOL, STYLES, ZIPF
from lima.experiments.claims.jobs import DataSettings
from lima.files import read_jsonl, write_jsonl
from lima.records import Example, Preference
from lima.report.render.tables import TextTable
from lima.statistics.estimates import Estimate
from lima.statistics.intervals import wilson
from lima.world.oracle import Oracle, first_value
from lima.world.people import ATTRIBUTES, World


def _cells(table: TextTable) -> dict[str, list[str]]:
    rows = [[text.replace("\u202f", " ") for text in row] for row in table.rows]
    return {row[0]: row[1:] for row in rows}


def test_every_crossing_has_as_many_pairs_and_the_seed_makes_the_set() -> None:
    pairs = judges.make_pairs(3, 2)
    counts = Counter(tuple(pair.better.values()) for pair in pairs)
    assert counts == dict.fromkeys(product((-1, 0, 1), repeat=3), 2)
    assert pairs == judges.make_pairs(3, 2)
    assert pairs != judges.make_pairs(4, 2)
    assert len({pair.prompt.id for pair in pairs}) == len(pairs)
    assert all(pair.first != pair.second for pair in pairs)


def test_the_levels_are_what_they_are_called() -> None:
    """Truth can be read off the records in the prompt; length and form are seen in the texts."""
    for pair in judges.make_pairs(0, 1):
        records = pair.prompt.messages[0].content
        kind = pair.prompt.id.split("/")[1]
        fact = first_value(records, kind)
        assert fact in ATTRIBUTES[kind]
        texts = (pair.first, pair.second)
        right = [fact.lower() in text.lower() for text in texts]
        words = [len(text.split()) > 30 for text in texts]
        good = [text.startswith("Good question!") for text in texts]
        found = {"truth": right, "length": words, "form": good}
        assert {name: int(a) - int(b) for name, (a, b) in found.items()} == dict(pair.better)


def test_rules_lie_at_the_ends_of_the_scale(tmp_path: Path) -> None:
    table = _cells(bench(BenchSettings(part="judges", out=tmp_path, repeats=2))[0])
    assert next(iter(table)) == "the oracle"
    assert table["the oracle"][:2] == ["100.0 %", "100.0 %"]
    assert table["the longer one"][2] == "+100.0"
    assert table["the better form"][3] == "+100.0"
    assert table["the one shown first"][4] == "+100.0"
    assert table["the oracle"][4] == "0.0"
    assert table["the longer one"][0].startswith("50.0 % [")
    assert (tmp_path / "judges.md").read_text().startswith("# Benchmark: judges, seed 0")


def test_a_judge_behind_a_url_is_measured_and_its_file_scores_the_same(tmp_path: Path) -> None:
    """A server that prefers the longer answer comes out as what it is; its file of verdicts is a submission like any other."""
    settings = BenchSettings(part="judges", out=tmp_path, repeats=1)
    with serving(Rule(margin=60)) as address:
        asked = settings.model_copy(update={"judge": (f"{address}/v1#rule-judge",)})
        table = _cells(bench(asked)[0])
    (name,) = [name for name in table if name.startswith("judge:rule-judge")]
    assert table[name][2] == "+100.0"
    assert table[name][5:] == ["54", "0"]
    verdicts = next(tmp_path.glob("judges-v1-*/study/preferences.jsonl"))
    (tmp_path / "mine.jsonl").write_bytes(verdicts.read_bytes())
    again = settings.model_copy(update={"submission": (tmp_path / "mine.jsonl",)})
    table = _cells(bench(again)[0])
    assert table["mine"] == table[name]
    with pytest.raises(LimaError, match="is no comparison of this set"):
        bench(again.model_copy(update={"seed": 1}))


@pytest.mark.parametrize(
    ("part", "plan"),
    [
        ("judges", "54 pairs, and 108 calls of judge models"),  # 27 crossings twice, in both orders
        ("estimators", "1,600 simulated studies"),  # 8 kinds of 200
        ("selectors", "3 choices to tune on and to ask 150 questions each"),
    ],
)
def test_a_dry_run_says_what_would_be_done(
    part: Literal["judges", "estimators", "selectors"],
    plan: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "bench"
    judge = ("http://127.0.0.1:9/v1#nobody",)
    assert bench(BenchSettings(part=part, out=out, repeats=2, judge=judge, dry_run=True)) == []
    assert capsys.readouterr().err == f"{plan}; nothing was written\n"
    assert not out.exists()


def test_missing_verdicts_count_nowhere() -> None:
    pairs = judges.make_pairs(0, 1)
    seated = {pair.prompt.id: judges.Seat(pair, 1) for pair in pairs}
    rows = judges.rule_verdicts(judges.RULES["the oracle"], seated, "o")
    lost = [row.model_copy(update={"label": None, "status": "refused"}) for row in rows[:10]]
    found = judges.score("o", [*lost, *rows[10:]], seated)
    assert (found.verdicts, found.missing) == (44, 10)
    assert isinstance(found.right, Estimate)
    assert found.right.value == 1.0
    with pytest.raises(LimaError, match="no verdict to score among 10 rows"):
        judges.score("o", lost, seated)
    assert all(isinstance(row, Preference) for row in rows)


def test_simulated_studies_have_the_rate_and_the_likeness_they_are_called_by() -> None:
    """Means and variances over 2,000 studies of the fourth kind: 20 prompts, 5 votes, 85 %, correlation 0.3."""
    kind = estimators.KINDS[3]
    studies = estimators.make_studies(0, 400)[kind.name]
    assert studies == estimators.make_studies(0, 400)[kind.name]
    shares = [won / votes for study in studies for won, votes in study.votes]
    mean = sum(shares) / len(shares)
    variance = sum((x - mean) ** 2 for x in shares) / len(shares)
    expected = kind.rate * (1 - kind.rate) * (1 + (kind.votes - 1) * kind.alike) / kind.votes
    assert mean == pytest.approx(kind.rate, abs=0.015)
    assert variance == pytest.approx(expected, rel=0.1)


def test_coverage_width_and_loss_by_hand() -> None:
    """Three studies, truth 0.5: one interval holds it, one lies 0.1 above it, one is missing and counts as [0, 1]."""
    studies = [estimators.SimulatedStudy(study=str(n), votes=((1, 2),)) for n in range(3)]
    found = estimators.score({"0": (0.4, 0.6), "1": (0.6, 0.8)}, studies, 0.5)
    assert found.covered == wilson(2, 3)
    assert found.width == pytest.approx((0.2 + 0.2 + 1) / 3)
    assert found.loss == pytest.approx((0.2 + 0.2 + 40 * 0.1 + 1) / 3)
    assert found.without == 1


def test_a_submission_of_intervals_stands_in_the_leaderboard(tmp_path: Path) -> None:
    settings = BenchSettings(part="estimators", out=tmp_path, studies=10)
    studies = [one for part in estimators.make_studies(0, 10).values() for one in part]
    rows = [estimators.Interval(study=one.study, low=0.0, high=1.0) for one in studies]
    write_jsonl(tmp_path / "always.jsonl", rows)
    totals, kinds = bench(settings.model_copy(update={"submission": (tmp_path / "always.jsonl",)}))
    assert _cells(totals)["always"][0] == "100.0 %"
    assert _cells(totals)["always"][2:] == ["1.00", "1.00", "0"]
    assert len(kinds.rows) == 8 * 6
    write_jsonl(tmp_path / "always.jsonl", [estimators.Interval(study="99-0000", low=0, high=1)])
    with pytest.raises(LimaError, match="'99-0000' is no study of this set"):
        bench(settings.model_copy(update={"submission": (tmp_path / "always.jsonl",)}))


@pytest.fixture(scope="module")
def pool(world: World) -> list[Example]:
    """The pool of seed 0."""
    data = DataSettings(examples=CHOSEN, pool=POOL, styles=STYLES, zipf=ZIPF, copies=COPIES)
    return make_pool(world, data, 0)


def test_the_ends_of_the_scale_of_selectors(pool: list[Example], oracle: Oracle) -> None:
    choices = selectors._built_in(pool, oracle, 0)
    assert {name: len(rows) for name, rows in choices.items()} == dict.fromkeys(choices, CHOSEN)
    best = choices["the oracle"]
    assert all(selectors.is_good(one, oracle) for one in best)
    assert len({one.messages for one in best}) == CHOSEN
    lengths = [len(one.messages[-1].content) for one in pool]
    assert sum(len(one.messages[-1].content) for one in choices["the longest"]) == sum(
        sorted(lengths)[-CHOSEN:]
    )


def test_a_choice_has_to_be_of_the_pool(pool: list[Example], tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, pool[5:2:-1])
    assert selectors._submitted(path, pool) == pool[3:6]
    for rows, words in (
        ([pool[0].model_copy(update={"id": "x"})], "'x' is no row of this pool"),
        ([pool[0].model_copy(update={"messages": pool[1].messages})], "is no row of this pool"),
        (pool[: CHOSEN + 1], "129 rows, 129 of them different"),
        ([pool[0], pool[0]], "2 rows, 1 of them different"),
        ([], "the file is empty"),
    ):
        write_jsonl(path, rows)
        with pytest.raises(LimaError, match=words):
            selectors._submitted(path, pool)


def test_the_board_of_selectors_by_hand(pool: list[Example], oracle: Oracle) -> None:
    """Four people, two questions each: one choice gets all right, the random one half."""
    marks = {selectors.RANDOM: [True, False] * 4, "mine": [True] * 8}
    choices = {selectors.RANDOM: pool[:3], "mine": [pool[0], pool[0]]}
    table = _cells(selectors.leaderboard(marks, choices, [name for name in "abcd" for _ in "12"], oracle))
    assert list(table) == ["mine", selectors.RANDOM]
    assert table["mine"][1].startswith("+50.0 [")
    assert table["mine"][2] == "2"
    assert table["mine"][4] == "1"


@pytest.mark.acceptance
def test_selectors_are_told_apart(tmp_path: Path) -> None:
    """Tunes three times (a minute each): the oracle's choice beats a random one, which beats the longest; the second call tunes nothing."""
    settings = BenchSettings(part="selectors", out=tmp_path, questions=50)
    table = _cells(bench(settings)[0])
    assert list(table) == ["the oracle", selectors.RANDOM, "the longest"]
    assert "+" in table["the oracle"][1]
    assert len(list(read_jsonl(next(tmp_path.glob("*/pool.jsonl")), Example))) == POOL
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
    assert _cells(bench(settings)[0]) == table
    assert {path: path.stat().st_mtime_ns for path in made} == made
