"""People and a judge on published votes: PandaLM's 999 pairs, three people each, and two judges' verdicts on all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from lima.statistics.estimates import Estimate
from lima.statistics.joint import draw_sample, inclusion, joint_mean

FOLDER = Path(os.environ.get("LIMA_DATA", "/nowhere")) / "preferences" / "pandalm"
SCORES: Mapping[object, float] = {1: 1.0, 2: -1.0, 0: 0.0, "1": 1.0, "2": -1.0, "Tie": 0.0}


@pytest.mark.skipif(not FOLDER.exists(), reason="LIMA_DATA names no folder with preferences/pandalm")
@pytest.mark.parametrize(
    ("file", "field", "worth"),
    [("gpt-3.5-turbo", "gpt_result", 130), ("pandalm-7b", "pandalm_result", 115)],
)
def test_a_hundred_votes_and_a_judge_say_what_all_votes_say(file: str, field: str, worth: int) -> None:
    """100 pairs drawn for people, 300 times: the mean of all 999 lies in the interval, and it is narrower than people's own.

    Prompts are few (170) and recur; a judge's unreadable verdicts are missing.
    """
    rows = json.loads((FOLDER / "testset-v1.json").read_text())
    verdicts = json.loads((FOLDER / f"{file}-testset-v1.json").read_text())
    people = [float(np.mean([SCORES[row[f"annotator{k}"]] for k in (1, 2, 3)])) for row in rows]
    judge = [SCORES.get(row[field]) for row in verdicts]
    prompts = [row["instruction"] + row["input"] for row in rows]
    chances = inclusion([1.0] * len(rows), 100)
    generator = np.random.default_rng(0)
    held, worths, wider = 0, [], []
    for _ in range(300):
        chosen = set(draw_sample(chances, generator))
        votes = [vote if k in chosen else None for k, vote in enumerate(people)]
        found = joint_mean(votes, judge, chances, prompts, votes=100, limits=(-1, 1))
        assert isinstance(found.both, Estimate)
        assert isinstance(found.alone, Estimate)
        low, high = found.both.interval
        held += bool(low <= np.mean(people) <= high)
        worths.append(found.worth)
        wider.append((high - low) / np.diff(found.alone.interval)[0])
    assert held >= 0.95 * 300
    assert np.mean([count for count in worths if count is not None]) > worth
    assert np.quantile(wider, 0.99) < 1.1
