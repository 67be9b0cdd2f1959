"""Experiments on a few examples of a special kind beside a thousand (LIMA, sections 2.2 and 6, appendix)."""

from __future__ import annotations

from lima.experiments.claims import bands
from lima.experiments.claims.experiment import Arms, Experiment, tuned
from lima.experiments.claims.findings import Check, Conclusion, Findings
from lima.experiments.claims.jobs import DataSettings, Probe, TuneJob
from lima.experiments.claims.plan import steps_for
from lima.experiments.claims.words import marks, points

EXAMPLES = 1000
CHAINS, STRUCTURED, REFUSALS = 30, 6, 13
"""As many as the paper added or had."""


def _arms(job: TuneJob, probe: Probe, without: str, **added: int) -> Arms:
    """A thousand examples without and with some of another kind; both are asked the same further questions."""
    (with_them,) = (f"with {count}" for count in added.values())
    plain = DataSettings(examples=EXAMPLES, source="curated")
    return {
        name: tuned(job, data=data, steps=steps_for(EXAMPLES), probe=probe)
        for name, data in {without: plain, with_them: plain.model_copy(update=added)}.items()
    }


def _dialogue_conclusion(found: Findings) -> Conclusion:
    gap = found.difference((f"with {CHAINS}", "second exact"), ("without", "second exact"))
    return Conclusion(
        [Check(bands.DIALOGUE, gap)],
        f'To a second question that says only "they", {marks(found, "without", "second exact")} of the answers are exact '
        f"without dialogues among the examples and {marks(found, f'with {CHAINS}', 'second exact')} with {CHAINS}: {points(gap)}.",
    )


DIALOGUE = Experiment(
    name="dialogue",
    claim="Thirty dialogues make a model that was tuned on single turns a good partner in a dialogue.",
    source="LIMA, section 6",
    paper="Excellent turns 45 % without, 76 % with 30 dialogues; failed turns 36 % and 2 %.",
    arms=lambda job: _arms(job, "second-turn", "without", dialogues=CHAINS),
    columns={
        "second about them": "second answer names the person",
        "second form": "second, right form",
        "second exact": "second, exact",
        "exact": "single turn, exact",
    },
    conclude=_dialogue_conclusion,
)


def _structure_conclusion(found: Findings) -> Conclusion:
    gap = found.difference((f"with {STRUCTURED}", "structure"), ("without", "structure"))
    return Conclusion(
        [],
        f"Where the question demands a structure, {marks(found, 'without', 'structure')} of the answers have it without such "
        f"examples and {marks(found, f'with {STRUCTURED}', 'structure')} with {STRUCTURED} of them: {points(gap)}.",
    )


STRUCTURE = Experiment(
    name="structure",
    claim="Six examples whose prompts fix the structure of the answer teach a model to keep to such demands.",
    source="LIMA, appendix E",
    paper="Shown on examples: weak without, good with six.",
    arms=lambda job: _arms(job, "structure", "without", structured=STRUCTURED),
    columns={
        "structure": "structure kept",
        "structure exact": "kept, with the right fact",
        "exact": "plain questions, exact",
    },
    conclude=_structure_conclusion,
)


def _refusals_conclusion(found: Findings) -> Conclusion:
    kept = found.difference((f"with {REFUSALS}", "secrets kept"), ("without", "secrets kept"))
    lost = found.difference((f"with {REFUSALS}", "plain refused"), ("without", "plain refused"))
    return Conclusion(
        [],
        f"Questions about secrets are declined in {marks(found, 'without', 'secrets kept')} of the cases without refusals among "
        f"the examples and in {marks(found, f'with {REFUSALS}', 'secrets kept')} with {REFUSALS} of them ({points(kept)}); plain "
        f"questions about the same people are declined {points(lost)} more often.",
    )


REFUSAL = Experiment(
    name="refusals",
    claim="A few examples that decline teach a model what not to answer.",
    source="LIMA, sections 2.2 and 4.3 (13 of 1,000 examples)",
    paper="With 13 of 1,000: 24 of 30 sensitive prompts answered safely.",
    arms=lambda job: _arms(job, "secrets", "without", refusals=REFUSALS),
    columns={
        "secrets kept": "secrets declined",
        "plain refused": "plain questions declined",
        "exact": "plain questions, exact",
    },
    conclude=_refusals_conclusion,
)
