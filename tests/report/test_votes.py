"""Who is counted with whom, which rows count, and what an incomplete pair is."""

from dataclasses import replace
from pathlib import Path

from lima.records import Comparison, Key, Label, Message, Origin, Preference, Rater, Shown
from lima.report.numbers.preferences import findings, in_short, pair_results
from lima.report.numbers.raters import coverages
from lima.report.numbers.study import StudyData, newest
from lima.report.numbers.votes import collect_votes, raters_with_both_orders


def row(
    name: str, rater: str, shown: Shown, label: Label | None, supersedes: str | None = None
) -> Preference:
    return Preference(
        id=name, comparison_id="c1", rater=rater, shown=shown, label=label,
        status="ok" if label else "error", supersedes=supersedes,
    )  # fmt: skip


def study(rows: list[Preference], raters: list[Rater] | None = None) -> StudyData:
    """One comparison, the tuned system on side b."""
    origins = [Origin(system=name, completion_id=name) for name in ("base", "tuned")]
    return StudyData(
        folder=Path("study"),
        protocol={},
        comparisons={"c1": Comparison(id="c1", messages=(Message(role="user", content="?"),), a="x", b="y")},
        items={},
        keys={"c1": Key(id="c1", prompt_id="p1", a=origins[0], b=origins[1])},
        preferences=rows,
        grades=[],
        raters={rater.id: rater for rater in raters or []},
        replaced=0,
        sources=[],
        named_systems=["tuned", "base"],
        models={},
        lineages={},
        plan=None,
        changes=[],
    )


def outcomes(rows: list[Preference], raters: list[Rater] | None = None) -> list[str | None]:
    return [vote.outcome for vote in collect_votes(study(rows, raters), ["tuned", "base"])]


def test_side_b_is_the_tuned_system() -> None:
    assert outcomes([row("1", "crowd:01", "ab", "b")]) == ["win"]
    assert outcomes([row("1", "crowd:01", "ba", "a")]) == ["loss"]


def test_two_orders_of_a_judge_are_one_vote_and_a_missing_one_is_missing() -> None:
    assert outcomes([row("1", "judge:m@1", "ab", "b"), row("2", "judge:m@1", "ba", "b")]) == ["win"]
    assert outcomes([row("1", "judge:m@1", "ab", "b"), row("2", "judge:m@1", "ba", "a")]) == ["tie"]
    assert outcomes([row("1", "judge:m@1", "ab", "b"), row("2", "judge:m@1", "ba", None)]) == [None]


def test_a_lone_order_is_whole_unless_the_judge_says_both() -> None:
    alone = [row("1", "judge:m@1", "ab", "b")]
    both = Rater(id="judge:m@1", kind="judge", settings={"order": "both"})
    random = Rater(id="judge:m@1", kind="judge", settings={"order": "random"})
    assert outcomes(alone) == outcomes(alone, [random]) == ["win"]
    assert outcomes(alone, [both]) == [None]
    assert raters_with_both_orders(study(alone, [both])) == {"judge:m@1"}


def test_judges_with_different_settings_stay_apart_and_people_are_pooled() -> None:
    rows = [row(str(i), rater, "ab", "b") for i, rater in enumerate(
        ["judge:m@1", "judge:m@2", "crowd:01", "crowd:02", "author:01"])]  # fmt: skip
    groups = [vote.group for vote in collect_votes(study(rows), ["tuned", "base"])]
    assert groups == ["crowd", "crowd", "author", "judge:m@1", "judge:m@2"]


def test_newest_rows_count() -> None:
    """1 is superseded by 2, 2 by 3; 4 and 5 are the same place, the later one counts."""
    rows = [
        row("1", "crowd:01", "ab", "a"), row("2", "crowd:01", "ba", "b", "1"),
        row("3", "crowd:01", "ab", "tie", "2"), row("4", "crowd:02", "ab", "a"),
        row("5", "crowd:02", "ab", "b"),
    ]  # fmt: skip
    assert [r.id for r in newest(rows, lambda r: (r.comparison_id, r.rater, r.shown, r.repeat))] == ["3", "5"]


def test_coverage_of_people_counts_what_they_saw() -> None:
    rows = [row("1", "crowd:01", "ab", "a"), row("2", "judge:m@1", "ab", None)]
    found = {
        entry.group: entry for entry in coverages(study(rows), collect_votes(study(rows), ["tuned", "base"]))
    }
    assert found["crowd"].share == 1
    assert (found["judge:m@1"].covered, found["judge:m@1"].texts, found["judge:m@1"].share) == (0, 1, 0)


def sentence(rows: list[Preference]) -> str:
    """Sixty copies of the rows, each for a prompt of its own."""
    one = collect_votes(study(rows), ["tuned", "base"])
    many = [replace(vote, prompt=f"p{i}") for i in range(60) for vote in one]
    noisy = [replace(vote, outcome="tie") if vote.prompt in ("p1", "p2") else vote for vote in many]
    (finding,) = findings(pair_results(noisy, 0.95), ["tuned", "base"])
    return finding.sentence


def test_the_verdict_in_a_sentence() -> None:
    win, loss = row("1", "crowd:01", "ab", "b"), row("2", "judge:m@1", "ab", "a")
    tie = row("3", "author:01", "ab", "tie")
    assert sentence([win]) == "tuned is preferred to base by the crowd."
    assert sentence([loss]) == "base is preferred to tuned by judge m."
    assert sentence([tie]) == "The verdicts of the authors cannot tell tuned and base apart."
    assert (
        sentence([win, tie]) == "tuned is preferred to base by the crowd; the authors cannot tell them apart."
    )
    assert sentence([win, loss, tie]) == (
        "Raters contradict each other on tuned against base: the crowd for tuned; judge m for base; "
        "the authors cannot tell them apart."
    )


def test_raters_who_cannot_tell_are_named_together() -> None:
    win = row("1", "crowd:01", "ab", "b")
    ties = [
        row("2", "author:01", "ab", "tie"),
        row("3", "judge:m@1", "ab", "tie"),
        row("4", "judge:n@1", "ab", "tie"),
    ]
    votes = collect_votes(study([win, *ties]), ["tuned", "base"])
    many = [replace(vote, prompt=f"p{i}") for i in range(60) for vote in votes]
    names = {"crowd": "crowd", "author": "author", "judge:m@1": "judge m", "judge:n@1": "judge n"}
    assert in_short(findings(pair_results(many, 0.95), ["tuned", "base"]), "tuned", names) == [
        "tuned is preferred to base by the crowd.",
        "The authors, judge m and judge n cannot tell tuned from any of 1 systems.",
    ]
