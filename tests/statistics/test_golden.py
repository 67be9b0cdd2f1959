"""Published figures from published verdicts, through the importers and the statistics (data: env LIMA_DATA).

Recipes and targets: README of the data folder, section preferences.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from scipy import stats

from lima.formats.imported import ImportedStudy, PublishedRow, read_sheet
from lima.formats.mapping import read_map
from lima.formats.settings import StudyFormat
from lima.formats.studies import read_study
from lima.formats.votes import time_of
from lima.records import Label, Preference
from lima.statistics.agreement import Rated, group_agreement, tie_discounted_accuracy
from lima.statistics.bias import Showing, bias
from lima.statistics.bootstrap import Resampling
from lima.statistics.estimates import Estimate, Significance
from lima.statistics.intervals import clustered_mean, wilson
from lima.statistics.preferences import win_tie_loss
from lima.statistics.reliability import cohen_kappa
from lima.statistics.significance import sign_test

DATA = Path(os.environ["LIMA_DATA"]) / "preferences" if "LIMA_DATA" in os.environ else None
needs_data = pytest.mark.skipif(DATA is None, reason="set LIMA_DATA to the folder of real data")
FEW = Resampling(rounds=500)


def data(name: str) -> Path:
    assert DATA is not None
    return DATA / name


def published(kind: StudyFormat, *names: str) -> ImportedStudy:
    return read_study(kind, [data(name) for name in names])


def voted_at(row: PublishedRow) -> str:
    return time_of(row["timestamp"]) or ""


def value_of(result: object) -> float:
    assert isinstance(result, Estimate), result
    return result.value


# -- AlpacaEval ----------------------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize(
    ("folder", "win_rate", "error"),
    [
        ("vicuna-13b", 70.43478260869566, 1.6069688407799696),
        ("text_davinci_001", 15.17412935323383, 1.235107892276849),
        ("alpaca-7b_weighted", 2.591450540223603, 0.4870855382635108),
    ],
)
def test_alpaca_eval_leaderboard(folder: str, win_rate: float, error: float) -> None:
    """Win rate and standard error (ddof 1) as the leaderboards print them, to 1e-6."""
    study = published("alpaca-eval", f"alpaca_eval/{folder}/annotations.json")
    own = {"a": 0.0, "tie": 0.5, "b": 1.0}
    scores = [own[r.label] if r.credit is None else 1 - r.credit for r in study.preferences if r.label]
    mean = clustered_mean(scores, range(len(scores)))
    assert isinstance(mean, Estimate)
    half = (mean.interval[1] - mean.interval[0]) / 2
    assert 100 * mean.value == pytest.approx(win_rate, abs=1e-6)
    assert 100 * half / stats.t.ppf(0.975, len(scores) - 1) == pytest.approx(error, abs=1e-6)


@needs_data
@pytest.mark.parametrize(("folder", "counts", "missing"), [
    ("vicuna-13b", {"win": 566, "tie": 2, "loss": 237}, 0),
    ("text_davinci_001", {"win": 112, "tie": 20, "loss": 672}, 1),
])  # fmt: skip
def test_alpaca_eval_counts(folder: str, counts: dict[str, int], missing: int) -> None:
    """The leaderboard's n_wins, n_draws and n_wins_base; the null verdict is missing, no tie."""
    study = published("alpaca-eval", f"alpaca_eval/{folder}/annotations.json")
    words = {"b": "win", "a": "loss", "tie": "tie"}
    found = Counter(words[row.label] for row in study.preferences if row.label)
    assert found == counts
    assert sum(row.label is None for row in study.preferences) == missing
    summary = win_tie_loss([words[r.label] for r in study.preferences if r.label], range(805 - missing))  # type: ignore[misc]
    if folder == "vicuna-13b":
        assert value_of(summary.score) == pytest.approx(0.7043478260869566)


# -- PandaLM -------------------------------------------------------------------------------------------


@needs_data
def test_pandalm_kappas_and_label_counts() -> None:
    study = published("pandalm", "pandalm/testset-v1.json")
    labels: dict[str, list[Label]] = defaultdict(list)
    for row in study.preferences:
        assert row.label is not None
        labels[row.rater].append(row.label)
    one, two, three = (labels[f"crowd:annotator{i}"] for i in (1, 2, 3))
    kappas = [
        value_of(cohen_kappa(x, y, ["a", "b", "tie"])) for x, y in ((one, two), (one, three), (two, three))
    ]
    assert sorted(round(kappa, 3) for kappa in kappas) == [0.852, 0.862, 0.879]
    majority = Counter(Counter(votes).most_common(1)[0][0] for votes in zip(one, two, three, strict=True))
    assert majority == {"tie": 105, "a": 422, "b": 472}


@needs_data
def test_pandalm_judges() -> None:
    """25 replies of GPT-3.5 hold no verdict: unparsable, not ties."""
    files = ("testset-v1", "gpt-3.5-turbo-testset-v1", "pandalm-7b-testset-v1")
    study = published("pandalm", *(f"pandalm/{name}.json" for name in files))
    judged = [row for row in study.preferences if row.rater == "judge:gpt-3.5-turbo"]
    assert Counter(row.status for row in judged) == {"ok": 974, "unparsable": 25}
    assert Counter(row.label for row in judged) == {"b": 476, "a": 460, "tie": 38, None: 25}


# -- Tulu 1 --------------------------------------------------------------------------------------------


def earliest(
    rows: Sequence[PublishedRow], models: frozenset[str] | None
) -> dict[tuple[str, frozenset[str]], list[PublishedRow]]:
    """The counted votes by instance, oldest first: the newest row of each (evaluator, instance_index)."""
    counted: dict[tuple[str, str], PublishedRow] = {}
    for row in sorted((row for row in rows if row.get("id")), key=voted_at):
        counted[row["evaluator"], row["instance_index"]] = row
    assert len(counted) == 1141
    table: dict[tuple[str, frozenset[str]], list[PublishedRow]] = defaultdict(list)
    for row in sorted(counted.values(), key=voted_at):
        pair = frozenset((row["model_a"], row["model_b"]))
        if models is None or pair == models:
            table[row["instance_id"], pair].append(row)
    return table


CHATGPT = frozenset(("chatgpt", "tulu_65B"))
SIZES = frozenset(("tulu_65B", "tulu_7B"))


def label_for(row: PublishedRow) -> Label:
    """The vote in the frame of the two names in their order."""
    side = read_map("tulu").verdicts[0].choices[row["preference"]]
    return side if side == "tie" or row["model_a"] < row["model_b"] else "b" if side == "a" else "a"


@needs_data
@pytest.mark.parametrize(("pairs", "strict", "discounted", "n"), [
    ([CHATGPT], 0.5556, 0.6825, 63), ([SIZES], 0.6071, 0.75, 56), (None, 0.5785, 0.7149, 121),
])  # fmt: skip
def test_tulu_agreement(pairs: list[frozenset[str]] | None, strict: float, discounted: float, n: int) -> None:
    """Strict and tie-discounted agreement of the two earliest votes of each instance."""
    rows = read_sheet(data("tulu1/eval_annotations_tulu_1.xlsx"))
    first, second, rated = [], [], []
    for (instance, pair), votes in earliest(rows, None).items():
        if len(votes) >= 2 and (pairs is None or pair in pairs):
            first.append(label_for(votes[0]))
            second.append(label_for(votes[1]))
            rated += [Rated((instance, pair), instance, f"vote {k}", label_for(votes[k])) for k in range(2)]
    assert len(first) == n
    assert round(tie_discounted_accuracy(first, second), 4) == discounted
    cell = group_agreement({"crowd": rated}, "crowd", "crowd", resampling=FEW)
    assert (round(value_of(cell.strict), 4), round(value_of(cell.accuracy), 4)) == (strict, discounted)
    assert cell.chance is not None
    assert 0.4 < cell.chance < strict + 0.05


@needs_data
def test_tulu_win_shares_and_acceptance() -> None:
    """Shares of chatgpt against tulu_65B over the earliest votes of 332 instances: 39.16 / 33.13 / 27.71 %."""
    votes = [
        found[0]
        for found in earliest(read_sheet(data("tulu1/eval_annotations_tulu_1.xlsx")), CHATGPT).values()
    ]
    outcomes = [{"a": "win", "b": "loss", "tie": "tie"}[label_for(row)] for row in votes]
    summary = win_tie_loss(outcomes, [row["instance_id"] for row in votes])  # type: ignore[arg-type]
    assert summary.n == 332
    shares = [round(100 * value_of(x), 2) for x in (summary.win, summary.tie, summary.loss)]
    assert shares == [39.16, 33.13, 27.71]
    for model, published in (("chatgpt", 90.06), ("tulu_65B", 79.22)):
        yes = sum(
            row[f"completion_{'a' if row['model_a'] == model else 'b'}_is_acceptable"] == "yes"
            for row in votes
        )
        assert round(100 * value_of(wilson(yes, len(votes))), 2) == published


@needs_data
def test_tulu_import_supersedes_nine_votes() -> None:
    """1,150 votes, of which 1,141 count."""
    study = published("tulu", "tulu1/eval_annotations_tulu_1.xlsx")
    gone = {row.supersedes for row in study.preferences} - {None}
    assert (len(study.preferences), len(gone)) == (1150, 9)
    assert {row.rater for row in study.preferences} >= {"crowd:se", "crowd:yi"}


# -- Cherry --------------------------------------------------------------------------------------------


def showings(rows: Sequence[Preference]) -> list[Showing]:
    return [Showing(row.comparison_id, row.comparison_id, row.shown, row.label) for row in rows if row.label]


@needs_data
@pytest.mark.parametrize(("judge", "follows"), [("gpt4", 41), ("gpt3.5", 210)])
def test_cherry_judges_follow_the_position(judge: str, follows: int) -> None:
    study = published("cherry", f"cherry_llm/lima_wrap_reviews_{judge}.json")
    found = bias(showings([row for row in study.preferences if row.rater == f"judge:{judge}"]))
    assert found.follows_first + found.follows_second == follows
    assert isinstance(found.flip, Estimate)
    assert (found.flip.n, round(300 * found.flip.value)) == (300, follows)


# -- the paper's own arithmetic ------------------------------------------------------------------------


def test_the_papers_counts() -> None:
    """25/19/6 of 50, 9/7/4 of 20, 24/30, 6/10, 35/10/1 of 46 and 7-3-0, as the paper prints them."""
    shares = {(25, 50): 50, (19, 50): 38, (6, 50): 12, (9, 20): 45, (7, 20): 35, (4, 20): 20, (24, 30): 80}
    for (count, n), printed in shares.items():
        assert round(100 * value_of(wilson(count, n))) == printed
    turns = [round(100 * value_of(wilson(count, 46)), 1) for count in (35, 10, 1)]
    assert turns == [76.1, 21.7, 2.2]
    dialogues = sign_test([1] * 7 + [0] * 3)
    assert isinstance(dialogues, Significance)
    assert round(dialogues.p, 3) == 0.016
