"""Published figures by the commands a reader would type: ``lima import``, then ``lima report`` (data: env LIMA_DATA)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lima.files import read_json
from lima.formats.convert import import_file
from lima.formats.settings import ImportSettings
from lima.report.report import report
from lima.report.settings import ReportSettings

DATA = Path(os.environ["LIMA_DATA"]) / "preferences" if "LIMA_DATA" in os.environ else None
needs_data = pytest.mark.skipif(DATA is None, reason="set LIMA_DATA to the folder of real data")


def data(name: str) -> Path:
    assert DATA is not None
    return DATA / name


def reported(tmp_path: Path, kind: str, files: Sequence[Path], **narrow: Any) -> dict[str, Any]:
    """The numbers of ``lima import`` and ``lima report`` on published files."""
    import_file(ImportSettings(format=kind, files=tuple(files), out=tmp_path / "study", **narrow))
    report(ReportSettings(study=tmp_path / "study", rounds=200))
    found = read_json(tmp_path / "study" / "report.json")
    assert isinstance(found, dict)
    return found


@needs_data
@pytest.mark.parametrize(("folder", "rate", "error"), [
    ("vicuna-13b", 70.43478260869566, 1.6069688407799696),
    ("alpaca-7b_weighted", 2.591450540223603, 0.4870855382635108),
])  # fmt: skip
def test_alpaca_eval_by_the_commands(tmp_path: Path, folder: str, rate: float, error: float) -> None:
    """The leaderboard's win rate and standard error, of weighted verdicts too."""
    numbers = reported(tmp_path, "alpaca-eval", [data(f"alpaca_eval/{folder}/annotations.json")])
    score = numbers["findings"][0]["results"][0]["result"]["score"]
    assert 100 * score["value"] == pytest.approx(rate, abs=1e-6)
    assert 100 * score["standard_error"] == pytest.approx(error, abs=1e-6)
    assert "exploratory" in (tmp_path / "study" / "report.html").read_text()


@needs_data
def test_tulu_first_votes_by_the_commands(tmp_path: Path) -> None:
    """Win shares and acceptance over the first vote on each instance of one pair."""
    table = data("tulu1/eval_annotations_tulu_1.xlsx")
    numbers = reported(tmp_path, "tulu", [table], votes=1, systems=("chatgpt", "tulu_65B"))
    result = numbers["findings"][0]["results"][0]["result"]
    shares = [round(100 * result[kind]["value"], 2) for kind in ("win", "tie", "loss")]
    assert (result["n"], shares) == (332, [39.16, 33.13, 27.71])
    accepted = {row["system"]: round(100 * row["shares"]["pass"]["value"], 2) for row in numbers["quality"]}
    assert accepted == {"chatgpt": 90.06, "tulu_65B": 79.22}


@needs_data
@pytest.mark.parametrize(("systems", "strict", "discounted", "n"), [
    (("chatgpt", "tulu_65B"), 0.5556, 0.6825, 63), (("tulu_65B", "tulu_7B"), 0.6071, 0.75, 56), ((), 0.5785, 0.7149, 121),
])  # fmt: skip
def test_tulu_agreement_by_the_commands(
    tmp_path: Path, systems: tuple[str, ...], strict: float, discounted: float, n: int
) -> None:
    table = data("tulu1/eval_annotations_tulu_1.xlsx")
    (cell,) = reported(tmp_path, "tulu", [table], votes=2, systems=systems)["agreement"]
    found = (round(cell["strict"]["value"], 4), round(cell["accuracy"]["value"], 4), cell["items"])
    assert found == (strict, discounted, n)


@needs_data
def test_pandalm_by_the_commands(tmp_path: Path) -> None:
    numbers = reported(tmp_path, "pandalm", [data("pandalm/testset-v1.json")])
    assert sorted(round(row["kappa"]["value"], 3) for row in numbers["rater_pairs"]) == [0.852, 0.862, 0.879]
    assert numbers["majority"]["counts"] == {"a": 422, "b": 472, "tie": 105, "none": 0}


@needs_data
def test_cherry_by_the_commands(tmp_path: Path) -> None:
    files = [data(f"cherry_llm/lima_wrap_reviews_{judge}.json") for judge in ("gpt4", "gpt3.5")]
    numbers = reported(tmp_path, "cherry", files)
    follows = {
        row["group"]: row["bias"]["follows_first"] + row["bias"]["follows_second"] for row in numbers["bias"]
    }
    assert follows == {"judge:gpt4": 41, "judge:gpt3.5": 210}
