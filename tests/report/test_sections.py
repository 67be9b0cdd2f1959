"""Sections beyond the main table: ranking, equal length, worst of K, another study, tables for papers."""

import shutil
from pathlib import Path

import pytest
from scipy import stats

from lima.files import read_jsonl, write_jsonl
from lima.records import SCALE_VALUES, Preference
from lima.report.numbers.against import StudySide, differences
from lima.report.numbers.preferences import pair_results, posteriors, rankings
from lima.report.numbers.rater_pairs import majority
from lima.report.numbers.raters import RaterCard, alt_tests, has_list, rater_cards
from lima.report.numbers.ratings import Rating, worst_of_k
from lima.report.numbers.study import read_study
from lima.report.numbers.votes import Vote, group_of
from lima.report.render.tables import TextTable, latex, markdown
from lima.report.render.wording import by_whom
from lima.report.report import report
from lima.report.settings import ReportSettings
from lima.statistics.alt_test import AltTest
from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.preferences import CREDITS, Outcome


def vote(prompt: str, outcome: Outcome | None, baseline: str = "base", rater: str = "crowd:01") -> Vote:
    label = {"win": "a", "loss": "b", "tie": "tie", None: None}[outcome]
    return Vote(
        comparison=f"{prompt}-{baseline}", prompt=prompt, group=rater.split(":")[0], rater=rater, repeat=0,
        label=label, consistent=None, system="tuned", baseline=baseline,  # type: ignore[arg-type]
        outcome=outcome, credit=None if outcome is None else CREDITS[outcome], tags=(), longer_by=3,
    )  # fmt: skip


def rating(item: str, prompt: str, scale: str, value: str | int | None) -> Rating:
    return Rating(item, prompt, "author", "author:01", "tuned", scale, value, (), SCALE_VALUES[scale])


def test_a_ranking_needs_three_linked_systems() -> None:
    two = [vote(f"p{i}", "win" if i % 3 else "loss") for i in range(30)]
    assert rankings(two, ["tuned", "base"], 0.95) == []
    three = two + [vote(f"p{i}", "win" if i % 5 else "tie", "scratch") for i in range(30)]
    (ranking,) = rankings(three, ["tuned", "base", "scratch"], 0.95)
    assert ranking.reference == "tuned"
    assert [strength.system for strength in ranking.strengths] == ["base", "scratch"]
    never = two + [vote(f"p{i}", "win", "scratch") for i in range(30)]
    (refused,) = rankings(never, ["tuned", "base", "scratch"], 0.95)
    assert refused.strengths == []
    assert "win, or lose, every verdict" in refused.undefined


def test_the_majority_is_of_people_who_share_a_comparison() -> None:
    rows = [
        vote("p", "win", rater="crowd:01"), vote("p", "win", rater="crowd:02"),
        vote("p", "loss", rater="judge:x@1"), vote("q", "loss", rater="author:01"),
    ]  # fmt: skip
    found = majority(rows)
    assert found is not None
    assert (found.people, found.n) == (2, 1)
    assert found.counts == {"a": 1, "b": 0, "tie": 0, "none": 0}
    assert majority(rows[1:]) is None


def test_worst_of_k_by_hand() -> None:
    """Prompt p: pass and fail, q: pass twice, so 1 of 2 prompts has any fail; lowest ratings 2 and 5."""
    rows = [
        rating("1", "p", "quality", "pass"), rating("2", "p", "quality", "fail"),
        rating("3", "q", "quality", "pass"), rating("4", "q", "quality", "pass"),
        rating("1", "p", "helpfulness", 4), rating("2", "p", "helpfulness", 2),
        rating("3", "q", "helpfulness", 6), rating("4", "q", "helpfulness", 5),
        rating("5", "q", "quality", None),
    ]  # fmt: skip
    found = {entry.scale: entry for entry in worst_of_k(rows, 0.95)}
    quality, helpfulness = found["quality"].result, found["helpfulness"].result
    assert isinstance(quality, Estimate)
    assert isinstance(helpfulness, Estimate)
    assert (found["quality"].samples, quality.value, quality.n) == (2, 0.5, 2)
    assert helpfulness.value == 3.5
    assert worst_of_k([rating("1", "p", "quality", "pass")], 0.95) == []


def test_lists() -> None:
    assert has_list("Steps:\n\n* one\n* two")
    assert has_list("  1) one\n  2) two")
    assert not has_list("1984 was a year.\n2 more lines")


def test_alt_tests_of_judges_against_single_people_of_one_kind() -> None:
    """The judge strays in 6 of 40 labels, .15 of them: more than the margin of .1 against a crowd."""
    crowd, authors = [[f"{kind}:0{i}" for i in (1, 2, 3)] for kind in ("crowd", "author")]
    rows = [vote(f"p{i}", "win", rater=rater) for i in range(40) for rater in (*crowd, *authors[:2])]
    rows += [vote(f"p{i}", "win" if i >= 6 else "loss", rater="judge:m@1") for i in range(40)]
    by_crowd, by_authors = alt_tests(rows)
    assert (by_crowd.judge, by_crowd.people, by_authors.people) == ("judge:m@1", "crowd", "author")
    assert isinstance(by_crowd.test, AltTest)
    assert (by_crowd.test.epsilon, by_crowd.test.people, by_crowd.test.passed) == (0.1, 3, False)
    assert isinstance(by_authors.test, Undefined)  # two authors, whom the crowd does not fill up
    rows += [vote(f"p{i}", "win", rater=authors[2]) for i in range(40)]
    third = alt_tests(rows)[1].test
    assert isinstance(third, AltTest)
    assert (third.epsilon, third.people) == (0.2, 3)
    (alone,) = alt_tests([row for row in rows if row.rater in ("crowd:01", "judge:m@1")])
    assert (alone.people, isinstance(alone.test, Undefined)) == ("crowd", True)


def test_differences_by_hand() -> None:
    """Shared p1, p2: here win, tie (1, .5); there loss, tie (0, .5): mean difference .5, one better, one equal."""
    here = StudySide("a", "tuned", [vote("p1", "win"), vote("p2", "tie"), vote("p9", "win")],
                [rating("1", "p1", "helpfulness", 5)])  # fmt: skip
    there = StudySide("b", "tuned", [vote("p1", "loss"), vote("p2", "tie"), vote("p8", None)],
                 [rating("1", "p1", "helpfulness", 3)])  # fmt: skip
    helpfulness, wins = sorted(differences(here, there, 0.95), key=lambda row: row.measure)
    assert isinstance(wins.difference, Estimate)
    assert (wins.here, wins.there, wins.difference.value, wins.difference.n) == (0.75, 0.25, 0.5, 2)
    assert (wins.better, wins.equal, wins.worse) == (1, 1, 0)
    assert (helpfulness.here, helpfulness.there) == (5, 3)
    assert differences(here, StudySide("c", "tuned", [], []), 0.95) == []


def test_a_study_against_itself_and_against_one_it_beats(study: Path, tmp_path: Path) -> None:
    settings = ReportSettings(study=study, against=study, rounds=200)
    assert {
        row.difference.value for row in report(settings).differences if isinstance(row.difference, Estimate)
    } == {0}
    worse = tmp_path / "worse"
    shutil.copytree(study, worse)
    swapped = [
        row.model_copy(update={"label": {"a": "b", "b": "a"}.get(row.label or "", row.label)})
        for row in read_jsonl(study / "preferences.jsonl", Preference)
    ]
    write_jsonl(worse / "preferences.jsonl", swapped)
    rows = report(ReportSettings(study=study, against=worse, rounds=200)).differences
    oracle = next(row for row in rows if row.group == "oracle:world" and row.measure.endswith("base"))
    assert (oracle.here, oracle.there, oracle.better, oracle.worse) == (1.0, 0.0, 40, 0)
    assert "Against another study" in (study / "report.html").read_text()


def card(rater: str, task: str | None = None, rows: int = 1) -> RaterCard:
    kind = rater.partition(":")[0]
    return RaterCard(rater, group_of(rater), kind, "", {"task": task} if task else {}, rows)


def test_people_judges_and_oracles_are_counted_apart() -> None:
    people = [card(f"crowd:0{i}") for i in (1, 2)] + [card("author:01"), card("author:02", rows=0)]
    judges = [card("judge:m@1", "pairwise"), card("judge:m@2", "quality")]
    assert by_whom([*people, *judges]) == " by 3 people and 1 judge (2 tasks)"
    assert by_whom([*judges, card("judge:n@3", "quality")]) == " by 2 judges (2 tasks)"
    assert by_whom([card("judge:m@1", "quality"), card("judge:m@2", "quality")]) == " by 1 judge (2 settings)"
    oracle = " and 1 oracle (a program that knows the truth)"
    assert by_whom([people[0], card("oracle:world")]) == f" by 1 person{oracle}"
    assert by_whom([]) == ""


def test_tables_for_papers(study: Path) -> None:
    report(ReportSettings(study=study, rounds=200))
    text = (study / "tables.md").read_text()
    lines = text.splitlines()
    assert lines[0].startswith("Preferences: shares")
    assert all(line.count("|") == lines[2].count("|") for line in lines[2:12] if line.startswith("|"))
    assert text.count("---:") > 10
    paper = (study / "tables.tex").read_text()
    assert paper.count("\\begin{tabular}") == paper.count("\\end{tabular}") == 7
    assert "\u202f" not in paper


def test_special_characters_in_tables() -> None:
    table = TextTable("100 % of A & B_c", ("x", "y|z", "n"), [("a|b", "#1 ~", "< .001")])
    assert "a\\|b" in markdown([table])
    assert "&lt; .001" in markdown([table])
    hostile = TextTable("c", ("x", "y", "n"), [("<img src=x> & co", "r", "1")])
    assert "&lt;img src=x&gt; &amp; co" in markdown([hostile])
    assert "100 \\% of A \\& B\\_c" in latex([table])
    assert "\\#1 \\textasciitilde{} & $<$ .001 \\\\" in latex([table])


@pytest.mark.parametrize("name", ["at equal length", "one scale", "stand in for people", "With list wins"])
def test_the_page_has_the_section(study: Path, name: str) -> None:
    report(ReportSettings(study=study, rounds=200))
    assert name in (study / "report.html").read_text()


def test_a_posterior_needs_one_verdict_a_prompt() -> None:
    """20 wins, 5 ties, 15 losses: means (20.5, 5.5, 15.5) / 41.5; P(win > loss) = P(Beta(20.5, 15.5) > 1/2)."""
    counts: dict[Outcome, int] = {"win": 20, "tie": 5, "loss": 15}
    outcomes = [outcome for outcome, count in counts.items() for _ in range(count)]
    single = [vote(f"p{i}", outcome) for i, outcome in enumerate(outcomes)]
    (row,) = posteriors(pair_results(single, 0.95), 0.95)
    assert not isinstance(row.posterior, Undefined)
    assert isinstance(row.posterior.win, Estimate)
    assert row.posterior.win.value == pytest.approx(20.5 / 41.5)
    assert row.posterior.better == pytest.approx(stats.beta.sf(0.5, 20.5, 15.5))
    twice = [*single, vote("p0", "win", rater="crowd:02")]
    (refused,) = posteriors(pair_results(twice, 0.95), 0.95)
    assert isinstance(refused.posterior, Undefined)
    assert "several verdicts" in refused.posterior.reason


def test_the_page_has_posteriors_where_they_are_asked_for_and_a_kappa(study: Path) -> None:
    assert report(ReportSettings(study=study, rounds=100)).posteriors == []
    assert "more wins than losses with probability" not in (study / "report.html").read_text()
    numbers = report(ReportSettings(study=study, rounds=100, posterior=True))
    assert len(numbers.posteriors) == len(numbers.pairs)
    page = (study / "report.html").read_text()
    assert "more wins than losses with probability" in page
    assert "Fleiss' kappa" in page or "Fleiss&#39; kappa" in page


@pytest.mark.parametrize(("raters", "name"), [(2, "Cohen's kappa"), (3, "Fleiss' kappa")])
def test_the_kappa_is_that_of_the_number_of_raters(study: Path, raters: int, name: str) -> None:
    rows = list(read_jsonl(study / "preferences.jsonl", Preference))
    kept = sorted({row.rater for row in rows if row.rater.startswith(("crowd", "author"))})[:raters]
    write_jsonl(study / "preferences.jsonl", [row for row in rows if row.rater in kept])
    numbers = report(ReportSettings(study=study, rounds=100))
    row = next(row for row in numbers.reliability if row.task == "preference")
    assert (row.raters, row.kappa_name) == (raters, name)


def test_cards_of_people_have_a_competence_where_three_share_enough(study: Path) -> None:
    """The third says the opposite of the others; a judge's card has none, nor has anyone's of two people."""
    told = ["win" if number % 3 else "loss" for number in range(12)]
    turned = ["loss" if outcome == "win" else "win" for outcome in told]
    said = {"crowd:01": told, "crowd:02": told, "crowd:03": turned, "judge:x@1": told}
    votes = [vote(f"p{n}", said[rater][n], rater=rater) for rater in said for n in range(12)]  # type: ignore[arg-type]
    cards = {card.id: card.competence for card in rater_cards(read_study(study), votes, 0.95)}
    found = [cards[name] for name in ("crowd:01", "crowd:02", "crowd:03")]
    assert [estimate and estimate.value for estimate in found] == pytest.approx([1, 1, 0], abs=1e-6)
    assert {estimate and estimate.n for estimate in found} == {12}
    assert {value for name, value in cards.items() if name.startswith("judge")} == {None}
    two = [row for row in votes if row.rater != "crowd:03"]
    assert {card.competence for card in rater_cards(read_study(study), two, 0.95)} == {None}
