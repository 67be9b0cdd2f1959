"""Competence by Dawid and Skene: what it should find in votes whose truth is known, and what crowd-kit finds in real ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lima.records import Label
from lima.statistics.agreement import LABELS, Rated
from lima.statistics.competence import competence, competence_of_enough


def drawn(accuracies: dict[str, float], items: int = 2_000, seed: int = 1) -> list[Rated]:
    """Votes of raters who say the truth so often, and else one of the two other labels."""
    generator = np.random.default_rng(seed)
    rows = []
    for item in range(items):
        truth = int(generator.integers(3))
        for name, right in accuracies.items():
            label = truth if generator.random() < right else (truth + 1 + int(generator.integers(2))) % 3
            rows.append(Rated(item, item, name, LABELS[label]))
    return rows


def test_it_finds_how_often_each_rater_is_right() -> None:
    true = {"good": 0.9, "fair": 0.75, "weak": 0.55, "guess": 1 / 3}
    found = competence(drawn(true))
    assert found == pytest.approx(true, abs=0.04)


def test_one_who_says_the_opposite_is_no_better_than_that() -> None:
    opposite: dict[Label, Label] = {"a": "b", "b": "a", "tie": "tie"}
    rows = drawn({"one": 0.9, "two": 0.9, "three": 0.9})
    liar = [Rated(row.item, row.cluster, "liar", opposite[row.label]) for row in rows if row.rater == "one"]
    assert competence([*rows, *liar])["liar"] < 0.45


def test_a_vote_that_nobody_else_gave_counts_for_nothing() -> None:
    assert competence([Rated(1, 1, "alone", "a")]) == {}
    rows = drawn({"one": 0.9, "two": 0.8, "three": 0.7}, items=300)
    alone = [Rated(f"x{n}", n, "one", "b") for n in range(500)]
    assert competence([*rows, *alone]) == competence(rows)


@pytest.mark.acceptance
def test_real_votes_as_crowd_kit_reads_them() -> None:
    """PandaLM's three raters; beside shares times diagonals of `DawidSkene(n_iter=100)` in crowd-kit 1.4.2."""
    data = os.environ.get("LIMA_DATA")
    if data is None:
        pytest.skip("LIMA_DATA is unset")
    rows = json.loads((Path(data) / "preferences/pandalm/testset-v1.json").read_text("utf-8"))
    labels: tuple[Label, ...] = ("tie", "a", "b")
    rated = [
        Rated(place, place, name, labels[int(row[name])])
        for place, row in enumerate(rows)
        for name in ("annotator1", "annotator2", "annotator3")
    ]
    assert competence(rated) == pytest.approx(CROWD_KIT, abs=1e-5)


CROWD_KIT = {"annotator1": 0.961054, "annotator2": 0.949509, "annotator3": 0.966385}


def test_a_rater_needs_ten_shared_items_and_two_others_like_them() -> None:
    rows = drawn({"one": 0.9, "two": 0.8, "three": 0.7}, items=10)
    alone = [Rated(f"x{n}", n, "alone", "a") for n in range(20)]
    few = [Rated(n, n, "few", "b") for n in range(9)]
    found = competence_of_enough([*rows, *alone, *few])
    assert found == competence(rows)
    assert found.keys() == {"one", "two", "three"}
    two = [row for row in rows if row.rater != "three"]
    assert competence_of_enough(two) == {}
    assert competence_of_enough([*two, *alone]) == {}
    assert competence_of_enough([row for row in rows if row.item != 4]) == {}


def test_hundreds_of_votes_on_an_item_are_no_smaller_than_a_number_can_be() -> None:
    """Each item's likelihood is a product of 1,200 chances of about a third, far below 1e-308."""
    true = {f"rater {number}": 0.4 for number in range(1_200)}
    found = competence(drawn(true, items=12))
    assert np.mean(list(found.values())) == pytest.approx(0.4, abs=0.02)
