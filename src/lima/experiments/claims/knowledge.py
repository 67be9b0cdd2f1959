"""Experiments on where knowledge comes from: pretraining, or more examples (LIMA, sections 1 and 5)."""

from __future__ import annotations

from lima.experiments.claims import bands
from lima.experiments.claims.bands import Check, Conclusion
from lima.experiments.claims.experiment import MARKS, Arms, Experiment, pretrained, tuned
from lima.experiments.claims.findings import Findings, points
from lima.experiments.claims.jobs import DataSettings, TuneJob, steps_for
from lima.world.settings import BaseSettings, CorpusSettings

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
        f"After the same 1,000 examples, {found.percent('base + 1000', 'form')} of the answers have the right form with "
        f"pretraining and {found.percent('scratch + 1000', 'form')} without; the right fact is in "
        f"{found.percent('base + 1000', 'knowledge')} and {found.percent('scratch + 1000', 'knowledge')}.",
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
    return Conclusion(
        [Check(bands.PLATEAU, by_steps)],
        f"Eight times the examples, 64 to 512, add {points(by_steps)} of exact answers at equal steps and "
        f"{points(by_epochs)} at equal epochs (where 64 examples get an eighth of the steps). "
        f"A plateau at equal steps is a gain of {100 * bands.PLATEAU.limit:.0f} points at most.",
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


FEW = 64
FIXED = CorpusSettings(paraphrases=False)
NO_QUESTIONS = CorpusSettings(biographies=0.94, questions=0.0, forums=0.0)
USUAL, SHORT, UNVARIED, UNASKED = (
    "default",
    "a third of the steps",
    "no paraphrases",
    "no questions, no forum",
)


def _bases(base: BaseSettings) -> dict[str, BaseSettings]:
    return {
        USUAL: base,
        SHORT: base.model_copy(update={"steps": max(1, base.steps // 3)}),
        UNVARIED: base.model_copy(update={"corpus": FIXED}),
        UNASKED: base.model_copy(update={"corpus": NO_QUESTIONS}),
    }


def _pretraining_arms(job: TuneJob) -> Arms:
    data = DataSettings(examples=FEW)
    tunings = {name: tuned(job, base=base, data=data) for name, base in _bases(job.base).items()}
    statements = {f"{name}, statements": pretrained(tuned_job) for name, tuned_job in tunings.items()}
    return {**tunings, **statements}


def _pretraining_conclusion(found: Findings) -> Conclusion:
    gap = found.difference((USUAL, "knowledge"), (UNASKED, "knowledge"))
    return Conclusion(
        [Check(bands.NO_PARAPHRASE, found.value(UNVARIED, "knowledge")), Check(bands.NO_QUESTIONS, gap)],
        f"After 64 examples a base tells {found.percent(USUAL, 'knowledge')} of the facts; one that read the same "
        f"biography of a person each time {found.percent(UNVARIED, 'knowledge')}; one that never read a question "
        f"{found.percent(UNASKED, 'knowledge')} ({points(gap)} for questions and answers in pretraining); one trained a third as long "
        f"{found.percent(SHORT, 'knowledge')}.",
    )


PRETRAINING = Experiment(
    name="pretraining",
    claim="What a few examples can bring out was put there, and made reachable, by pretraining.",
    source="LIMA, section 1; arXiv 2309.14316 (paraphrases, questions)",
    paper="Not varied there; the effect of paraphrases is from arXiv 2309.14316.",
    arms=_pretraining_arms,
    columns={**MARKS, "cloze": "statements completed"},
    conclude=_pretraining_conclusion,
)


ECHOES, TERSE = "forum repeats the fact", "forum is terse"
COVERED = 2
ECHOING = CorpusSettings(echo=0.8)


def _transfer_arms(job: TuneJob) -> Arms:
    data = DataSettings(examples=128, attributes=COVERED)
    echoing = job.base.model_copy(update={"corpus": ECHOING})
    return {ECHOES: tuned(job, base=echoing, data=data), TERSE: tuned(job, data=data)}


def _transfer_conclusion(found: Findings) -> Conclusion:
    return Conclusion(
        [
            Check(bands.TRANSFER_ECHO, found.value(ECHOES, "exact uncovered")),
            Check(bands.TRANSFER_TERSE, found.value(TERSE, "exact uncovered")),
        ],
        f"Where examples cover {COVERED} of 5 kinds of facts, questions about the others are answered exactly in "
        f"{found.percent(ECHOES, 'exact uncovered')} of the cases if forum answers in pretraining repeat the whole fact, and in "
        f"{found.percent(TERSE, 'exact uncovered')} if they say little but the value.",
    )


TRANSFER = Experiment(
    name="transfer",
    claim="What examples of one kind do for other kinds was decided in pretraining.",
    source="a pilot of this world, on the diversity of LIMA, section 5",
    paper="Not varied there.",
    arms=_transfer_arms,
    columns={
        "form": "right form",
        "exact covered": "both, covered kinds",
        "exact uncovered": "both, uncovered kinds",
    },
    conclude=_transfer_conclusion,
)
