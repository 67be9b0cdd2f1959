"""What a reader must know of texts and judges before any number: each caution is one sentence, worst first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from lima.report.numbers.preferences import PairResult
from lima.report.numbers.raters import Coverage, GroupBias
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import POOLED_KINDS, pair_of
from lima.statistics.estimates import Estimate, Undefined

MANY_FLIPS = 0.2
"""From this share of pairs on whose winner changes with the order, a judge mostly reads the order."""
ENOUGH = 10
"""Verdicts from which on it is no accident that all are the same."""
MANY_PAIRS = 4
"""With more pairs of systems than this, one caution counts them, instead of one a pair."""


def cautions(
    study: StudyData, pairs: Sequence[PairResult], biases: Sequence[GroupBias], coverage: Sequence[Coverage]
) -> list[str]:
    """All cautions of a study."""
    return [
        *_echoes(coverage),
        *_constant(study),
        *_sample(study),
        *_flips(biases),
        *_odd_answers(study),
        *_unpaired(study),
        *_lengths(pairs),
    ]


def _echoes(coverage: Sequence[Coverage]) -> list[str]:
    return [
        f"{entry.group}, {entry.task}: {entry.statuses['echo']} of {entry.rows} replies only repeat the prompt."
        for entry in coverage
        if entry.statuses.get("echo")
    ]


def _constant(study: StudyData) -> list[str]:
    """Raters that always say the same, as they see it: the first shown, the second, tie, or one grade."""
    said: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in study.preferences:
        if row.label is not None and row.shown is not None:
            place = (
                "tie"
                if row.label == "tie"
                else "first shown"
                if row.label == row.shown[0]
                else "second shown"
            )
            said[row.rater, "preference"][place] += 1
    for grade in study.grades:
        if grade.value is not None:
            said[grade.rater, grade.scale][str(grade.value)] += 1
    return [
        f"{rater}, {task}: all {counts.total()} verdicts are the same ({next(iter(counts))})."
        for (rater, task), counts in sorted(said.items())
        if len(counts) == 1 and counts.total() >= ENOUGH
    ]


def _sample(study: StudyData) -> list[str]:
    """A planned sample that was never drawn, or is not voted on to its end."""
    if study.plan is None or study.plan.sample is None:
        return []
    if not study.drawn:
        return [
            "The plan has a sample for people, but none was drawn (no sample.jsonl): no figure joins people and judge."
        ]
    people = {row.comparison_id for row in study.preferences if row.rater.partition(":")[0] in POOLED_KINDS}
    drawn = {name for name, row in study.drawn.items() if row.drawn and name in study.comparisons}
    left = len(drawn - people)
    if not people or not left or study.plan.sample.comparisons is None:
        return []
    return [
        f"People have not voted on {left:,} of {len(drawn):,} comparisons that were drawn: they are taken as missing by chance."
    ]


def _flips(biases: Sequence[GroupBias]) -> list[str]:
    found = []
    for row in biases:
        flip = row.bias.inconsistent
        if isinstance(flip, Estimate) and flip.value >= MANY_FLIPS and flip.n >= ENOUGH:
            found.append(
                f"{row.group}: on {100 * flip.value:.0f} % of {flip.n:,} pairs the two orders disagree, so that the verdict "
                "depends on the order."
            )
    return found


def _odd_answers(study: StudyData) -> list[str]:
    """Empty answers and answers cut off, by system, each answer once."""
    seen: dict[str, dict[str, bool]] = defaultdict(dict)
    for origin, _, text in study.answers():
        answers = seen[origin.system]
        answers[origin.completion_id] = answers.get(origin.completion_id, False) or not text.strip()
    kinds = [
        ("empty", {system: sum(answers.values()) for system, answers in seen.items()}),
        ("cut off at the limit of tokens", study.cut_off),
    ]
    return [
        f"{system}: {counts[system]} of {len(seen[system])} answers are {kind}. They were judged as they are."
        for kind, counts in kinds
        for system in sorted(seen)
        if counts.get(system)
    ]


def _unpaired(study: StudyData) -> list[str]:
    """Pairs of systems that were not compared on every prompt of the study."""
    every = {key.prompt_id for key in study.keys.values()}
    rank = {system: position for position, system in enumerate(study.systems)}
    paired: dict[tuple[str, str], set[str]] = defaultdict(set)
    for text_id in study.comparisons:
        paired[pair_of(study.keys[text_id], rank)].add(study.keys[text_id].prompt_id)
    missing = {pair: len(every - prompts) for pair, prompts in sorted(paired.items()) if prompts != every}
    if len(missing) > MANY_PAIRS:
        return [
            f"{len(missing)} of {len(paired)} pairs of systems have no pair of answers on some prompts: on {min(missing.values())} "
            f"to {max(missing.values())} of {len(every)}."
        ]
    return [
        f"{system} against {baseline}: {count} of {len(every)} prompts have no pair of answers."
        for (system, baseline), count in missing.items()
    ]


def _lengths(pairs: Sequence[PairResult]) -> list[str]:
    """Once for each pair of systems: lengths are the same for all raters but for missing verdicts."""
    found = {}
    for pair in pairs:
        score = pair.at_equal_length.score
        why = score.reason if isinstance(score, Undefined) else score.note
        if "equal length" in why:
            found[pair.system, pair.baseline] = (
                f"{pair.system} against {pair.baseline}, win rate at equal length: {why}."
            )
    if len(found) > MANY_PAIRS:
        every = len({(pair.system, pair.baseline) for pair in pairs})
        return [
            f"In {len(found)} of {every} pairs of systems equal length was hardly seen, or never: the table of win rates "
            "says which."
        ]
    return [found[pair] for pair in sorted(found)]
