"""What the report says before any number, ties of two kinds, and intervals that never contradict their sentence."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.test_votes import row, study

from lima.files import read_json, read_jsonl, write_json, write_jsonl
from lima.records import Comparison, Item, Key, Preference, Status
from lima.report.numbers.preferences import direction, findings, pair_results, seen_from, side
from lima.report.numbers.rater_pairs import _plain
from lima.report.numbers.votes import Vote, collect_votes
from lima.report.report import report
from lima.report.settings import ReportSettings
from lima.statistics.estimates import Estimate, Significance, Undefined
from lima.statistics.preferences import CREDITS, Outcome
from lima.statistics.significance import holm, holm_step


def vote(prompt: int, outcome: Outcome, *, consistent: bool | None = None, baseline: str = "base") -> Vote:
    (one,) = collect_votes(study([row("1", "judge:m@1", "ab", "b")]), ["tuned", "base"])
    return replace(
        one, prompt=f"p{prompt}", comparison=f"c{prompt}-{baseline}", outcome=outcome, label="tie",
        consistent=consistent, baseline=baseline, credit=CREDITS[outcome],
    )  # fmt: skip


def test_said_ties_and_disagreeing_orders_are_two_things() -> None:
    """Of ten pairs: three wins, two ties said twice, four pairs whose orders disagree, one loss."""
    rows = [vote(k, "win", consistent=True) for k in range(3)]
    rows += [vote(k, "tie", consistent=True) for k in (3, 4)]
    rows += [vote(k, "tie", consistent=False) for k in (5, 6, 7, 8)]
    (pair,) = pair_results([*rows, vote(9, "loss", consistent=True)], 0.95)
    parts = (pair.result.win, pair.said_tie, pair.disagree, pair.result.loss)
    assert [part.value for part in parts if isinstance(part, Estimate)] == pytest.approx([0.3, 0.2, 0.4, 0.1])
    (single,) = pair_results([vote(k, "tie") for k in range(10)], 0.95)
    assert isinstance(single.disagree, Undefined)
    assert isinstance(single.said_tie, Estimate)
    assert single.said_tie.value == 1


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 12), st.integers(0, 25)), min_size=1, max_size=5)
)
def test_interval_sentence_and_p_never_contradict(counts: list[tuple[int, int, int]]) -> None:
    votes: list[Vote] = []
    for k, (wins, ties, losses) in enumerate(counts):
        outcomes: list[Outcome] = [*["win"] * wins, *["tie"] * ties, *["loss"] * losses]  # type: ignore[list-item]
        votes += [vote(number, outcome, baseline=f"b{k}") for number, outcome in enumerate(outcomes)]
    pairs = pair_results(votes, 0.95)
    systems = ["tuned", *(f"b{k}" for k in range(5))]
    sentences = {finding.baseline: finding for finding in findings(pairs, systems)}
    for pair in pairs:
        if not isinstance(pair.gap, Estimate) or pair.gap.low is None:
            continue
        low, high = pair.gap.interval
        sign = 1 if low > 0 else -1 if high < 0 else 0
        assert sign == direction(pair)
        finding = sentences[pair.baseline]
        assert finding.named == (pair.baseline if sign < 0 else "tuned")
        assert ("cannot tell" in finding.sentence) == (sign == 0)
        shown = seen_from(pair.gap, finding.named, pair.system)
        assert isinstance(shown, Estimate)
        assert (
            side(pair, finding.named) == abs(sign) == (shown.interval[0] > 0)
        )  # the colour beside this number
        assert low <= pair.gap.value <= high


def test_the_step_of_holm() -> None:
    """.01 against .05 / 3 is rejected, .03 against .05 / 2 is not: the third stands where the second does."""
    family = holm([Significance(p, 0, 9, "") for p in (0.03, 0.01, 0.2)])
    assert [holm_step(test, family, 0.05) for test in family] == [2, 3, 2]


def test_names_of_one_model() -> None:
    for name in (
        "gpt-4o",
        "openai/gpt-4o",
        "http://x/v1#openai/gpt-4o-2024-08-06",
        "GPT-4o-latest",
        "gpt-4o-0806",
    ):
        assert _plain(name) == "gpt-4o", name
    for group in (
        (
            "anthropic/claude-3.5-sonnet:beta",
            "claude-3-5-sonnet-20241022",
            "us.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        (
            "bartowski/Qwen2.5-7B-Instruct-GGUF",
            "qwen2.5-7b-instruct-q4_k_m.gguf",
            "Qwen/Qwen2.5-7B-Instruct-AWQ",
        ),
        ("models/gemini-2.5-pro-preview-05-06", "gemini-2.5-pro", "google/gemini-2.5-pro:free"),
    ):
        assert len({_plain(name) for name in group}) == 1, group
    assert _plain("gpt-4o-mini-2024-07-18") == "gpt-4o-mini"
    assert _plain("Qwen2.5-7B-Instruct") != _plain("Qwen2.5-72B-Instruct") != _plain("Qwen2-72B-Instruct")
    assert _plain("llama-3.1-70b") != _plain("llama-3.3-70b")
    assert _plain("deepseek-v3") != _plain("deepseek-v2")


def warnings(folder: Path) -> str:
    return "\n".join(report(ReportSettings(study=folder, rounds=200)).warnings)


def test_a_study_without_oddities_has_no_caution_but_its_own(study: Path) -> None:
    said = warnings(study)
    for word in ("empty", "repeat the prompt", "all the same", "no pair"):
        assert word not in said, said


def test_cautions_name_what_is_odd(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = list(read_jsonl(study / "preferences.jsonl", Preference))
    judged = [r for r in rows if r.rater.startswith("judge:")]
    status: Status = "echo"
    echoes = [r.model_copy(update={"label": None, "status": status}) for r in judged[:3]]
    first = [r.model_copy(update={"label": r.shown[0], "status": "ok"}) for r in judged[3:] if r.shown]
    people = [r for r in rows if not r.rater.startswith("judge:")]
    write_jsonl(study / "preferences.jsonl", [*echoes, *first, *people])
    items = list(read_jsonl(study / "items.jsonl", Item))
    write_jsonl(study / "items.jsonl", [items[0].model_copy(update={"content": " \n"}), *items[1:]])
    described = read_json(study / "systems.json")
    described["systems"][0]["cut_off"] = 3
    write_json(study / "systems.json", described)
    gone = next(read_jsonl(study / "comparisons.jsonl", Comparison)).id
    for name, kind in (("comparisons", Comparison), ("key", Key)):
        kept = [r for r in read_jsonl(study / f"{name}.jsonl", kind) if r.id != gone]  # type: ignore[attr-defined]
        write_jsonl(study / f"{name}.jsonl", kept)
    kept_rows = [r for r in read_jsonl(study / "preferences.jsonl", Preference) if r.comparison_id != gone]
    write_jsonl(study / "preferences.jsonl", kept_rows)
    said = warnings(study)
    assert "replies only repeat the prompt" in said
    assert "verdicts are the same (first shown)" in said
    assert "the two orders disagree" in said
    assert "1 of 40 answers are empty" in said
    assert f"{described['systems'][0]['name']}: 3 of 40 answers are cut off at the limit of tokens" in said
    assert "1 of 40 prompts have no pair of answers" in said
    assert "answers are empty" in " ".join(capfd.readouterr().err.split())


def test_against_is_in_the_terminal(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report(ReportSettings(study=study, against=study, rounds=200))
    shown = " ".join(capfd.readouterr().out.split())
    assert "Against tuned-vs-base: tuned" in shown
    assert "difference" in shown
