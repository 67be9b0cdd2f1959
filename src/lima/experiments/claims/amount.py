"""Experiments on what the knowledge costs: pretraining or examples (LIMA, sections 1 and 5)."""

from __future__ import annotations

from lima.experiments.claims import bands
from lima.experiments.claims.experiment import Arms, Experiment, pretrained, tuned
from lima.experiments.claims.findings import Check, Conclusion, Findings
from lima.experiments.claims.jobs import DataSettings, TuneJob
from lima.experiments.claims.plan import steps_for
from lima.experiments.claims.words import marks, percent, points
from lima.statistics.estimates import Estimate

MARKS = {"form": "right form", "knowledge": "right fact", "exact": "both"}
SIZES = (16, 64, 512, 1000)
EPOCHS = 6
GENTLE = 3e-4
"""Learning rate of the curves: many passes over few examples at the usual rate overfit, which is not what they show."""
EQUAL_STEPS = steps_for(512, EPOCHS)
"""At equal epochs more examples also mean more steps, so both are shown; with 512 examples they are the same."""


def _curated(count: int) -> DataSettings:
    return DataSettings(examples=count, source="curated")


def _scratch_arms(job: TuneJob) -> Arms:
    return {
        "base, statements": pretrained(job),
        "base": job,
        "base + 32": tuned(job, data=_curated(32)),
        "base + 1000": tuned(job, data=_curated(1000), steps=steps_for(1000)),
        "scratch + 1000": tuned(
            job, scratch=True, data=_curated(1000), steps=steps_for(1000, 6), learning_rate=2e-3
        ),
    }


def _scratch_conclusion(found: Findings) -> Conclusion:
    checks = [
        Check(bands.BASE_FORM, found.value("base", "form")),
        Check(bands.BASE_EXACT, found.value("base", "exact")),
        Check(bands.BASE_CLOZE, found.value("base, statements", "cloze")),
        Check(bands.FORM, found.value("base + 32", "form")),
        Check(bands.SCRATCH_FORM, found.value("scratch + 1000", "form")),
        Check(bands.SCRATCH_KNOWLEDGE, found.value("scratch + 1000", "knowledge")),
    ]
    return Conclusion(
        checks,
        f"The same 1,000 examples teach form to both models ({marks(found, 'base + 1000', 'form')} with "
        f"pretraining, {marks(found, 'scratch + 1000', 'form')} without), but right facts come "
        f"with pretraining alone: {marks(found, 'base + 1000', 'knowledge')} against "
        f"{marks(found, 'scratch + 1000', 'knowledge')}.",
    )


SCRATCH = Experiment(
    name="scratch",
    claim="Almost all knowledge is learnt in pretraining; the examples teach the form in which to show it.",
    source="LIMA, sections 1 and 7",
    paper="Stated as a hypothesis; 1,000 examples on 65B won 18, tied 25 and lost 57 % against GPT-4.",
    arms=_scratch_arms,
    columns={**MARKS, "cloze": "statements completed"},
    conclude=_scratch_conclusion,
)


def _by_steps(count: int) -> str:
    return f"{count}, {EQUAL_STEPS} steps"


def _by_epochs(count: int) -> str:
    return f"{count}, {EPOCHS} epochs" if count != 512 else _by_steps(count)


def _quantity_arms(job: TuneJob) -> Arms:
    steps = {_by_epochs(n): (n, steps_for(n, EPOCHS, least=1)) for n in SIZES}
    steps |= {_by_steps(n): (n, EQUAL_STEPS) for n in SIZES}
    return {
        name: tuned(job, data=_curated(n), steps=count, learning_rate=GENTLE)
        for name, (n, count) in sorted(steps.items(), key=lambda item: (item[0].endswith("epochs"), item[1]))
    }


def _quantity_conclusion(found: Findings) -> Conclusion:
    by_steps, by_epochs = (
        found.difference((name(512), "exact"), (name(64), "exact")) for name in (_by_steps, _by_epochs)
    )
    margin = bands.PLATEAU.limit
    plateau = isinstance(by_steps, Estimate) and by_steps.high is not None and by_steps.high <= margin
    return Conclusion(
        [Check(bands.PLATEAU, by_steps)],
        f"Eight times the examples, 64 to 512, add {points(by_steps)} of exact answers at equal steps and "
        f"{points(by_epochs)} at equal epochs (where 64 examples get an eighth of the steps); a plateau within "
        f"{percent(margin)} at equal steps is {'shown' if plateau else 'not shown'}: the upper end of the interval "
        f"is {'inside' if plateau else 'outside'} the margin.",
    )


QUANTITY = Experiment(
    name="quantity",
    claim="More examples of the same kind add little: helpfulness is flat from 2,000 to 32,000.",
    source="LIMA, section 5, figure 6",
    paper="7B, 2,000 to 32,000 examples: 3.83 to 3.82 of 6, each +-0.07.",
    arms=_quantity_arms,
    columns=MARKS,
    conclude=_quantity_conclusion,
)
