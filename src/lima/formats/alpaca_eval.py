"""AlpacaEval ``annotations.json``: one GPT-4 verdict a prompt, plain or weighted by the probability of its token.

Source: github.com/tatsu-lab/alpaca_eval. ``preference`` is 1 (output_1), 2 (output_2), 0 (a tie in old files) or a
number between 1 and 2; null is a failed call, which counts as missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lima.files import text_hash
from lima.formats.imported import ImportedStudy, PublishedRow, asked, pair_key, read_rows
from lima.records import Comparison, Label, Preference, Rater


def read_files(files: Sequence[Path]) -> ImportedStudy:
    """The study of one or several annotation files, one a system."""
    return read([row for path in files for row in read_rows(path)])


def read(rows: Sequence[PublishedRow]) -> ImportedStudy:
    """Comparisons and verdicts; the answers of ``generator_2`` are under test."""
    comparisons, keys, preferences = [], [], []
    for row in rows:
        dataset = str(row.get("dataset") or "unnamed")
        prompts = f"alpaca_eval/{dataset}"
        prompt_id = f"{prompts}/{_short(row['instruction'])}"
        first, second = str(row["generator_1"]), str(row["generator_2"])
        identity = f"{second}/{prompt_id}"
        comparisons.append(
            Comparison(
                id=identity,
                messages=asked(row["instruction"]),
                a=row["output_1"],
                b=row["output_2"],
                tags=(dataset,),
            )
        )
        keys.append(pair_key(identity, prompt_id, first, second))
        label = label_of(row.get("preference"))
        rater = f"judge:{row.get('annotator') or 'alpaca_eval'}"
        preferences.append(
            Preference(
                id=f"{rater}/{identity}",
                comparison_id=identity,
                rater=rater,
                shown=None,
                label=label,
                credit=credit_of(row.get("preference")),
                status="error" if label is None else "ok",
                raw=str(row.get("preference")),
            )
        )
    names = [str(row[name]) for name in ("generator_2", "generator_1") for row in rows]
    raters = sorted({row.rater for row in preferences})
    note = "Published verdicts; the order in which each pair was shown is not in the file."
    return ImportedStudy(
        comparisons,
        keys,
        preferences,
        [Rater(id=rater, kind="judge", description=note) for rater in raters],
        list(dict.fromkeys(names)),
    )


def label_of(preference: float | None) -> Label | None:
    """The side that a verdict stands for; None for a failed call."""
    if preference is None:
        return None
    if preference in (0, 1.5):
        return "tie"
    return "a" if preference < 1.5 else "b"


def credit_of(preference: float | None) -> float | None:
    """What output_1 gets of the win: for weighted verdicts alone, the others say no more than their label."""
    return None if preference in (None, 0, 1, 1.5, 2) else 2.0 - float(preference or 0)


def scores(rows: Sequence[PublishedRow]) -> list[float]:
    """Share of the win that output_2 gets in each verdict, in [0, 1]; failed calls are left out.

    Their mean x 100 is the leaderboard's win rate.
    """
    values = [row["preference"] for row in rows if row.get("preference") is not None]
    return [0.5 if value == 0 else float(value) - 1 for value in values]


def _short(text: str) -> str:
    return text_hash(text, length=12)
