"""Experiments on the base: what pretraining must hold so that a few examples suffice (W8, W9, W13)."""

from __future__ import annotations

from lima.experiments.claims import bands
from lima.experiments.claims.amount import MARKS
from lima.experiments.claims.experiment import Arms, Experiment, pretrained, tuned
from lima.experiments.claims.findings import Check, Conclusion, Findings
from lima.experiments.claims.jobs import DataSettings, TuneJob
from lima.experiments.claims.words import marks, points
from lima.world.settings import BaseSettings, CorpusSettings

EXAMPLES = 64
FIXED = CorpusSettings(paraphrases=False)
NO_QUESTIONS = CorpusSettings(biographies=0.94, questions=0.0, forums=0.0)
DEFAULT, SHORT, UNVARIED, UNASKED = (
    "default",
    "a third of the steps",
    "no paraphrases",
    "no questions, no forum",
)


def _bases(base: BaseSettings) -> dict[str, BaseSettings]:
    return {
        DEFAULT: base,
        SHORT: base.model_copy(update={"steps": max(1, base.steps // 3)}),
        UNVARIED: base.model_copy(update={"corpus": FIXED}),
        UNASKED: base.model_copy(update={"corpus": NO_QUESTIONS}),
    }


def _arms(job: TuneJob) -> Arms:
    data = DataSettings(examples=EXAMPLES)
    tunings = {name: tuned(job, base=base, data=data) for name, base in _bases(job.base).items()}
    statements = {f"{name}, statements": pretrained(tuned_job) for name, tuned_job in tunings.items()}
    return {**tunings, **statements}


def _conclusion(found: Findings) -> Conclusion:
    gap = found.difference((DEFAULT, "knowledge"), (UNASKED, "knowledge"))
    return Conclusion(
        [
            Check(bands.NO_PARAPHRASE, found.value(UNVARIED, "knowledge")),
            Check(bands.NO_QUESTIONS, gap),
        ],
        f"After 64 examples a base tells {marks(found, DEFAULT, 'knowledge')} of the facts; one that read the same "
        f"biography of a person each time {marks(found, UNVARIED, 'knowledge')}; one that never met a question "
        f"{marks(found, UNASKED, 'knowledge')} ({points(gap)} for questions and answers in pretraining); one trained a third as long "
        f"{marks(found, SHORT, 'knowledge')}.",
    )


PRETRAINING = Experiment(
    name="pretraining",
    claim="What a few examples can bring out was put there, and made reachable, by pretraining.",
    source="LIMA, section 1; arXiv 2309.14316 (paraphrases, questions)",
    paper="Not varied there; the effect of paraphrases is from arXiv 2309.14316.",
    arms=_arms,
    columns={**MARKS, "cloze": "statements completed"},
    conclude=_conclusion,
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
        f"{marks(found, ECHOES, 'exact uncovered')} of the cases if forum answers in pretraining repeat the whole fact, and in "
        f"{marks(found, TERSE, 'exact uncovered')} if they say little but the value: the base decides what transfers.",
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
