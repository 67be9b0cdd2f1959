"""``lima regress``: each task's scores on base and tuned model, item by item, with an interval and a plain sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from lima import console
from lima.commands import command
from lima.errors import LimaError
from lima.files import write_json
from lima.regress.harness import (
    DEFAULT_LENGTH,
    Model,
    Place,
    Scores,
    arguments,
    check_installed,
    context_of,
    models_of,
    read_scores,
    run_harness,
    serving,
)
from lima.regress.settings import RegressSettings
from lima.runs import open_run
from lima.statistics.estimates import Estimate, Result, Significance, Undefined
from lima.statistics.intervals import clustered_mean, paired_difference
from lima.statistics.preferences import agreeing
from lima.statistics.significance import sign_flip_test

Verdict = Literal["forgot", "kept", "gained", "unknown"]


@dataclass(frozen=True)
class TaskChange:
    """One metric of one task on both models."""

    task: str
    metric: str
    filter: str
    higher_is_better: bool
    n: int
    """Items that both models were asked."""
    base: float
    tuned: float
    difference: Result
    """Tuned minus base, paired by item, its level shared among all tasks."""
    test: Significance | Undefined
    """The paired sign-flip test; ``adjusted`` after Bonferroni."""
    verdict: Verdict
    """``kept``: no difference is shown, which is not that there is none; the interval says how large it may be."""

    @property
    def sentence(self) -> str:
        """What came out, in one line."""
        name = self.task if self.metric in ("acc", "exact_match") else f"{self.task} ({self.metric})"
        what = {"acc": "accuracy", "exact_match": "exact matches"}.get(self.metric, self.metric)
        said = {"forgot": "forgot", "gained": "gained", "kept": "no change is shown", "unknown": "not known"}
        if isinstance(self.difference, Undefined):
            return f"{name}: {said[self.verdict]}: {self.difference}"
        low, high = (None, None) if self.difference.low is None else self.difference.interval
        span = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
        return f"{name}: {said[self.verdict]}: {what} {self.difference.value:+.3f}{span}, from {self.base:.3f} to {self.tuned:.3f} on {self.n:,} items"


def regress(settings: RegressSettings) -> list[TaskChange]:
    """Run the tasks on both models, unless their results are there, and compare.

    Raises:
        LimaError: no harness, no such task or model, or other items in the two runs.
    """
    models = models_of(settings)
    if settings.dry_run:
        for model in models:
            console.note(f"{model.name}: {', '.join(settings.tasks)} on {model.place}")
        return []
    check_installed()
    with open_run(settings.out / "run.json", "regress", settings) as run:
        if not run.finished:
            length = settings.max_length or _length(models)
            for model in models:
                _evaluate(model, settings, length)
        scores = [read_scores(settings.out / model.name) for model in models]
        found = compare_scores(scores[0], scores[1], alpha=settings.alpha)
        write_json(
            settings.out / "regress.json", {"alpha": settings.alpha, "tasks": [as_row(row) for row in found]}
        )
        run.finish(tasks=len(found))
    _show(found)
    console.done(
        [settings.out / "regress.json"], command("compare", "TUNED.jsonl", "BASE.jsonl", "--out", "STUDY")
    )
    return found


def compare_scores(base: Scores, tuned: Scores, *, alpha: float) -> list[TaskChange]:
    """Every metric that both models have, task by task.

    Raises:
        LimaError: no metric in common, or items that one of the two models was not asked.
    """
    places = sorted(base.items.keys() & tuned.items.keys())
    if not places:
        raise LimaError("the two runs of the harness have no metric of items in common.")
    for place in places:
        if base.items[place].keys() != tuned.items[place].keys():
            raise LimaError(
                f"{place[0]}: base and tuned model were asked other items. Remove their results and run again."
            )
    return [_change(place, base, tuned, alpha / len(places), len(places)) for place in places]


def as_row(row: TaskChange) -> dict[str, object]:
    """A change as JSON."""
    return asdict(row) | {"sentence": row.sentence}


def _change(place: Place, base: Scores, tuned: Scores, alpha: float, tests: int) -> TaskChange:
    task, metric, _ = place
    items = sorted(base.items[place])
    before, after = ([scores.items[place][item] for item in items] for scores in (base, tuned))
    gaps = [y - x for x, y in zip(before, after, strict=True)]
    if set(before) | set(after) <= {0.0, 1.0}:
        difference = paired_difference([g > 0 for g in gaps], [g < 0 for g in gaps], items, level=1 - alpha)
    else:
        difference = clustered_mean(gaps, items, level=1 - alpha)
    test = sign_flip_test(gaps)
    difference = agreeing(difference, test, alpha)
    if isinstance(test, Significance):
        test = Significance(test.p, test.statistic, test.n, test.method, min(1.0, test.p * tests))
    higher = base.higher_is_better.get((task, metric), True)
    return TaskChange(
        *place,
        higher_is_better=higher,
        n=len(items),
        base=sum(before) / len(items),
        tuned=sum(after) / len(items),
        difference=difference,
        test=test,
        verdict=_verdict(difference, higher=higher),
    )


def _verdict(difference: Result, *, higher: bool) -> Verdict:
    if not isinstance(difference, Estimate) or difference.low is None or difference.high is None:
        return "unknown"
    if difference.low <= 0 <= difference.high:
        return "kept"
    return "gained" if (difference.value > 0) == higher else "forgot"


def _length(models: Sequence[Model]) -> int:
    known = [context_of(model.place) for model in models if not model.is_served]
    return min(known, default=DEFAULT_LENGTH)


def _evaluate(model: Model, settings: RegressSettings, length: int) -> None:
    folder = settings.out / model.name
    if list(folder.rglob("results_*.json")):
        console.note(f"{model.name}: its results are in {folder} already")
        return
    console.note(f"{model.name}: {', '.join(settings.tasks)} on {model.place}")
    with serving(model, settings.dtype) as (url, name):
        run_harness(arguments(model, url, name, settings, length))


def _show(found: Sequence[TaskChange]) -> None:
    rows = []
    for row in found:
        gap = row.difference
        span = (
            ""
            if isinstance(gap, Undefined) or gap.low is None
            else "[{:+.3f}, {:+.3f}]".format(*gap.interval)
        )
        value = "–" if isinstance(gap, Undefined) else f"{gap.value:+.3f}"
        p = "–" if isinstance(row.test, Undefined) else f"{row.test.adjusted:.3g}"
        name = row.metric if row.filter == "none" else f"{row.metric}, {row.filter}"
        rows.append([row.task, name, row.n, f"{row.base:.3f}", f"{row.tuned:.3f}", value, span, p])
    columns = ["task", "metric", "items", "base", "tuned", "tuned − base", "interval", "p"]
    console.table("Paired by item; intervals and p share their level among all rows", columns, rows)
    for row in found:
        console.note(row.sentence)
