"""The report's numbers, counted again from the JSON Lines files by other means."""

import json
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

Rows = list[dict[str, Any]]


def rows(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(study: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((study / "report.json").read_text())
    return value


def current(preferences: Rows) -> Rows:
    gone = {row["supersedes"] for row in preferences}
    return [row for row in preferences if row["id"] not in gone]


def group(rater: str) -> str:
    return rater.split(":")[0] if rater.startswith(("crowd", "author")) else rater


def combined(preferences: Rows) -> dict[tuple[str, str], str | None]:
    """(comparison, rater) -> label, judges' two orders as one."""
    shown = defaultdict(list)
    for row in preferences:
        shown[row["comparison_id"], row["rater"]].append(row["label"])
    result: dict[tuple[str, str], str | None] = {}
    for place, labels in shown.items():
        if place[1].startswith("judge") and (len(labels) < 2 or None in labels):
            result[place] = None
        else:
            result[place] = labels[0] if len(set(labels)) == 1 else "tie"
    return result


def test_preferences(reported: Path) -> None:
    keys = {row["id"]: row for row in rows(reported / "key.jsonl")}
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (comparison, rater), label in combined(current(rows(reported / "preferences.jsonl"))).items():
        names = {side: keys[comparison][side]["system"] for side in "ab"}
        baseline = next(name for name in names.values() if name != "tuned")
        word = "missing" if label is None else "tie" if label == "tie" else (
            "win" if names[label] == "tuned" else "loss")  # fmt: skip
        counts[baseline, group(rater)][word] += 1
    found = {
        (finding["baseline"], result["group"]): result
        for finding in written(reported)["findings"]
        for result in finding["results"]
    }
    assert found.keys() == counts.keys()
    for place, count in counts.items():
        result = found[place]["result"]
        n = count["win"] + count["tie"] + count["loss"]
        assert found[place]["missing"] == count["missing"]
        assert result["counts"] == {word: count[word] for word in ("win", "tie", "loss")}
        for word in ("win", "tie", "loss"):
            assert result[word]["value"] == pytest.approx(count[word] / n)
            assert result[word]["n"] == n
        assert result["gap"]["value"] == pytest.approx((count["win"] - count["loss"]) / n)
        assert result["score"]["value"] == pytest.approx((count["win"] + count["tie"] / 2) / n)


def test_missing_verdicts_occur_and_are_no_ties(reported: Path) -> None:
    """The fixture's judge fails in one of twenty-five orders: the recount above must have met some."""
    labels = combined(current(rows(reported / "preferences.jsonl")))
    assert sum(label is None for label in labels.values()) >= 3


def test_agreement(reported: Path) -> None:
    """Crowd within itself, and crowd against judge: mean over items of the mean credit of their pairs."""
    by_item: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for (comparison, rater), label in combined(current(rows(reported / "preferences.jsonl"))).items():
        if label is not None:
            by_item[comparison].append((rater, label))

    def credit(x: str, y: str) -> float:
        return 1.0 if x == y else 0.5 if "tie" in (x, y) else 0.0

    found = {(cell["first"], cell["second"]): cell for cell in written(reported)["agreement"]}
    for first, second in (("crowd", "crowd"), ("crowd", "judge:longer-answer@0a1b2c3d")):
        means = []
        for votes in by_item.values():
            pairs = [
                credit(x[1], y[1])
                for x, y in combinations(votes, 2)
                if x[0] != y[0] and {group(x[0]), group(y[0])} == {first, second}
            ]
            if pairs:
                means.append(sum(pairs) / len(pairs))
        cell = found[first, second]
        assert cell["items"] == len(means)
        assert cell["accuracy"]["value"] == pytest.approx(sum(means) / len(means))


def test_ratings(reported: Path) -> None:
    keys = {row["id"]: row["content"] for row in rows(reported / "key.jsonl") if row["content"]}
    values: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows(reported / "grades.jsonl"):
        values[row["scale"], keys[row["item_id"]]["system"]].append(row["value"])
    numbers = written(reported)
    assert [row["system"] for row in numbers["helpfulness"]] == ["tuned", "base", "scratch"]
    for row in numbers["helpfulness"]:
        own = values["helpfulness", row["system"]]
        assert row["mean"]["value"] == pytest.approx(sum(own) / len(own))
        assert (row["mean"]["n"], row["mean"]["clusters"]) == (120, 40)
        assert row["counts"] == {str(level): own.count(level) for level in range(1, 7)}
    for scale in ("quality", "safety"):
        for row in numbers[scale]:
            own = values[scale, row["system"]]
            for word, result in row["shares"].items():
                assert result["value"] == pytest.approx(own.count(word) / len(own))


def test_bias(reported: Path) -> None:
    """Of the judge's decided verdicts, those for the first side, and those for the longer answer."""
    texts = {row["id"]: row for row in rows(reported / "comparisons.jsonl")}
    judged = [
        row for row in current(rows(reported / "preferences.jsonl")) if row["rater"].startswith("judge")
    ]
    decided = [row for row in judged if row["label"] in ("a", "b")]
    unequal = [
        row
        for row in decided
        if len(texts[row["comparison_id"]]["a"]) != len(texts[row["comparison_id"]]["b"])
    ]
    longer = [
        row for row in unequal
        if len(texts[row["comparison_id"]][row["label"]]) == max(len(texts[row["comparison_id"]][s]) for s in "ab")
    ]  # fmt: skip
    pairs = defaultdict(list)
    for row in judged:
        pairs[row["comparison_id"]].append(row["label"])
    both = [labels for labels in pairs.values() if None not in labels]
    found = next(row["bias"] for row in written(reported)["bias"] if row["group"].startswith("judge"))
    first = sum(row["label"] == row["shown"][0] for row in decided)
    assert found["side"]["value"] == pytest.approx(first / len(decided))
    assert found["longer"]["value"] == pytest.approx(len(longer) / len(unequal))
    assert found["flip"]["value"] == pytest.approx(
        sum(set(labels) == {"a", "b"} for labels in both) / len(both)
    )
    assert found["flip"]["n"] == len(both)


def test_coverage(reported: Path) -> None:
    judged = [row for row in rows(reported / "preferences.jsonl") if row["rater"].startswith("judge")]
    statuses = Counter(row["status"] for row in judged)
    numbers = written(reported)
    found = next(
        row for row in numbers["coverage"] if row["group"].startswith("judge") and row["task"] == "preference"
    )
    assert found["statuses"] == dict(statuses)
    assert (found["rows"], found["texts"]) == (160, 80)
    failed = {row["comparison_id"] for row in judged if row["status"] != "ok"}
    assert found["covered"] == 80 - len(failed)
    assert numbers["replaced_rows"] == 1
